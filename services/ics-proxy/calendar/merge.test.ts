import { describe, expect, test } from 'vitest';
import { calendar, event, feed, text } from './testing/calendars.ts';

describe('UIDs', () => {
  test('the same content from two sources is one event', () => {
    const one = calendar(event('a', 'SUMMARY:Open evening'));
    const result = feed({ space: one, copy: one });
    expect(text(result).match(/BEGIN:VEVENT/g)).toHaveLength(1);
    expect(result.report.duplicates).toEqual([{ source: 'space', uid: 'a', of: 'copy' }]);
  });

  test('DTSTAMP and folds do not make content differ', () => {
    const result = feed({
      a: calendar(event('x', 'DESCRIPTION:one two three')),
      b: calendar(
        event('x', 'DESCRIPTION:one \r\n two three').replace(
          /DTSTAMP:.*/,
          'DTSTAMP:20270101T000000Z',
        ),
      ),
    });
    expect(result.components).toBe(1);
  });

  test('the same UID with other content goes out under a new one, overrides and RELATED-TO too', () => {
    const result = feed({
      a: calendar(event('x', 'SUMMARY:Welding')),
      b: calendar(
        event('x', 'SUMMARY:Sewing', 'RRULE:FREQ=WEEKLY'),
        event('x', 'SUMMARY:Sewing, late', 'RECURRENCE-ID:20261201T190000Z'),
        event('y', 'SUMMARY:After sewing', 'RELATED-TO:x'),
      ),
    });
    expect(result.report.renamedUids).toHaveLength(1);
    const { to } = result.report.renamedUids[0]!;
    expect(text(result).match(new RegExp(`^UID:${to}\r$`, 'gm'))).toHaveLength(2);
    expect(text(result)).toContain(`RELATED-TO:${to}\r\n`);
    expect(text(result).match(/^UID:x\r$/gm)).toHaveLength(1);
  });

  test('two events of one source with one UID are both shown', () => {
    const result = feed({ a: calendar(event('x', 'SUMMARY:One'), event('x', 'SUMMARY:Two')) });
    expect(result.components).toBe(2);
    expect(result.report.counts.renamedUids).toBe(1);
  });

  test('a higher SEQUENCE replaces what it revises', () => {
    const result = feed({
      a: calendar(event('x', 'SUMMARY:New', 'SEQUENCE:2'), event('x', 'SUMMARY:Old', 'SEQUENCE:1')),
    });
    expect(text(result)).toContain('SUMMARY:New');
    expect(text(result)).not.toContain('SUMMARY:Old');
    expect(result.report.dropped[0]).toMatchObject({ uid: 'x', source: 'a' });
  });
});

test('an untouched component leaves byte for byte, its own folds and cases included', () => {
  const raw = event('a', 'summary;x-odd=1;CN="a;b":short\r\n \tfold', 'X-Unknown:\\n kept');
  expect(text(feed({ a: calendar(raw) }))).toContain(raw);
});

test('the order of sources does not show', () => {
  const a = calendar(event('x', 'SUMMARY:1'), event('y', 'SUMMARY:2'));
  const b = calendar(event('x', 'SUMMARY:3'), event('z', 'SUMMARY:4'));
  expect(text(feed({ a, b }))).toBe(text(feed({ b, a })));
});

test('an empty feed still holds one component', () => {
  const result = feed({ a: calendar() });
  expect(result.components).toBe(0);
  expect(text(result)).toContain('BEGIN:VTIMEZONE\r\nTZID:Etc/UTC\r\n');
});

test('a group stands where what is left of it begins', () => {
  const lost = event('x', 'DTSTART;TZID=Nowhere:20200101T100000');
  const left = event('x', 'DTSTART:20270101T100000Z', 'RECURRENCE-ID:20270101T090000Z');
  const once = feed({ a: calendar(lost, left, event('y', 'DTSTART:20260101T100000Z')) });
  expect(text(feed({ b: text(once) }))).toBe(text(once));
  expect(text(once).indexOf('UID:y')).toBeLessThan(text(once).indexOf('UID:x'));
});
