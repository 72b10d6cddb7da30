import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCalendar } from './components.ts';
import { merge, type MergeSource } from './merge.ts';
import { calendar, event, feed, options, text } from './testing/calendars.ts';
import { faultsOf } from './testing/validator.ts';

const runs = Number(process.env.FUZZ_RUNS ?? 200);
const encoder = new TextEncoder();

/** Lines that a calendar might hold, right and wrong, put together at random. */
const soup = fc.array(
  fc.oneof(
    fc.constantFrom(
      ...[
        'BEGIN:VCALENDAR',
        'END:VCALENDAR',
        'BEGIN:VEVENT',
        'END:VEVENT',
        'begin:vevent',
        'end:vevent',
      ],
      ...[
        'BEGIN:VTODO',
        'END:VTODO',
        'BEGIN:VALARM',
        'END:VALARM',
        'BEGIN:X-A',
        'END:X-A',
        'BEGIN:',
      ],
      ...[
        'BEGIN:VTIMEZONE',
        'END:VTIMEZONE',
        'TZID:A',
        'BEGIN:STANDARD',
        'END:STANDARD',
        'TZID:A\\,b',
      ],
      ...['TZOFFSETFROM:+0100', 'TZOFFSETTO:+0200', 'DTSTART:20260101T000000', 'DTSTART:20260230'],
      ...['UID:a', 'UID:b', 'UID:', 'UID', 'DTSTAMP:20260101T000000Z', 'DTSTAMP:x', 'SEQUENCE:2'],
      ...['DTSTART;TZID=A:20260101T000000', 'DTSTART;TZID="A,b":20260101T000000', 'METHOD:PUBLISH'],
      ...['DTSTART;TZID=Europe/Berlin:20260101T000000', 'DTEND;TZID=Nowhere:20260101T000000'],
      ...['RECURRENCE-ID:20260101T000000Z', 'RRULE:FREQ=DAILY', 'RRULE:FREQ=', 'CLASS:PRIVATE'],
      ...[
        'SUMMARY:END:VEVENT',
        'DESCRIPTION:ä€😀',
        'X;A="',
        'X;A=b"c:d',
        ' folded',
        '\tfolded',
        '',
        ' ',
      ],
      ...[
        'X-WR-TIMEZONE:Europe/Paris',
        '  BEGIN:VEVENT',
        '  UID:i',
        'SUM',
        ' MARY:y',
        '\ufeff',
        'A;B:c',
      ],
    ),
    fc.string({ maxLength: 120 }),
    fc.string({ unit: 'binary', maxLength: 90 }),
  ).chain((line) => fc.constantFrom('\r\n', '\n', '\r', '\r\n', '\r\n').map((end) => line + end)),
  { maxLength: 60 },
).map((lines) => encoder.encode(lines.join('')));

const wild = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 400 }) },
  { weight: 4, arbitrary: soup },
  // A sound calendar with some bytes overwritten.
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      fc.constantFrom(
        'SUMMARY:é😀 long enough to be folded somewhere in the middle of it all, twice',
        'X:',
      ),
    ).map(([changes, line]) => {
      const bytes = encoder.encode(
        calendar(
          event('a', line),
          event('b', 'DTSTART;TZID=America/New_York:20260101T100000', line),
        ),
      );
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    }),
  },
);

const shown = { private: 'show' } as const;

describe('any bytes', () => {
  test('make a valid calendar, in either view', () => {
    fc.assert(
      fc.property(wild, wild, (a, b) => {
        const sources: MergeSource[] = [a, b].map((bytes, i) => ({
          id: `s${i}`,
          calendar: parseCalendar(bytes),
          policy: i === 0 ? { prefix: 'ä, ', category: 'x;y', color: 'red', dropAlarms: true } : {},
        }));
        const result = merge(sources, options());
        expect(faultsOf(result.bytes)).toEqual([]);
        expect(result.report.quarantined.map((q) => q.reason)).not.toContain(
          'The lines cannot be read',
        );
        expect(faultsOf(merge(sources, options({ view: 'busy' })).bytes)).toEqual([]);
      }),
      { numRuns: runs },
    );
  });

  test('come out the same when they go through twice', () => {
    fc.assert(
      fc.property(wild, wild, (a, b) => {
        const sources = [a, b].map((bytes, i) => ({
          id: `s${i}`,
          calendar: parseCalendar(bytes),
          policy: shown,
        }));
        const once = merge(sources, options());
        const again = { id: 'again', calendar: parseCalendar(once.bytes), policy: shown };
        const twice = merge([again], options());
        expect(text(twice)).toBe(text(once));
        expect(twice.report.quarantined).toEqual([]);
      }),
      { numRuns: runs },
    );
  });

  test('make the same feed whatever the order of the sources', () => {
    fc.assert(
      fc.property(fc.array(wild, { maxLength: 4 }), (all) => {
        const sources = all.map((bytes, i) => ({
          id: `s${i}`,
          calendar: parseCalendar(bytes),
          policy: shown,
        }));
        const one = merge(sources, options());
        const two = merge(sources.toReversed(), options());
        expect(text(two)).toBe(text(one));
        expect(two.etagBasis).toBe(one.etagBasis);
      }),
      { numRuns: runs },
    );
  });
});

test('no component is lost or doubled, whatever UIDs they share', () => {
  const one = fc.record({
    source: fc.nat(3),
    uid: fc.constantFrom('a', 'b', 'c', 'd'),
    override: fc.constantFrom(
      '',
      'RECURRENCE-ID:20261201T190000Z',
      'RECURRENCE-ID;VALUE=DATE:20261202',
    ),
    day: fc.integer({ min: 10, max: 28 }),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 30 }), (specs) => {
      const texts: Record<string, string[]> = { s0: [], s1: [], s2: [], s3: [] };
      specs.forEach(({ source, uid, override, day }, i) => {
        const lines = [
          `DTSTART:202611${day}T190000Z`,
          `X-MARK:${i}.`,
          ...(override ? [override] : []),
        ];
        texts[`s${source}`]!.push(event(uid, ...lines));
      });
      const out = text(
        feed(
          Object.fromEntries(Object.entries(texts).map(([id, list]) => [id, calendar(...list)])),
        ),
      );
      const marks = [...out.matchAll(/X-MARK:(\d+)\./g)].map((m) => Number(m[1]));
      expect(marks.sort((a, b) => a - b)).toEqual(specs.map((_, i) => i));
    }),
    { numRuns: runs },
  );
});

test('the ETag is blind to DTSTAMP and to nothing else', () => {
  const mark = fc.string({ minLength: 1, maxLength: 20 }).map((s) => s.replace(/[^a-z0-9]/gi, 'x'));
  fc.assert(
    fc.property(mark, mark, fc.integer({ min: 1, max: 28 }), (a, b, day) => {
      const stamp = `DTSTAMP:202602${String(day).padStart(2, '0')}T000000Z`;
      const one = feed({ s: calendar(event('u', `SUMMARY:${a}`)) });
      const two = feed({ s: calendar(event('u', `SUMMARY:${b}`)).replace(/DTSTAMP:.*/, stamp) });
      expect(two.etagBasis === one.etagBasis).toBe(a === b);
    }),
    { numRuns: runs },
  );
});
