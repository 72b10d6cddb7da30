import { expect, test } from 'vitest';
import { addDays, dayOf, dayTitle, isDay, startOfDay, timeOf } from './days.ts';

test.each([
  ['2026-11-23', 'UTC', '2026-11-23T00:00:00Z'],
  ['2026-11-23', 'Europe/Berlin', '2026-11-22T23:00:00Z'],
  ['2026-03-29', 'Europe/Berlin', '2026-03-28T23:00:00Z'],
  ['2026-11-23', 'America/New_York', '2026-11-23T05:00:00Z'],
  ['2026-11-23', 'Pacific/Kiritimati', '2026-11-22T10:00:00Z'],
  // Midnight is skipped there on that day.
  ['2024-09-08', 'America/Santiago', '2024-09-08T04:00:00Z'],
  ['2018-11-04', 'America/Sao_Paulo', '2018-11-04T03:00:00Z'],
  // Midnight comes twice there on that day: the first one counts.
  ['2024-11-03', 'America/Havana', '2024-11-03T04:00:00Z'],
])('%s in %s starts at %s', (day, zone, at) => {
  expect(new Date(startOfDay(day, zone)).toISOString()).toBe(at.replace('Z', '.000Z'));
});

test('a day knows its name and its neighbours', () => {
  expect(dayTitle('2026-11-23', '2026-11-01')).toBe('Monday 23 November');
  expect(dayTitle('2027-01-01', '2026-11-01')).toBe('Friday 1 January 2027');
  expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
  expect(dayOf(Date.UTC(2026, 10, 23, 23, 30), 'Europe/Berlin')).toBe('2026-11-24');
  expect(timeOf(Date.UTC(2026, 10, 23, 23, 30), 'Asia/Kolkata')).toBe('05:00');
});

test.each(['2026-02-30', '0001-01-01', '2026-1-1', '2026-01-01T00:00', '9999-01-01', ''])(
  '%j is no day',
  (text) => expect(isDay(text)).toBe(false),
);
