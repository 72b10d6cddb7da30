import { expect, test } from 'vitest';
import { parseCalendar } from './components.ts';
import { merge } from './merge.ts';
import { calendar, event, options } from './testing/calendars.ts';

const ZONE = (tzid: string, offset: string) =>
  `BEGIN:VTIMEZONE\r\nTZID:${tzid}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n` +
  `TZOFFSETFROM:${offset}\r\nTZOFFSETTO:${offset}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n`;
const text = (size: number) =>
  `DESCRIPTION:x${'\r\n  yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'.repeat(size / 35)}`;

function feed(bytes: string, view: 'full' | 'busy'): string {
  const parse = (text: string) => parseCalendar(new TextEncoder().encode(text));
  const sources = [
    parse(calendar(ZONE('Here', '+0100'), event('a', 'DTEND;TZID=Here:20260101T000000'))),
  ]
    .concat(parse(bytes))
    .map((calendar, i) => ({ id: `s${i}`, calendar, policy: { prefix: 'p ' } }));
  return Buffer.from(merge(sources, options({ view, budgetBytes: Infinity })).bytes).toString();
}

test.each([10_000, 262_000, 262_100, 262_144, 262_200, 600_000])(
  'an event with a text of %i octets is read, renamed and redacted as a small one is',
  (size) => {
    const one = (description: string) =>
      calendar(
        ZONE('Here', '+0200'),
        event('small', 'SUMMARY:s'),
        event(
          'big',
          'EXDATE;TZID=Here:20260101T000000',
          description,
          'EXDATE;TZID=Here:20260102T000000',
          'SUMMARY:b',
        ),
        event('after', 'SUMMARY:c', 'EXDATE;TZID=Here:20260103T000000'),
      );
    expect(feed(one(text(size)), 'busy')).toBe(feed(one(text(35)), 'busy'));
    expect(feed(one(text(size)), 'full').replace(text(size), text(35))).toBe(
      feed(one(text(35)), 'full'),
    );
  },
);

test('an event with more lines than are told of at once is redacted and renamed as a whole', () => {
  const many = Array.from(
    { length: 10_000 },
    (_, i) => `EXDATE;TZID=Here:2026010${i % 9 + 1}T000000`,
  );
  for (const view of ['full', 'busy'] as const) {
    const made = feed(calendar(ZONE('Here', '+0200'), event('many', ...many)), view);
    expect(made.match(/EXDATE;TZID=Here-[0-9a-f]{8}:/g)).toHaveLength(10_000);
  }
});

test('what changes by more than is read at once is read as it is anew', () => {
  const part = (name: string) =>
    Array.from({ length: 9000 }, (_, i) => event(`${name}${i}`, 'SUMMARY:s'));
  const before = parseCalendar(Buffer.from(calendar(...part('a'), ...part('b'))));
  const bytes = Buffer.from(calendar(...part('a'), ...part('c'), ...part('b')));
  const rows = (table: typeof before.table) => table.rows.subarray(0, table.length * 16);
  expect(rows(parseCalendar(bytes, before).table)).toEqual(rows(parseCalendar(bytes).table));
});
