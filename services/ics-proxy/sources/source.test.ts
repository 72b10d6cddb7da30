import { describe, expect, test } from 'vitest';
import { parseRetryAfter } from './http.ts';
import { sourceSchema } from './source.ts';

const faults = (config: Record<string, unknown>) =>
  sourceSchema.safeParse({ id: 'space', url: 'https://example.org/a.ics', ...config }).error?.issues
    .map((issue) => `${issue.path.join('.')}: ${issue.message}`) ?? [];
const basic = { type: 'basic', username: 'ada', passwordFile: '/run/secret' };

describe('sourceSchema', () => {
  test('needs an id and a url, and has sane defaults', () => {
    expect(sourceSchema.parse({ id: 'space', url: 'webcal://example.org/a.ics' })).toEqual({
      id: 'space',
      url: 'webcal://example.org/a.ics',
      type: 'ics',
      userAgent: expect.stringMatching(/^Mozilla/),
      timeout: 15_000,
      maxBytes: 26_214_400,
      allowPrivate: false,
    });
  });

  test.each([
    ['https://example.org/a.ics', undefined],
    ['HTTP://example.org', undefined],
    ['webcals://example.org/x', undefined],
    ['file:///srv/calendars', undefined],
    ['file:samples/a.ics', undefined],
    ['ftp://example.org/', 'must be an http, https, webcal or file URL'],
    ['/srv/a.ics', 'must be an http, https, webcal or file URL'],
    ['javascript:alert(1)', 'must be an http, https, webcal or file URL'],
    ['https://', 'must be a complete URL'],
    ['file://host/share', 'must name no host: file:///path or file:path'],
    ['https://ada:lovelace@example.org/', 'must hold no credentials: use auth with a passwordFile'],
    ['webcal://token@example.org/', 'must hold no credentials: use auth with a passwordFile'],
  ])('url %#', (url, fault) => {
    expect(faults({ url })).toEqual(fault ? [`url: ${fault}`] : []);
    // a message never repeats what may be a secret
    expect(faults({ url }).join()).not.toMatch(/lovelace|token@/);
  });

  test('secrets are files', () => {
    expect(faults({ auth: basic })).toEqual([]);
    expect(faults({ auth: { type: 'digest', username: 'ada', passwordFile: '/x' } })).toEqual([]);
    expect(faults({ auth: { type: 'bearer', tokenFile: '/x' } })).toEqual([]);
    expect(faults({ auth: { type: 'basic', username: 'ada', password: 'x' } })).not.toEqual([]);
    expect(faults({ auth: { type: 'ntlm' } })).not.toEqual([]);
    expect(faults({ auth: { ...basic, username: 'a:b' } })).not.toEqual([]);
  });

  test('no secret goes readable over the open net', () => {
    const url = 'http://example.org/a.ics';
    expect(faults({ url, auth: basic })).toEqual([
      'auth: basic over http sends the secret readable by anyone: use https',
    ]);
    expect(faults({ url, auth: basic, allowPrivate: true })).toEqual([]);
    expect(faults({ url, auth: { ...basic, type: 'digest' } })).toEqual([]);
  });

  test('keys that do not belong together are told apart', () => {
    expect(faults({ url: 'file:a.ics', auth: basic, type: 'caldav' })).toEqual([
      'auth: a file needs no credentials',
      'type: caldav needs http or https',
    ]);
    expect(faults({ allowPrivate: ['lan'] })).not.toEqual([]);
    expect(faults({ userAgent: 'a\r\nX-Evil: 1' })).not.toEqual([]);
    expect(faults({ timeuot: '1s' })).not.toEqual([]);
  });
});

test.each([
  ['120', 120],
  ['0', 0],
  ['Tue, 24 Nov 2026 00:00:30 GMT', 30],
  ['Mon, 23 Nov 2026 23:00:00 GMT', 0],
  ['999999999', 86_400],
  ['soon', undefined],
  [undefined, undefined],
])('Retry-After %s is %s s', (value, seconds) => {
  expect(parseRetryAfter(value, Date.parse('2026-11-24T00:00:00Z'))).toBe(seconds);
});
