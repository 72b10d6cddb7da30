import ICAL from 'ical.js';
import { describe, expect, test } from 'vitest';
import { calendar, event, feed, text } from './testing/calendars.ts';
import { faultsOf } from './testing/validator.ts';
import { ianaTransitions } from './vtimezone.ts';
import { offsetAt } from './zone-rules.ts';

function zone(tzid: string, to: string, extra = ''): string {
  return `BEGIN:VTIMEZONE\r\nTZID:${tzid}\r\n${extra}BEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n` +
    `TZOFFSETFROM:${to}\r\nTZOFFSETTO:${to}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n`;
}
const at = (tzid: string) =>
  event('a', `DTSTART;TZID=${tzid}:20261124T190000`, `X-Z;TZID=${tzid}:1`);

describe('TZIDs', () => {
  test('the same name with other rules is renamed, with every reference', () => {
    const result = feed({
      a: calendar(zone('Here', '+0100'), at('Here')),
      b: calendar(zone('Here', '+0200'), at('Here').replace('UID:a', 'UID:b')),
    });
    const { to } = result.report.renamedTzids[0]!;
    expect(result.report.renamedTzids).toEqual([{ source: 'b', tzid: 'Here', to }]);
    const out = text(result);
    expect(out).toContain(`TZID:${to}\r\n`);
    expect(out).toContain(`DTSTART;TZID=${to}:20261124T190000\r\nX-Z;TZID=${to}:1\r\n`);
    expect(out).toContain('DTSTART;TZID=Here:20261124T190000\r\nX-Z;TZID=Here:1\r\n');
    expect(faultsOf(result.bytes)).toEqual([]);
  });

  test('the same rules in other words are the same zone', () => {
    const rule = (start: string) =>
      `BEGIN:VTIMEZONE\r\nTZID:Here\r\nBEGIN:DAYLIGHT\r\nDTSTART:${start}0329T020000\r\n` +
      'TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nEND:DAYLIGHT\r\n' +
      `BEGIN:STANDARD\r\nDTSTART:${start}1025T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n` +
      'RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n';
    const result = feed({
      a: calendar(rule('1970'), at('Here')),
      b: calendar(rule('2015'), at('Here').replace('UID:a', 'UID:b')),
    });
    expect(result.report.renamedTzids).toEqual([]);
    expect(text(result).match(/BEGIN:VTIMEZONE/g)).toHaveLength(1);
  });

  test('VCALENDARs of one file may differ, too', () => {
    const one = calendar(zone('Here', '+0100'), at('Here'));
    const two = calendar(zone('Here', '+0500'), at('Here').replace('UID:a', 'UID:b'));
    const result = feed({ s: one + two });
    expect(result.report.renamedTzids).toHaveLength(1);
    expect(faultsOf(result.bytes)).toEqual([]);
  });

  test.each([
    'Europe/Berlin',
    'W. Europe Standard Time',
    '/mozilla.org/20050126_1/Europe/Berlin',
    'UTC+01:00',
  ])(
    'an undefined %s gets a definition and keeps its name',
    (tzid) => {
      const quoted = tzid.includes(':') ? `"${tzid}"` : tzid;
      const result = feed({ s: calendar(at(quoted)) });
      expect(result.report.synthesisedTzids).toHaveLength(1);
      expect(text(result)).toContain(`TZID:${tzid}\r\n`);
      expect(text(result)).toContain(`DTSTART;TZID=${quoted}:`);
      expect(faultsOf(result.bytes)).toEqual([]);
    },
  );

  test('a name that means nothing quarantines what uses it, unless the source says where it is', () => {
    const raw = calendar(at('Customized Time Zone'), event('b'));
    const result = feed({ s: raw });
    expect(result.components).toBe(1);
    expect(result.report.quarantined[0]!.reason).toMatch(/TZID has no VTIMEZONE/);
    const told = feed({ s: raw.replace('PRODID', 'X-WR-TIMEZONE:Europe/Paris\r\nPRODID') });
    expect(told.components).toBe(2);
    expect(told.report.warnings[0]).toMatch(/Customized Time Zone/);
  });

  test('what nobody uses is left out', () => {
    expect(text(feed({ s: calendar(zone('Here', '+0100'), event('a')) }))).not.toContain(
      'VTIMEZONE',
    );
  });
});

