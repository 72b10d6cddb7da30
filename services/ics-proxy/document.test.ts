import { expect, test } from 'vitest';
import { addCoding, ENCODINGS, preferences, prepareDocument, select } from './document.ts';

const bytes = new TextEncoder().encode('BEGIN:VCALENDAR\r\n'.repeat(20));
const modified = Date.UTC(2026, 10, 23, 12, 0, 0) + 321;
const document = prepareDocument({
  feed: 'members',
  view: 'full',
  bytes,
  etagBasis: 'abc',
  modified,
  components: 1,
  possible: ENCODINGS,
  encoded: { gzip: bytes.slice(0, 9), br: bytes.slice(0, 8), zstd: bytes },
});
const header = (list: string[], name: string) => list[list.indexOf(name) + 1];

test('the plain form carries what a calendar client wants', () => {
  const { status, headers, body } = select(document, {});
  expect(status).toBe(200);
  expect(body).toBe(bytes);
  expect(header(headers, 'Content-Type')).toBe('text/calendar; charset=utf-8');
  expect(header(headers, 'Content-Disposition')).toBe('inline; filename="members.ics"');
  expect(header(headers, 'ETag')).toBe('"abc"');
  expect(header(headers, 'Last-Modified')).toBe('Mon, 23 Nov 2026 12:00:00 GMT');
  expect(header(headers, 'Referrer-Policy')).toBe('no-referrer');
  expect(header(headers, 'X-Robots-Tag')).toBe('noindex');
  expect(header(headers, 'Cache-Control')).toContain('private');
  expect(headers).not.toContain('Content-Encoding');
});

test('each coding has an entity tag of its own; one that saves nothing is left out', () => {
  expect([...document.representations.values()].map((r) => r.etag)).toEqual([
    '"abc"',
    '"abc-br"',
    '"abc-gzip"',
  ]);
});

test.each([
  ['gzip', 'gzip'],
  ['gzip, br', 'br'],
  ['br;q=0.5, gzip', 'gzip'],
  ['gzip;q=0', 'identity'],
  ['*', 'br'],
  ['identity, gzip;q=0.5', 'identity'],
  ['identity;q=0.5, gzip', 'gzip'],
  ['GZIP', 'gzip'],
  ['zstd', 'identity'],
  ['gzip;q=nonsense', 'identity'],
  ['', 'identity'],
])('Accept-Encoding %j is answered with %s', (accept, wanted) => {
  expect(preferences(accept).find((name) => document.representations.has(name))).toBe(wanted);
});

test.each([
  ['the same tag', { ifNoneMatch: '"abc"' }, 304],
  ['a weak form of it', { ifNoneMatch: 'W/"abc"' }, 304],
  ['a list', { ifNoneMatch: '"x", "abc"' }, 304],
  ['anything', { ifNoneMatch: '*' }, 304],
  ['another tag', { ifNoneMatch: '"x"' }, 200],
  ['the tag of another coding', { ifNoneMatch: '"abc"', acceptEncoding: 'gzip' }, 200],
  ['the tag of this coding', { ifNoneMatch: '"abc-gzip"', acceptEncoding: 'gzip' }, 304],
  ['a date not older', { ifModifiedSince: 'Mon, 23 Nov 2026 12:00:00 GMT' }, 304],
  ['an older date', { ifModifiedSince: 'Mon, 23 Nov 2026 11:59:59 GMT' }, 200],
  ['no date at all', { ifModifiedSince: 'yesterday' }, 200],
  ['another tag, though the date would do', {
    ifNoneMatch: '"x"',
    ifModifiedSince: 'Mon, 23 Nov 2026 12:00:00 GMT',
  }, 200],
])('conditional request with %s', (_, conditions, status) => {
  const selected = select(document, conditions);
  expect(selected.status).toBe(status);
  if (status === 304) {
    expect(selected.body).toBeUndefined();
    expect(selected.headers).toContain('ETag');
    expect(selected.headers).not.toContain('Content-Length');
  }
});

test('a coding is made when somebody asks; until then the next best goes out', () => {
  const young = prepareDocument({
    ...document,
    possible: ENCODINGS,
    encoded: { gzip: bytes.slice(0, 9) },
  });
  const asked: string[] = [];
  const get = (conditions: Parameters<typeof select>[1]) => {
    const { status, headers } = select(young, conditions, (_, name) => asked.push(name));
    return `${status} ${header(headers, 'ETag')}`;
  };
  expect(get({ acceptEncoding: 'gzip' })).toBe('200 "abc-gzip"');
  expect(asked).toEqual([]);
  expect(get({ acceptEncoding: 'gzip, br, zstd' })).toBe('200 "abc-gzip"');
  expect(get({ acceptEncoding: 'br' })).toBe('200 "abc"');
  expect(asked).toEqual(['br', 'br']);
  // Whoever has it from an earlier life keeps it.
  expect(get({ acceptEncoding: 'gzip, br', ifNoneMatch: '"abc-br"' })).toBe('304 "abc-br"');
  addCoding(young, 'br', bytes.slice(0, 8));
  expect(get({ acceptEncoding: 'gzip, br' })).toBe('200 "abc-br"');
  addCoding(young, 'zstd', bytes);
  expect(get({ acceptEncoding: 'zstd' })).toBe('200 "abc"');
});
