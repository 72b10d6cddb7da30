import type { Buffer } from 'node:buffer';
import { unescapeText } from './lines.ts';
import { properties } from './properties.ts';
import { dateDigits, digitsToMs, readRule } from './values.ts';

/** One STANDARD or DAYLIGHT of a VTIMEZONE; offsets in seconds east of UTC. */
export interface Observance {
  daylight: boolean;
  /** DTSTART, wall clock, YYYYMMDDHHMMSS. */
  start: number;
  from: number;
  to: number;
  rule: string;
  rdates: number[];
}

/** From `at` (epoch milliseconds) on, local time is UTC plus `offset` seconds. */
export interface Transition {
  at: number;
  offset: number;
}

/** What a VTIMEZONE says about time; its name and its texts do not count. */
export interface ZoneRules {
  tzid: string;
  observances: readonly Observance[];
  /** The observances as one text: equal texts are equal rules. */
  text: string;
}

/** Rules are compared, and shown, up to this year; what repeats until then repeats for ever. */
export const LAST_YEAR = 2045;

/** Reads a VTIMEZONE. Returns what is wrong with it as a string (RFC 5545 §3.6.5). */
export function readZone(source: Buffer, start: number, end: number): ZoneRules | string {
  let tzid: string | undefined;
  const observances: Observance[] = [];
  let open: (Partial<Observance> & { rdates: number[] }) | undefined;
  for (const { name, value, depth } of properties(source, start, end)) {
    if (depth === 0 && name === 'TZID') {
      if (tzid !== undefined) return 'VTIMEZONE has two TZIDs';
      tzid = unescapeText(value);
    } else if (depth === 0 && name === 'BEGIN') {
      const kind = value.trim().toUpperCase();
      open = kind === 'DAYLIGHT' || kind === 'STANDARD'
        ? { daylight: kind === 'DAYLIGHT', rdates: [], rule: '' }
        : undefined;
    } else if (depth === 0 && name === 'END' && open) {
      const { daylight = false, start, from, to, rule = '', rdates } = open;
      if (start === undefined) return 'An observance of a VTIMEZONE has no DTSTART';
      if (from === undefined || to === undefined) {
        return 'An observance of a VTIMEZONE has no offset';
      }
      observances.push({ daylight, start, from, to, rule, rdates });
      open = undefined;
    } else if (depth === 1 && open) {
      if (name === 'DTSTART') {
        const digits = digitsOf(value);
        if (digits < 0) return 'DTSTART of a VTIMEZONE is no date';
        open.start = digits;
      } else if (name === 'TZOFFSETFROM' || name === 'TZOFFSETTO') {
        const offset = offsetSeconds(value);
        if (offset === undefined) return `${name} of a VTIMEZONE is no offset`;
        if (name === 'TZOFFSETFROM') open.from = offset;
        else open.to = offset;
      } else if (name === 'RRULE') {
        if (!readRule(value.trim())) return 'RRULE of a VTIMEZONE is malformed';
        const parts = value.trim().toUpperCase().split(';').filter((part) => part !== '').sort();
        open.rule = parts.sort((a, b) =>
          Number(b.startsWith('FREQ')) - Number(a.startsWith('FREQ'))
        )
          .join(';');
      } else if (name === 'RDATE') {
        for (const item of value.split(',')) {
          const digits = digitsOf(item.split('/')[0]!);
          if (digits >= 0) open.rdates.push(digits);
        }
      }
    }
  }
  if (tzid === undefined || tzid.trim() === '') return 'VTIMEZONE has no TZID';
  if (observances.length === 0) return 'VTIMEZONE has neither STANDARD nor DAYLIGHT';
  const text = observances.map((o) =>
    `${o.daylight ? 'D' : 'S'} ${o.start} ${o.from} ${o.to} ${o.rule} ${o.rdates.join()}`
  ).sort().join('\n');
  return { tzid, observances, text };
}

function digitsOf(value: string): number {
  const bytes = new TextEncoder().encode(value.trim().slice(0, 17));
  return dateDigits(bytes, 0, bytes.length);
}

/** `+0130`, `-013045` in seconds; the lax `+01:30` is taken too. */
export function offsetSeconds(text: string): number | undefined {
  const match = /^\s*([+-])(\d\d):?([0-5]\d):?([0-5]\d)?\s*$/.exec(text.slice(0, 32));
  if (!match || Number(match[2]) > 26) return undefined;
  const size = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
  return match[1] === '-' ? -size : size;
}

/**
 * The changes of offset the rules make, ascending; the first holds since ever. Undefined when a rule
 * is of a shape no zone of the world needs (FREQ=SECONDLY and the like): it is never expanded.
 */
export function transitions(rules: ZoneRules): readonly Transition[] | undefined {
  let known = cache.get(rules);
  if (known === undefined) cache.set(rules, known = computeTransitions(rules) ?? null);
  return known ?? undefined;
}
const cache = new WeakMap<ZoneRules, readonly Transition[] | null>();

