import { afterEach, expect, test } from 'vitest';
import { AppError } from './errors.ts';
import { getLogger, setupLogging } from './log.ts';
import { Secret } from './secret.ts';

let lines: string[] = [];
function capture() {
  lines = [];
  setupLogging({ service: 'test', level: 'debug', write: (line) => lines.push(line) });
}
afterEach(() => setupLogging({ service: 'test', write: () => {} }));

const HEX = 'ab'.repeat(32);
const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLWhlcmU';

test('one event is one JSON line with its fields', () => {
  capture();
  getLogger(['a', 'b']).info('source {id} refreshed', { id: 'x', bytes: 3 });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 'info',
    service: 'test',
    logger: 'a.b',
    message: 'source x refreshed',
    bytes: 3,
  });
});

test.each([
  ['a field named like a secret', { password: 'hunter2' }],
  ['a nested field', { request: { headers: { authorization: 'Bearer hunter2' } } }],
  ['a list of shares', { shares: ['hunter2'] }],
  ['a token in a query', { url: `https://h/proxy/a.ics?token=hunter2` }],
  ['userinfo in a URL', { url: 'https://me:hunter2@h/' }],
  ['a token by its form', { note: HEX }],
  ['a JWT in free text', { note: `login with ${JWT} failed` }],
  ['an error and its cause', {
    error: new AppError('invalid', 'x', { cause: new Error(`see /a?${HEX}`) }),
  }],
  ['a Secret', { wrapped: new Secret('hunter2') }],
  ['bytes', { body: new TextEncoder().encode('hunter2') }],
])('no line holds %s', (_, fields) => {
  capture();
  getLogger('x').error('happened', fields as Record<string, unknown>);
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/hunter2/);
  expect(lines[0]).not.toContain(HEX);
  expect(lines[0]).not.toContain(JWT);
  expect(lines[0]).not.toContain('104,117,110');
});

test('a secret put into the message itself is caught too', () => {
  capture();
  getLogger('x').error('cannot GET {url} with {auth}', {
    url: `/p?token=${HEX}`,
    auth: `Bearer ${JWT}`,
  });
  getLogger('x').error(`cannot GET /p?token=${HEX}`);
  expect(lines.join()).not.toContain(HEX);
  expect(lines.join()).not.toContain(JWT);
});
