import { calendar, event } from './calendars.ts';

/** Inputs made to cost a parser dearly. `size` 1 is the full attack; tests use less, benches all. */
export interface Hostile {
  name: string;
  make(size: number): Uint8Array;
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}
function many(count: number, item: (i: number) => string): string {
  return Array.from({ length: Math.max(1, Math.round(count)) }, (_, i) => item(i)).join('');
}

export const HOSTILE: readonly Hostile[] = [
  { name: 'one line of 25 MB', make: (s) => bytes('x'.repeat(25e6 * s)) },
  {
    name: 'one SUMMARY of 25 MB',
    make: (s) => bytes(calendar(event('a', `SUMMARY:${'é'.repeat(12.5e6 * s)}`))),
  },
  { name: '10 M BEGINs', make: (s) => bytes('BEGIN:VEVENT\n'.repeat(1e7 * s)) },
  {
    name: 'nested 100,000 deep',
    make: (s) =>
      bytes(
        calendar(
          event('a', `${'BEGIN:X-A\r\n'.repeat(1e5 * s)}${'END:X-A\r\n'.repeat(1e5 * s)}X-Z:1`),
        ),
      ),
  },
  {
    name: '1 M folds of one octet',
    make: (s) => bytes(calendar(event('a', `SUMMARY:${'\r\n a'.repeat(1e6 * s)}`))),
  },
  {
    name: '1 M folds in a name',
    make: (s) => bytes(calendar(event('a', `${'X\r\n '.repeat(1e6 * s)}:a`))),
  },
  {
    name: '1 M folds among parameters',
    make: (s) => bytes(calendar(event('a', `X${';A=b\r\n '.repeat(1e6 * s)}:a`))),
  },
  { name: 'a UID of 10 MB', make: (s) => bytes(calendar(event('u'.repeat(1e7 * s)))) },
  {
    name: '10,000 TZIDs, defined',
    make: (s) =>
      bytes(calendar(
        many(1e4 * s, (i) =>
          `BEGIN:VTIMEZONE\r\nTZID:Z${i}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n` +
          `TZOFFSETFROM:+0000\r\nTZOFFSETTO:+0${
            i % 10
          }00\r\nRRULE:FREQ=SECONDLY\r\nEND:STANDARD\r\n` +
          'END:VTIMEZONE\r\n'),
        many(1e4 * s, (i) =>
          event(`e${i}`, `DTSTART;TZID=Z${i}:20261124T190000`)),
      )),
  },
  {
    name: '10,000 TZIDs, undefined',
    make: (s) =>
      bytes(
        calendar(
          many(
            1e4 * s,
            (i) => event(`e${i}`, `DTSTART;TZID=/x/${i}/Europe/Berlin:20261124T190000`),
          ),
        ),
      ),
  },
  {
    name: 'one event with 10,000 TZIDs',
    make: (s) =>
      bytes(
        calendar(event(
          'a',
          ...Array.from({ length: 1e4 * s }, (_, i) => `X-A;TZID=/x/${i}/Europe/Berlin:1`),
          'X:1',
        )),
      ),
  },
  {
    name: 'an EXDATE list of 1 MB',
    make: (s) =>
      bytes(
        calendar(event(
          'a',
          'RRULE:FREQ=DAILY',
          `EXDATE:${many(62_500 * s, () => '20261124T190000Z,')}20261125T190000Z`,
        )),
      ),
  },
  {
    name: 'FREQ=SECONDLY everywhere',
    make: (s) =>
      bytes(
        calendar(many(2e4 * s, (i) =>
          event(`e${i}`, 'RRULE:FREQ=SECONDLY;COUNT=2000000000', 'DTSTART:19700101T000000Z'))),
      ),
  },
  {
    name: '100,000 events of one UID',
    make: (s) => bytes(calendar(many(1e5 * s, (i) => event('u', `X-N:${i}`)))),
  },
  {
    name: '100,000 overrides of one UID',
    make: (s) =>
      bytes(calendar(many(1e5 * s, (i) => {
        const at = new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString().replace(
          /[-:]|\.000/g,
          '',
        );
        return event('u', `RECURRENCE-ID:${at}`, `DTSTART:${at}`);
      }))),
  },
  {
    name: 'quotes that never close',
    make: (s) => bytes(calendar(event('a', 'X;A="'.repeat(2e6 * s)))),
  },
  {
    name: 'a million blank lines',
    make: (s) => bytes('\n'.repeat(1e6 * s) + calendar(event('a'))),
  },
  {
    name: 'bare CRs',
    make: (s) => bytes(calendar(many(2e4 * s, (i) => event(`e${i}`))).replaceAll('\r\n', '\r')),
  },
  {
    name: 'every byte value',
    make: (s) => Uint8Array.from({ length: 5e6 * s }, (_, i) => (i * 7 + (i >> 8)) & 255),
  },
  {
    name: 'overlong UTF-8 and lone surrogates',
    make: (s) =>
      Buffer.concat([
        Buffer.from(
          'BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:20261124T190000Z\r\nSUMMARY:',
        ),
        Buffer.alloc(Math.round(5e6 * s), Buffer.from([0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf8, 0x88])),
        Buffer.from('\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'),
      ]),
  },
  {
    name: 'END:VEVENT inside values',
    make: (s) =>
      bytes(
        calendar(
          many(2e4 * s, (i) => event(`e${i}`, 'SUMMARY:x\\nEND:VEVENT', 'X:\r\n END:VEVENT')),
        ),
      ),
  },
  {
    name: 'alternating TZIDs and floating times in 10,000 VCALENDARs',
    make: (s) =>
      bytes(many(1e4 * s, (i) =>
        calendar(
          `BEGIN:VTIMEZONE\r\nTZID:Z\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\n` +
            `TZOFFSETTO:+${String(i % 24).padStart(2, '0')}00\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n`,
          event(`e${i}`, 'DTSTART;TZID=Z:20261124T190000'),
        ))),
  },
];
