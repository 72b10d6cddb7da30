import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCalendar } from './components.ts';
import { merge } from './merge.ts';
import { calendar, event, options } from './testing/calendars.ts';

const encoder = new TextEncoder();

/** All that a later step can see of a calendar, and the feeds made of it. */
function seen(bytes: Uint8Array, previous?: Uint8Array[]) {
  const policy = { prefix: 'p ', category: 'c', assumeTimezone: 'Asia/Tokyo' };
  const feed = (parsed: ReturnType<typeof parseCalendar>) =>
    (['full', 'busy'] as const).map((view) => {
      const made = merge([{ id: 's', calendar: parsed, policy }], options({ view }));
      return [made.etagBasis, Buffer.from(made.bytes).toString(), made.report];
    });
  let last: ReturnType<typeof parseCalendar> | undefined;
  for (const earlier of previous ?? []) {
    last = parseCalendar(earlier, last);
    feed(last);
  }
  const parsed = parseCalendar(bytes, last);
  const { header, quarantined, quarantinedCount, mends, calendars, components } = parsed;
  const rows = components.map((c) => {
    const { start, end, type, uid, uidHash, recurrenceId, stampStart, stampEnd, startKey } = c;
    const tzids = c.tzids.map((i) => parsed.tzids[i]);
    return [start, end, type, uid, uidHash, recurrenceId, stampStart, stampEnd, startKey, tzids]
      .concat(c.has, c.sequence, c.calendar, c.index, c.hash);
  });
  return { header, quarantined, quarantinedCount, mends, calendars, rows, feed: feed(parsed) };
}

const ZONE = 'BEGIN:VTIMEZONE\r\nTZID:Here\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n' +
  'TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n';
const one = fc.tuple(fc.nat(12), fc.nat(3), fc.constantFrom('', 'x', 'fold', 'late')).map(
  ([uid, kind, mark]) => {
    const lines = [`SUMMARY:${mark}${mark === 'fold' ? `\r\n ${'y'.repeat(20)}` : ''}`];
    if (kind === 1) lines.push('DTSTART;TZID=Here:20260101T000000', `DTEND;TZID=T${uid}:20260102`);
    if (kind === 2) lines.push('RECURRENCE-ID:20260101T000000Z');
    if (kind === 3 && uid === 3) return ZONE;
    if (kind === 3 && uid === 4) return 'BEGIN:VEVENT\r\nSUMMARY:no start\r\nEND:VEVENT\r\n';
    if (kind === 3 && uid === 5) return 'BEGIN:VEVENT\r\nDTSTART:20260101\r\nEND:VEVENT\r\n';
    if (kind === 3 && uid === 6) return 'END:VCALENDAR\r\nBEGIN:VCALENDAR\r\n';
    if (kind === 3 && uid === 7) return 'X-STRAY:1\r\n';
    return event(uid === 9 ? `long\r\n  ${uid}` : `u${uid}`, ...lines);
  },
);
const list = fc.array(one, { maxLength: 25 });
const text = fc.tuple(list, fc.constantFrom('', '\r\n END', '\n', 'BEGIN:VEVENT\r\nUID:cut\r\n'));
const bytesOf = ([parts, tail]: [string[], string]) => encoder.encode(calendar(...parts) + tail);

describe('a calendar that was read before', () => {
  test('is seen as when it is read for the first time', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), text, (earlier, last) => {
        const now = bytesOf(last);
        expect(seen(now, earlier.map(bytesOf))).toEqual(seen(now));
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 200) },
    );
  });

  test('is seen so when some of it was changed, moved, put in or taken out', () => {
    const change = fc.tuple(fc.nat(30), fc.constantFrom('drop', 'put', 'swap', 'edit'), one);
    fc.assert(
      fc.property(list, fc.array(change, { maxLength: 5 }), (parts, changes) => {
        const before = bytesOf([parts, '']);
        const after = [...parts];
        for (const [place, how, part] of changes) {
          const at = place % (after.length + 1);
          if (how === 'drop') after.splice(at, 1);
          else if (how === 'put') after.splice(at, 0, part);
          else if (how === 'swap') after.push(...after.splice(at, 1));
          else if (at < after.length) after[at] = after[at]!.replace('SUMMARY:', 'SUMMARY:new ');
        }
        const now = bytesOf([after, '']);
        expect(seen(now, [before])).toEqual(seen(now));
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 200) },
    );
  });

  test('lets go of what it was before', () => {
    let last = parseCalendar(encoder.encode(calendar(event('a', 'DTSTART;TZID=Z0:20260101'))));
    for (let i = 0; i < 120; i++) {
      last = parseCalendar(
        encoder.encode(calendar(event('a', `DTSTART;TZID=Z${i}:20260101`), event('b'))),
        last,
      );
    }
    expect(last.tzids.length).toBeLessThan(60);
    expect(last.table.generation).toBeLessThan(60);
  });

  test('that has not changed is the same one', () => {
    const bytes = encoder.encode(calendar(event('a')));
    const parsed = parseCalendar(bytes);
    expect(parseCalendar(Uint8Array.from(bytes), parsed)).toBe(parsed);
  });
});
