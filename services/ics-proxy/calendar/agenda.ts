import { RRuleTemporal } from 'rrule-temporal';
import { asBuffer } from './bytes.ts';
import { type Component, parseCalendar, type ParsedCalendar } from './components.ts';
import { type Group, groupsIn } from './groups.ts';
import { unescapeText } from './lines.ts';
import { properties, type Property } from './properties.ts';
import { dateDigits, digitsToMs, durationMs, msToLocal, readRule } from './values.ts';
import { ianaTransitions } from './vtimezone.ts';
import { toIana } from './zone-names.ts';
import { offsetAt, type Transition, transitions } from './zone-rules.ts';

/** One time that an event takes place. */
export interface Occurrence {
  uid: string;
  /** Text as a person reads it; `''` when the event has none. Input: escape it on a page. */
  summary: string;
  location: string;
  description: string;
  /** Epoch milliseconds. All-day events begin and end at midnight of the reader's zone. */
  start: number;
  end: number;
  allDay: boolean;
  /** Id of the source, where the caller knows it. */
  source: string | undefined;
  /** Takes time: not TRANSP:TRANSPARENT. */
  busy: boolean;
  cancelled: boolean;
  categories: string[];
}

export interface AgendaOptions {
  /** Epoch milliseconds; occurrences that overlap `[from, to)`. */
  from: number;
  to: number;
  /** IANA zone of the reader: where floating times and all-day events are. UTC when unknown. */
  zone: string;
  /** Most occurrences; the earliest stay. 1,000 when absent. */
  limit?: number;
}

/** What an agenda reads: a feed's bytes, or a merge result that also knows where a UID came from. */
export type AgendaInput =
  | Uint8Array
  | { bytes: Uint8Array; sourceOf?: ((uid: string) => string | undefined) | undefined };

const DAY = 86_400_000;
/** Steps of one rule, and of all rules: what a page may cost at most. */
const RULE_STEPS = 2000;
const ALL_STEPS = 20_000;
/** No event is looked for that began longer before the window than this. */
const LONGEST = 366 * DAY;

/** The occurrences of a feed in a stretch of time, by start. Never throws; its work is bounded. */
export function agenda(input: AgendaInput, options: AgendaOptions): Occurrence[] {
  const bytes = input instanceof Uint8Array ? input : input.bytes;
  const sourceOf = input instanceof Uint8Array ? undefined : input.sourceOf;
  const calendar = parseCalendar(asBuffer(bytes));
  const clock = new Clock(calendar, options.zone);
  const budget = { steps: ALL_STEPS };
  const found: Occurrence[] = [];
  for (const group of groupsIn(calendar)) {
    const source = sourceOf?.(group.uid);
    for (const occurrence of expandGroup(calendar, group, clock, options, budget)) {
      found.push({ ...occurrence, source });
    }
  }
  found.sort((a, b) =>
    a.start - b.start || Number(b.allDay) - Number(a.allDay) || (a.uid < b.uid ? -1 : 1)
  );
  return found.slice(0, options.limit ?? 1000);
}

/** An event's properties that an agenda needs. */
interface Event {
  lines: Property[];
  get(name: string): Property | undefined;
}

function read(calendar: ParsedCalendar, component: Component): Event {
  const lines: Property[] = [];
  for (const line of properties(calendar.bytes, component.start, component.end)) {
    if (line.depth === 0) lines.push(line);
  }
  return { lines, get: (name) => lines.find((line) => line.name === name) };
}

function* expandGroup(
  calendar: ParsedCalendar,
  group: Group,
  clock: Clock,
  options: AgendaOptions,
  budget: { steps: number },
): Generator<Omit<Occurrence, 'source'>> {
  const events = group.components.filter((c) => c.type === 'VEVENT');
  const replaced = new Set<number>();
  for (const component of events) {
    if (component.recurrenceId === '') continue;
    const event = read(calendar, component);
    const id = event.get('RECURRENCE-ID');
    if (id) replaced.add(clock.instant(id, id.value));
    yield* occurrences(event, component.uid, [], new Set(), clock, options, budget);
  }
  for (const component of events) {
    if (component.recurrenceId !== '') continue;
    const event = read(calendar, component);
    const rules = event.lines.filter((line) => line.name === 'RRULE').map((line) => line.value);
    yield* occurrences(event, component.uid, rules, replaced, clock, options, budget);
  }
}

