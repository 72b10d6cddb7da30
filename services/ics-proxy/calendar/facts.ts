import type { Buffer } from 'node:buffer';
import { type Component, Has, type ParsedCalendar } from './components.ts';
import { unescapeText } from './lines.ts';
import { properties } from './properties.ts';
import { dateDigits, digitsToMs, durationMs, readRule } from './values.ts';

/** What filters and windows ask of a component. */
export interface Facts {
  summary: string;
  /** Lower case. */
  categories: readonly string[];
  /** Upper case; PUBLIC when there is none. */
  class: string;
  /** No occurrence begins before: epoch milliseconds, up to a day early for want of a zone. */
  first: number;
  /** No occurrence ends after; Infinity when the rule has no bound that arithmetic can give. */
  last: number;
}

const DAY = 86_400_000;

export function factsOf(calendar: ParsedCalendar, component: Component): Facts {
  const all = calendar.table.memory<Facts>('facts');
  return all[component.index] ??= readFacts(calendar.bytes, component);
}

function readFacts(source: Buffer, component: Component): Facts {
  let summary = '';
  let rule: string | undefined;
  let kind = 'PUBLIC';
  let duration = 0;
  let start = NaN;
  let end = NaN;
  let due = NaN;
  let dates = NaN;
  const categories: string[] = [];
  for (const { name, value, depth, params } of properties(source, component.start, component.end)) {
    if (depth !== 0) continue;
    if (name === 'SUMMARY') summary = unescapeText(value);
    else if (name === 'CATEGORIES') categories.push(...splitList(value));
    else if (name === 'CLASS') kind = value.trim().toUpperCase();
    else if (name === 'DTSTART') {
      start = msOf(value);
      if (value.length === 8 || params.get('VALUE')?.toUpperCase() === 'DATE') duration ||= DAY;
    } else if (name === 'DTEND') end = msOf(value);
    else if (name === 'DUE') due = msOf(value);
    else if (name === 'DURATION') duration = durationMs(value);
    else if (name === 'RRULE') rule = value;
    else if (name === 'RDATE') {
      for (const item of value.split(',')) {
        const at = msOf(item.split('/', 1)[0]!) + (item.includes('/') ? 366 * DAY : 0);
        if (!(at <= dates)) dates = Number.isNaN(at) ? dates : at;
      }
    }
  }
  if (Number.isNaN(start)) start = Number.isNaN(due) ? end : due;
  const stop = Number.isNaN(end) ? due : end;
  const length = Number.isNaN(stop) ? Math.max(0, duration) : Math.max(0, stop - start);
  const last = Math.max(start, Number.isNaN(dates) ? start : dates, lastStart(start, rule));
  return {
    summary,
    categories,
    class: kind || 'PUBLIC',
    first: Number.isNaN(start) ? -Infinity : start - DAY,
    last: Number.isNaN(start) ? Infinity : last + length + DAY,
  };
}

/** CATEGORIES' values, split at commas that are not escaped, lower case. */
function splitList(value: string): string[] {
  return value.split(/(?<!\\),/).map((item) => unescapeText(item).trim().toLowerCase());
}

function msOf(value: string): number {
  const bytes = new TextEncoder().encode(value.slice(0, 17));
  const digits = dateDigits(bytes, 0, bytes.length);
  return digits < 0 ? NaN : digitsToMs(digits);
}

const PERIOD: Record<string, number> = {
  SECONDLY: 1000,
  MINUTELY: 60_000,
  HOURLY: 3_600_000,
  DAILY: DAY,
  WEEKLY: 7 * DAY,
  MONTHLY: 31 * DAY,
  YEARLY: 366 * DAY,
};

/**
 * A bound on the last start of a rule by arithmetic alone: UNTIL, or COUNT periods where each period
 * surely has an occurrence. Infinity otherwise; a rule is never expanded for this.
 */
function lastStart(start: number, text: string | undefined): number {
  const rule = text === undefined ? undefined : readRule(text);
  if (!rule) return start;
  const until = rule.get('UNTIL');
  if (until !== undefined) return Math.max(start, msOf(until) + DAY);
  const count = rule.get('COUNT');
  if (count === undefined || !everyPeriodHasOne(start, rule)) return Infinity;
  const interval = Number(rule.get('INTERVAL') ?? 1);
  return start + Number(count) * interval * PERIOD[rule.get('FREQ')!]! + DAY;
}

function everyPeriodHasOne(start: number, rule: ReadonlyMap<string, string>): boolean {
  const by = [...rule.keys()].filter((name) => name.startsWith('BY') || name === 'SKIP');
  if (by.length === 0) {
    const day = new Date(start).getUTCDate();
    const frequency = rule.get('FREQ');
    return day <= 28 || (frequency !== 'MONTHLY' && frequency !== 'YEARLY');
  }
  return by.length === 1 && by[0] === 'BYDAY' && rule.get('FREQ') === 'WEEKLY';
}

/** Is this component PRIVATE or CONFIDENTIAL? An unknown CLASS counts as PRIVATE (§3.8.1.3). */
export function isPrivate(calendar: ParsedCalendar, component: Component): boolean {
  return (component.has & Has.CLASS) !== 0 && factsOf(calendar, component).class !== 'PUBLIC';
}
