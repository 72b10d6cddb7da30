import { describe, expect, test } from 'vitest';
import { agenda } from './agenda.ts';
import { parseCalendar } from './components.ts';
import { merge } from './merge.ts';
import { calendar, event, feed, NOW, options, text } from './testing/calendars.ts';
import { HOSTILE } from './testing/hostile.ts';
import { faultsOf } from './testing/validator.ts';

const DAY = 86_400_000;

describe('a hundredth of each attack, merged with a calendar in order', () => {
  test.each(HOSTILE.map((h) => [h.name, h] as const))('%s', (_, hostile) => {
    const sources = [
      hostile.make(0.01),
      new TextEncoder().encode(calendar(event('good', 'SUMMARY:Here'))),
    ]
      .map((bytes, i) => ({
        id: `s${i}`,
        calendar: parseCalendar(bytes),
        policy: { prefix: 'p ' },
      }));
    const result = merge(sources, options({ budgetBytes: Infinity }));
    expect(text(result)).toContain('SUMMARY:p Here');
    expect(faultsOf(result.bytes)).toEqual([]);
    const busy = merge(sources, options({ view: 'busy' }));
    expect(faultsOf(busy.bytes)).toEqual([]);
    expect(busy.bytes.length).toBeLessThanOrEqual(1_000_000);
    expect(result.report.quarantined.length).toBeLessThanOrEqual(1000);
    for (const { bytes } of result.report.quarantined) {
      expect(bytes.length).toBeLessThanOrEqual(2048);
    }
  });
});

test('END:VEVENT inside a value ends nothing', () => {
  const raw = event('a', 'SUMMARY:x\\nEND:VEVENT', 'DESCRIPTION:y\r\n END:VEVENT', 'LOCATION:kept');
  expect(text(feed({ s: calendar(raw) }))).toContain(raw);
});

test('an agenda of rules that never end, or never happen, ends', () => {
  const raw = calendar(
    event('a', 'DTSTART:19700101T000000Z', 'RRULE:FREQ=SECONDLY'),
    event('b', 'DTSTART:19700101T000000Z', 'RRULE:FREQ=SECONDLY;COUNT=2000000000'),
    event('c', 'DTSTART:20260101T000000Z', 'RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30'),
    event('d', 'DTSTART:20260101T000000Z', 'RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30'),
    event('e', 'DTSTART:20261124T000000Z', 'RRULE:FREQ=DAILY;INTERVAL=999999999999999'),
    event('f', 'DTSTART:00010101T000000Z', 'RRULE:FREQ=MINUTELY;INTERVAL=7;BYDAY=MO'),
    event('g', 'SUMMARY:Plain'),
  );
  const found = agenda(feed({ s: raw }), {
    from: NOW,
    to: NOW + 30 * DAY,
    zone: 'Europe/Berlin',
    limit: 5000,
  });
  expect(found.some((o) => o.summary === 'Plain')).toBe(true);
  expect(found.length).toBeLessThanOrEqual(5000);
});

test('an agenda of anything at all never throws', () => {
  for (const { make } of HOSTILE) {
    expect(Array.isArray(agenda(make(0.001), { from: NOW, to: NOW + 7 * DAY, zone: 'Nowhere' })))
      .toBe(true);
  }
});
