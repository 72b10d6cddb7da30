import { formatter } from './zone-names.ts';
import { LAST_YEAR, type Transition } from './zone-rules.ts';
import { msToLocal } from './values.ts';

const FIRST_YEAR = 1970;
const DAY = 86_400_000;
/** No zone has kept an offset for less than this (Ramadan in Morocco: four weeks). */
const STEP = 14 * DAY;

const cache = new Map<string, readonly string[]>();

/**
 * The observances of an IANA zone as lines, without TZID: from the runtime's own time zone data, 1970
 * to 2045. What repeats by a weekday-of-month rule until then is an RRULE without end.
 */
export function ianaObservances(zone: string): readonly string[] {
  let lines = cache.get(zone);
  if (!lines) cache.set(zone, lines = observances(ianaTransitions(zone)));
  return lines;
}

/** Observances of a zone that never changes its offset. */
export function fixedObservances(offset: number): readonly string[] {
  return observances([{ at: -Infinity, offset }]);
}

/** Changes of offset of an IANA zone, found by halving; the first entry holds before 1970. */
export function ianaTransitions(zone: string): Transition[] {
  const format = formatter(zone)!;
  const start = Date.UTC(FIRST_YEAR, 0, 1);
  const end = Date.UTC(LAST_YEAR, 11, 31);
  let offset = offsetOf(format, start);
  const found: Transition[] = [{ at: -Infinity, offset }];
  for (let at = start; at < end; at += STEP) {
    const next = Math.min(at + STEP, end);
    const after = offsetOf(format, next);
    if (after === offset) continue;
    let low = at / 1000;
    let high = next / 1000;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offsetOf(format, middle * 1000) === offset) low = middle;
      else high = middle;
    }
    found.push({ at: high * 1000, offset: offset = after });
  }
  return found;
}

/** Seconds east of UTC, read from the tail of `11/23/2026, GMT+01:00`. */
export function offsetOf(format: Intl.DateTimeFormat, at: number): number {
  const text = format.format(at);
  const sign = text.indexOf('GMT') + 3;
  if (sign >= text.length) return 0;
  const [hours = '0', minutes = '0', seconds = '0'] = text.slice(sign + 1).split(':');
  const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return text.charCodeAt(sign) === 43 ? size : -size;
}

interface Run {
  from: number;
  to: number;
  /** Local times of onset, by the offset before. */
  at: number[];
  month: number;
  weekday: number;
  clock: number;
  /** Which weekday of the month it may be called: 1..5, or -1 for the last. */
  nths: number[];
  lastYear: number;
}

const WEEKDAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];

function observances(all: readonly Transition[]): string[] {
  const base = all[0]!.offset;
  const out = observance('STANDARD', base, base, `${FIRST_YEAR}0101T000000`, []);
  const open = new Map<string, Run>();
  const runs: Run[] = [];
  for (let i = 1; i < all.length; i++) {
    const from = all[i - 1]!.offset;
    const to = all[i]!.offset;
    const local = all[i]!.at + from * 1000;
    const date = new Date(local);
    const month = date.getUTCMonth() + 1;
    const day = date.getUTCDate();
    const year = date.getUTCFullYear();
    const clock = local % DAY;
    const nths = [Math.ceil(day / 7)];
    if (day + 7 > new Date(Date.UTC(year, month, 0)).getUTCDate()) nths.push(-1);
    const key = [from, to, month, date.getUTCDay(), clock].join();
    const run = open.get(key);
    const common = run ? run.nths.filter((n) => nths.includes(n)) : [];
    if (run && common.length > 0 && run.lastYear === year - 1) {
      run.at.push(local);
      run.nths = common;
      run.lastYear = year;
    } else {
      const next = {
        from,
        to,
        at: [local],
        month,
        weekday: date.getUTCDay(),
        clock,
        nths,
        lastYear: year,
      };
      open.set(key, next);
      runs.push(next);
    }
  }
  const single = new Map<string, Run>();
  for (const run of runs) {
    // A rule that has ended is written as dates: python-icalendar 4 (khal, Debian 12) refuses the
    // whole calendar for an UNTIL in UTC beside a local DTSTART, which RFC 5545 demands here.
    if (run.at.length > 2 && run.lastYear >= LAST_YEAR) {
      out.push(...ruled(run));
      continue;
    }
    const key = `${run.from} ${run.to}`;
    const same = single.get(key);
    if (same) same.at.push(...run.at);
    else single.set(key, run);
  }
  for (const { from, to, at } of single.values()) {
    const dates = at.sort((a, b) => a - b).map(msToLocal);
    // Readers that see an RDATE may not count DTSTART: it is named again.
    const more = dates.length > 1 ? dates.map((d) => `RDATE:${d}`) : [];
    out.push(...observance(kindOf(from, to), from, to, dates[0]!, more));
  }
  return out;
}

function ruled(run: Run): string[] {
  const { from, to, at, month, weekday, nths } = run;
  const nth = nths.includes(-1) ? -1 : nths[0]!;
  const rule = `RRULE:FREQ=YEARLY;BYMONTH=${month};BYDAY=${nth}${WEEKDAYS[weekday]}`;
  return observance(kindOf(from, to), from, to, msToLocal(at[0]!), [rule]);
}

function kindOf(from: number, to: number): 'DAYLIGHT' | 'STANDARD' {
  return to > from ? 'DAYLIGHT' : 'STANDARD';
}

function observance(
  kind: 'DAYLIGHT' | 'STANDARD',
  from: number,
  to: number,
  start: string,
  more: string[],
): string[] {
  return [
    `BEGIN:${kind}`,
    `DTSTART:${start}`,
    `TZOFFSETFROM:${offsetText(from)}`,
    `TZOFFSETTO:${offsetText(to)}`,
    `TZNAME:${offsetText(to)}`,
    ...more,
    `END:${kind}`,
  ];
}

/** `+0130`; seconds only where a zone has them. */
export function offsetText(offset: number): string {
  const size = Math.abs(offset);
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  const seconds = size % 60 === 0 ? '' : two(size % 60);
  return `${offset < 0 ? '-' : '+'}${two(size / 3600)}${two(size % 3600 / 60)}${seconds}`;
}