function* occurrences(
  event: Event,
  uid: string,
  rules: readonly string[],
  replaced: ReadonlySet<number>,
  clock: Clock,
  { from, to, limit = 1000 }: AgendaOptions,
  budget: { steps: number },
): Generator<Omit<Occurrence, 'source'>> {
  const start = event.get('DTSTART');
  const local = start ? localMs(start.value) : undefined;
  if (!start || local === undefined) return;
  const allDay = start.value.trim().length === 8;
  const first = clock.instant(start, start.value);
  const end = event.get('DTEND');
  const duration = event.get('DURATION');
  const length = end
    ? Math.max(0, clock.instant(end, end.value) - first)
    : duration
    ? Math.max(0, durationMs(duration.value))
    : allDay
    ? DAY
    : 0;
  const reach = Math.min(length, LONGEST);
  const locals = new Set<number>([local]);
  for (const rule of rules) {
    expandRule(rule, local, clock, start, from - reach - DAY, to + DAY, limit, budget, locals);
  }
  const gone = new Set(replaced);
  const extra: number[] = [];
  for (const line of event.lines) {
    if (line.name !== 'EXDATE' && line.name !== 'RDATE') continue;
    for (const item of line.value.split(',')) {
      const at = clock.instant(line, item.split('/', 1)[0]!);
      if (Number.isNaN(at)) continue;
      if (line.name === 'EXDATE') gone.add(at);
      else if (at < to && at + reach >= from) extra.push(at);
    }
  }
  const text = (name: string) => unescapeText(event.get(name)?.value ?? '');
  const common = {
    uid,
    summary: text('SUMMARY'),
    location: text('LOCATION'),
    description: text('DESCRIPTION'),
    allDay,
    busy: event.get('TRANSP')?.value.trim().toUpperCase() !== 'TRANSPARENT',
    cancelled: event.get('STATUS')?.value.trim().toUpperCase() === 'CANCELLED',
    categories: event.lines.filter((l) => l.name === 'CATEGORIES')
      .flatMap((l) => l.value.split(/(?<!\\),/).map(unescapeText)),
  };
  const seen = new Set<number>();
  for (const at of [...[...locals].map((l) => clock.instantOf(start, l)), ...extra]) {
    if (gone.has(at) || seen.has(at)) continue;
    seen.add(at);
    const stop = allDay ? clock.addDays(at, Math.max(1, Math.round(length / DAY))) : at + length;
    // An event of no length is there at the moment it begins.
    if (at < to && (stop > from || (stop === at && at >= from))) {
      yield { ...common, start: at, end: stop };
    }
  }
}

const STEP: Record<string, number> = {
  SECONDLY: 1000,
  MINUTELY: 60_000,
  HOURLY: 3_600_000,
  DAILY: DAY,
  WEEKLY: 7 * DAY,
};

/**
 * The local times (as if UTC) of a rule between two local times, added to `into`. The library steps in
 * UTC, so that its result is the wall clock; a rule without COUNT starts near the window.
 */