function computeTransitions(rules: ZoneRules): Transition[] | undefined {
  const all: (Transition & { from: number })[] = [];
  for (const o of rules.observances) {
    const locals = onsets(o);
    if (!locals) return undefined;
    for (const local of locals) {
      all.push({ at: local - o.from * 1000, offset: o.to, from: o.from });
    }
  }
  all.sort((a, b) => a.at - b.at || a.offset - b.offset);
  const result: Transition[] = [{ at: -Infinity, offset: all[0]!.from }];
  for (const { at, offset } of all) {
    const last = result[result.length - 1]!;
    if (last.at === at) last.offset = offset;
    else if (last.offset !== offset) result.push({ at, offset });
  }
  return result;
}

const WEEKDAYS = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];
const SHAPE = new Set(['FREQ', 'BYMONTH', 'BYDAY', 'BYMONTHDAY', 'UNTIL', 'COUNT', 'WKST']);

/** The local times (as if UTC, milliseconds) at which an observance sets in. */
function onsets(o: Observance): number[] | undefined {
  const first = digitsToMs(o.start);
  const result = [first, ...o.rdates.map(digitsToMs)];
  if (o.rule === '') return result;
  const rule = readRule(o.rule);
  if (!rule || rule.get('FREQ') !== 'YEARLY') return undefined;
  for (const name of rule.keys()) {
    if (!SHAPE.has(name) && !(name === 'INTERVAL' && rule.get(name) === '1')) return undefined;
  }
  const start = new Date(first);
  const months = (rule.get('BYMONTH') ?? `${start.getUTCMonth() + 1}`).split(',').map(Number);
  const until = rule.get('UNTIL');
  // UNTIL is UTC; the onsets are local by the offset before them.
  const last = until === undefined ? Infinity : digitsToMs(digitsOf(until)) +
    (until.endsWith('Z') ? o.from * 1000 : until.length === 8 ? 86_399_000 : 0);
  let left = Number(rule.get('COUNT') ?? Infinity);
  const clock = first % 86_400_000;
  for (let year = start.getUTCFullYear(); year <= LAST_YEAR && left > 0; year++) {
    for (const month of months) {
      const days = daysOf(
        year,
        month,
        rule.get('BYDAY'),
        rule.get('BYMONTHDAY'),
        start.getUTCDate(),
      );
      if (!days) return undefined;
      for (const day of days) {
        const at = Date.UTC(year, month - 1, day) + (clock + 86_400_000) % 86_400_000;
        if (at < first || left <= 0) continue;
        if (at > last) return result;
        left--;
        if (at > first) result.push(at);
      }
    }
  }
  return result;
}

function daysOf(
  year: number,
  month: number,
  byDay: string | undefined,
  byMonthDay: string | undefined,
  startDay: number,
): number[] | undefined {
  const length = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const allowed = byMonthDay?.split(',').map(Number).map((d) => (d < 0 ? length + 1 + d : d))
    .filter((d) => d >= 1 && d <= length).sort((a, b) => a - b);
  if (byDay === undefined) return allowed ?? (startDay <= length ? [startDay] : []);
  const match = /^([+-]?\d{0,2})(SU|MO|TU|WE|TH|FR|SA)$/.exec(byDay);
  if (!match) return undefined;
  const weekday = WEEKDAYS.indexOf(match[2]!);
  const firstDay = (weekday - new Date(Date.UTC(year, month - 1, 1)).getUTCDay() + 7) % 7 + 1;
  const days: number[] = [];
  for (let day = firstDay; day <= length; day += 7) days.push(day);
  if (allowed) return match[1] === '' ? days.filter((d) => allowed.includes(d)) : undefined;
  if (match[1] === '') return undefined;
  const nth = Number(match[1]);
  const day = nth > 0 ? days[nth - 1] : days[days.length + nth];
  return day === undefined ? [] : [day];
}

/** Do both sets of rules give the same local time from the year `since` on? */
export function sameRules(a: ZoneRules, b: ZoneRules, since: number): boolean {
  if (a.text === b.text) return true;
  const one = transitions(a);
  const two = transitions(b);
  if (!one || !two) return false;
  const from = Date.UTC(since, 0, 1) - 86_400_000;
  const from1 = changesFrom(one, from);
  const from2 = changesFrom(two, from);
  return from1.length === from2.length &&
    from1.every((t, i) => t.offset === from2[i]!.offset && t.at === from2[i]!.at);
}

function changesFrom(all: readonly Transition[], from: number): Transition[] {
  const changes: Transition[] = [{ at: from, offset: offsetAt(all, from) }];
  for (const t of all) if (t.at > from) changes.push(t);
  return changes;
}

/** Seconds east of UTC at an instant. */
export function offsetAt(all: readonly Transition[], at: number): number {
  let low = 0;
  let high = all.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (all[middle]!.at <= at) low = middle;
    else high = middle - 1;
  }
  return all[low]!.offset;
}