describe("definitions made of the runtime's data", () => {
  const zones = [
    'Europe/Berlin',
    'Europe/Dublin',
    'America/New_York',
    'America/Sao_Paulo',
    'Asia/Kolkata',
  ]
    .concat(
      'Australia/Lord_Howe',
      'Asia/Jerusalem',
      'Europe/Istanbul',
      'Pacific/Apia',
      'Africa/Cairo',
    )
    .concat('America/Santiago', 'Asia/Tehran', 'Europe/Moscow', 'America/Vancouver', 'UTC');

  test.each(zones)('%s: ical.js reads the offsets of Intl out of it, 1985 to 2037', (name) => {
    const root = new ICAL.Component(ICAL.parse(text(feed({ s: calendar(at(name)) }))));
    const made = new ICAL.Timezone(root.getFirstSubcomponent('vtimezone')!);
    const known = ianaTransitions(name);
    for (let t = Date.UTC(1985, 0, 3, 5); t < Date.UTC(2037, 0, 1); t += 9.3 * 86_400_000) {
      const offset = offsetAt(known, t);
      // Not within a day of a change, where a wall clock time may be two instants.
      if (
        offsetAt(known, t - 86_400_000) !== offset || offsetAt(known, t + 86_400_000) !== offset
      ) continue;
      const local = new Date(t + offset * 1000);
      const time = new ICAL.Time({
        year: local.getUTCFullYear(),
        month: local.getUTCMonth() + 1,
        day: local.getUTCDate(),
        hour: local.getUTCHours(),
        minute: local.getUTCMinutes(),
        second: 0,
        isDate: false,
      }, ICAL.Timezone.localTimezone);
      expect(made.utcOffset(time), `${name} ${local.toISOString()}`).toBe(offset);
    }
  });

  test('Intl agrees with the transitions found', () => {
    for (const name of zones) {
      const format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        hourCycle: 'h23',
        year: 'numeric',
      });
      expect(format.resolvedOptions().timeZone).toBeTruthy();
      for (const { at: instant, offset } of ianaTransitions(name).slice(1)) {
        const wall = new Date(instant).toLocaleString('sv-SE', { timeZone: name });
        expect(new Date(`${wall.replace(' ', 'T')}Z`).getTime()).toBe(instant + offset * 1000);
      }
    }
  });
});

test('a TZID that each VCALENDAR of a file defines in its own way keeps each meaning', () => {
  const part = (uid: string, offset: string) =>
    calendar(
      `BEGIN:VTIMEZONE\r\nTZID:Z\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n` +
        `TZOFFSETFROM:${offset}\r\nTZOFFSETTO:${offset}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n`,
      event(uid, 'DTSTART;TZID=Z:20261124T190000'),
    );
  const out = text(
    feed({ s: part('a', '+0100') + part('b', '+0500') + part('c', '+0100') + part('d', '+0500') }),
  );
  const offsets = new Map(
    [...out.matchAll(/TZID:(\S+)\r\n(?:(?!END:VTIMEZONE)[^])*?TZOFFSETTO:(\S+)/g)].map((
      m,
    ) => [m[1], m[2]]),
  );
  const found = [...out.matchAll(/UID:([a-d])\r\n[^]*?DTSTART;TZID=([^:]+):/g)].map((m) => [
    m[1],
    offsets.get(m[2]),
  ]);
  expect(Object.fromEntries(found)).toEqual({ a: '+0100', b: '+0500', c: '+0100', d: '+0500' });
});