function expandRule(
  text: string,
  start: number,
  clock: Clock,
  line: Property,
  from: number,
  to: number,
  limit: number,
  budget: { steps: number },
  into: Set<number>,
): void {
  const rule = readRule(text.trim());
  if (!rule) return;
  const step = STEP[rule.get('FREQ')!];
  const interval = Number(rule.get('INTERVAL') ?? 1);
  let begin = start;
  if (!rule.has('COUNT') && step !== undefined && start < from) {
    const stride = step * interval;
    begin = start + Math.max(0, Math.floor((from - start) / stride) - 1) * stride;
    if (!Number.isSafeInteger(begin) || begin > to) return;
  }
  const until = rule.get('UNTIL');
  if (until !== undefined) {
    const at = localMs(until);
    if (at === undefined) return;
    const utc = /Z$/.test(until);
    const last = utc ? at + clock.offset(line, at) * 1000 : until.length === 8 ? at + DAY - 1 : at;
    rule.set('UNTIL', `${msToLocal(last)}Z`);
  }
  const parts = [...rule].map(([name, value]) => `${name}=${value}`).join(';');
  try {
    const stepper = new RRuleTemporal({
      rruleString: `DTSTART:${msToLocal(begin)}Z\nRRULE:${parts}`,
      maxIterations: RULE_STEPS,
      maxCandidateEvaluations: RULE_STEPS * 4,
    });
    let after = new Date(Math.max(from, begin - 1));
    for (let found = 0; found < limit && budget.steps-- > 0; found++) {
      const next = stepper.next(after, false);
      if (!next || next.epochMilliseconds >= to) return;
      into.add(next.epochMilliseconds);
      after = new Date(next.epochMilliseconds);
    }
  } catch {
    // A rule that costs more steps than a page may, or that the library refuses: its DTSTART stays.
    budget.steps -= RULE_STEPS / 4;
  }
}

function localMs(value: string): number | undefined {
  const bytes = new TextEncoder().encode(value.trim().slice(0, 17));
  const digits = dateDigits(bytes, 0, bytes.length);
  return digits < 0 ? undefined : digitsToMs(digits);
}

/** Turns wall clock times of a calendar into instants. */
class Clock {
  readonly #zones = new Map<string, readonly Transition[]>();
  readonly #own: readonly Transition[];

  constructor(calendar: ParsedCalendar, zone: string) {
    const iana = toIana(zone);
    this.#own = iana === undefined ? UTC : ianaTransitions(iana);
    for (const { tzid, rules } of calendar.zones) {
      const all = transitions(rules);
      if (all) this.#zones.set(tzid, all);
    }
  }

  #of(line: Property): readonly Transition[] {
    const tzid = line.params.get('TZID');
    if (tzid === undefined) return /Z\s*$/i.test(line.value) ? UTC : this.#own;
    let zone = this.#zones.get(tzid);
    if (!zone) {
      const iana = toIana(tzid);
      this.#zones.set(tzid, zone = iana === undefined ? this.#own : ianaTransitions(iana));
    }
    return zone;
  }

  offset(line: Property, instant: number): number {
    return offsetAt(this.#of(line), instant);
  }

  /** Epoch milliseconds of a value of this line; NaN when it is no date. */
  instant(line: Property, value: string): number {
    const local = localMs(value);
    if (local === undefined) return NaN;
    const trimmed = value.trim();
    if (trimmed.length === 8) return toInstant(local, this.#own);
    return toInstant(local, /Z$/i.test(trimmed) ? UTC : this.#of(line));
  }

  instantOf(line: Property, local: number): number {
    return toInstant(local, line.value.trim().length === 8 ? this.#own : this.#of(line));
  }

  /** Midnight so many days later in the reader's zone, whatever the clocks did between. */
  addDays(instant: number, days: number): number {
    const local = instant + offsetAt(this.#own, instant) * 1000;
    return toInstant(local + days * DAY, this.#own);
  }
}

const UTC: readonly Transition[] = [{ at: -Infinity, offset: 0 }];

/** A time that occurs twice is the first; one that does not occur is read with the offset before. */
function toInstant(local: number, zone: readonly Transition[]): number {
  const before = offsetAt(zone, local - DAY) * 1000;
  const after = offsetAt(zone, local + DAY) * 1000;
  if (offsetAt(zone, local - before) * 1000 === before) return local - before;
  return offsetAt(zone, local - after) * 1000 === after ? local - after : local - before;
}
