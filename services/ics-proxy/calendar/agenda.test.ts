import { expect, test } from 'vitest';
import { agenda, type AgendaOptions } from './agenda.ts';
import { calendar, event, feed } from './testing/calendars.ts';

const span: AgendaOptions = {
  from: Date.UTC(2026, 9, 20),
  to: Date.UTC(2026, 10, 10),
  zone: 'Europe/Berlin',
};
function starts(raw: string, more: Partial<AgendaOptions> = {}): string[] {
  return agenda(feed({ s: calendar(raw) }), { ...span, ...more })
    .map((o) => new Date(o.start).toISOString().slice(0, 16));
}

test('a weekly event keeps its wall clock when the clocks change', () => {
  const raw = event('a', 'DTSTART;TZID=Europe/Berlin:20260106T190000', 'RRULE:FREQ=WEEKLY');
  expect(starts(raw)).toEqual([
    '2026-10-20T17:00',
    '2026-10-27T18:00',
    '2026-11-03T18:00',
  ]);
});

test('EXDATE takes out, RDATE puts in, an override moves', () => {
  const raw = event(
    'a',
    ...['DTSTART:20261020T100000Z', 'RRULE:FREQ=WEEKLY;COUNT=4', 'EXDATE:20261027T100000Z'],
    ...['RDATE:20261028T100000Z', 'SUMMARY:x'],
  ) + event('a', 'RECURRENCE-ID:20261103T100000Z', 'DTSTART:20261104T120000Z', 'SUMMARY:moved');
  expect(starts(raw)).toEqual(['2026-10-20T10:00', '2026-10-28T10:00', '2026-11-04T12:00']);
});

test('UNTIL in UTC bounds a rule of another zone', () => {
  const raw = event(
    'a',
    'DTSTART;TZID=America/New_York:20261020T200000',
    'RRULE:FREQ=DAILY;UNTIL=20261023T000000Z',
  );
  expect(starts(raw)).toEqual(['2026-10-21T00:00', '2026-10-22T00:00', '2026-10-23T00:00']);
});

test('all-day events are days of the reader, over a change of the clocks too', () => {
  const raw = event('a', 'DTSTART;VALUE=DATE:20261025', 'DTEND;VALUE=DATE:20261026');
  const [one] = agenda(feed({ s: calendar(raw) }), span);
  expect(one).toMatchObject({
    allDay: true,
    start: Date.UTC(2026, 9, 24, 22),
    end: Date.UTC(2026, 9, 25, 23),
  });
});

test('a zone of its own rules is read by them', () => {
  const zone = 'BEGIN:VTIMEZONE\r\nTZID:Ship\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n' +
    'TZOFFSETFROM:+0545\r\nTZOFFSETTO:+0545\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n';
  expect(starts(zone + event('a', 'DTSTART;TZID=Ship:20261101T120000'))).toEqual([
    '2026-11-01T06:15',
  ]);
});

test('what began before and is not over is there; what is over is not', () => {
  expect(starts(event('a', 'DTSTART:20261001T100000Z', 'DTEND:20261021T100000Z'))).toHaveLength(1);
  expect(starts(event('a', 'DTSTART:20261001T100000Z', 'DTEND:20261019T100000Z'))).toHaveLength(0);
});

test('an occurrence knows its source, its texts unescaped, whether it takes time', () => {
  const result = feed({
    space: calendar(
      event('a', 'DTSTART:20261101T100000Z', 'SUMMARY:one\\, two\\nthree', 'TRANSP:TRANSPARENT'),
    ),
  });
  expect(agenda(result, span)[0]).toMatchObject({
    source: 'space',
    summary: 'one, two\nthree',
    busy: false,
    cancelled: false,
  });
});

test('the limit keeps the earliest', () => {
  const raw = event('a', 'DTSTART:20261020T100000Z', 'RRULE:FREQ=HOURLY');
  expect(starts(raw, { limit: 2 })).toEqual(['2026-10-20T10:00', '2026-10-20T11:00']);
});
