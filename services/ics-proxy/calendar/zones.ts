import type { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { Writer } from './bytes.ts';
import type { Component, ParsedCalendar, ZoneDefinition } from './components.ts';
import { escapeText, writeLine } from './lines.ts';
import { fixedObservances, ianaObservances, offsetText as offset } from './vtimezone.ts';
import { toIana } from './zone-names.ts';
import { Renames } from './renames.ts';
import { offsetSeconds, readZone, sameRules, type ZoneRules } from './zone-rules.ts';

/** One VTIMEZONE of the feed. */
interface Entry {
  rules: ZoneRules;
  /** The definition as its source has it, or lines of our own. */
  definition: { source: Buffer; start: number; end: number } | readonly string[];
}

export interface ZoneReport {
  renamed(source: string, tzid: string, to: string): void;
  synthesised(source: string, tzid: string, zone: string): void;
  warn(message: string): void;
}

/** The VTIMEZONEs of one feed: every TZID that is used gets exactly one, with its own rules. */
export class ZoneBook {
  readonly #entries = new Map<string, Entry>();
  readonly #report: ZoneReport;

  constructor(report: ZoneReport) {
    this.#report = report;
  }

  /**
   * Enters what a source's components use. Sources must come in a fixed order: the first keeps the
   * name, others with other rules get a new one. Returns the names to use.
   */
  enter(id: string, calendar: ParsedCalendar, used: ReadonlyMap<number, Use>): ZoneNames {
    const names = new ZoneNames(calendar);
    const order = [...used.keys()].sort((a, b) =>
      calendar.tzids[a]! < calendar.tzids[b]! ? -1 : calendar.tzids[a]! > calendar.tzids[b]! ? 1 : 0
    );
    for (const index of order) {
      const { since } = used.get(index)!;
      const variants = names.variants(index);
      if (variants.length === 0) {
        const made = this.#synthesise(id, calendar, calendar.tzids[index]!);
        names.set(index, undefined, made && this.#name(id, made.rules, since, made.lines));
        continue;
      }
      for (const zone of variants) {
        const definition = { source: calendar.bytes, start: zone.start, end: zone.end };
        names.set(index, zone, this.#name(id, zone.rules, since, definition));
      }
    }
    return names;
  }

  /** A zone that no component of a source names yet (times that floated): an IANA name. */
  enterIana(id: string, zone: string, since: number): string {
    return this.#name(id, rulesOf(zone, zone), since, ianaObservances(zone));
  }

  #name(id: string, rules: ZoneRules, since: number, definition: Entry['definition']): string {
    const base = safeName(rules.tzid);
    for (let attempt = 0;; attempt++) {
      const suffix = attempt === 0 ? '' : attempt === 1 ? `-${short(rules.text)}` : `-${attempt}`;
      const name = base + suffix;
      const taken = this.#entries.get(name);
      if (!taken) this.#entries.set(name, { rules, definition });
      else if (!sameRules(taken.rules, rules, since)) continue;
      if (name !== rules.tzid) this.#report.renamed(id, rules.tzid, name);
      return name;
    }
  }

  #synthesise(
    id: string,
    calendar: ParsedCalendar,
    tzid: string,
  ): { rules: ZoneRules; lines: readonly string[] } | undefined {
    const fixed = /^(?:UTC|GMT)?([+-]\d\d)(?::?(\d\d))?$/i.exec(tzid.slice(0, 16));
    const seconds = fixed ? offsetSeconds(`${fixed[1]}${fixed[2] ?? '00'}`) : undefined;
    if (seconds !== undefined) {
      this.#report.synthesised(id, tzid, `UTC${offset(seconds)}`);
      const lines = fixedObservances(seconds);
      return { rules: rulesFrom(tzid, lines), lines };
    }
    let zone = toIana(tzid);
    if (zone === undefined) {
      zone = toIana(calendar.header['X-WR-TIMEZONE'] ?? '');
      if (zone === undefined) return undefined;
      this.#report.warn(
        `Source ${id}: TZID ${tzid.slice(0, 100)} has no definition and names no known zone; ` +
          `its times are read in the source's own zone ${zone}`,
      );
    }
    this.#report.synthesised(id, tzid, zone);
    return { rules: rulesOf(tzid, zone), lines: ianaObservances(zone) };
  }

  /** The definitions used, by name. `plain`: only what rules need, no texts of the source. */
  write(out: Writer, plain: boolean, used?: ReadonlySet<string>): void {
    for (const name of [...this.#entries.keys()].sort()) {
      if (used && !used.has(name)) continue;
      const { definition, rules } = this.#entries.get(name)!;
      const own = 'start' in definition && name === rules.tzid && !plain;
      if (own) out.copy(definition.source, definition.start, definition.end);
      else writeZone(out, name, 'start' in definition ? linesOf(rules) : definition);
    }
  }
}

/** How a TZID is used by a source's components. */
export interface Use {
  /** The earliest year: from there on a definition must agree to be shared. */
  since: number;
}

/** The feed's name of each of a source's TZIDs. */
export class ZoneNames {
  readonly #calendar: Pick<ParsedCalendar, 'zones' | 'tzids'>;
  readonly #byTzid = new Map<string, ZoneDefinition[]>();
  /** By index of the TZID: its name, that of its first definition; null when it has none. */
  readonly #names: (string | null)[] = [];
  readonly #first: (ZoneDefinition | undefined)[] = [];
  /** By index, where there are several definitions: names by VCALENDAR. */
  readonly #scopes: Map<number, string>[] = [];
  /** Does any TZID go out under another name? */
  renames = false;
  /** Does any TZID mean different zones in different VCALENDARs? */
  scoped = false;
  /** Is any TZID without a definition that could be found? */
  missing = false;
  readonly #maps = new Map<string, Renames>();
  #lastTzids: readonly number[] | undefined;
  #lastChanges: Renames | undefined;

  constructor(calendar: Pick<ParsedCalendar, 'zones' | 'tzids'>) {
    this.#calendar = calendar;
    for (const zone of calendar.zones) {
      const same = this.#byTzid.get(zone.tzid);
      if (same) same.push(zone);
      else this.#byTzid.set(zone.tzid, [zone]);
    }
  }

  /** The definitions of a TZID, in an order of their rules: VCALENDARs of a file may differ. */
  variants(index: number): readonly ZoneDefinition[] {
    const zones = this.#byTzid.get(this.#calendar.tzids[index]!) ?? [];
    if (zones.length < 2) return zones;
    return zones.toSorted((a, b) => (a.rules.text < b.rules.text ? -1 : 1));
  }

  set(index: number, zone: ZoneDefinition | undefined, name: string | undefined): void {
    if (name === undefined) this.missing = true;
    else if (name !== this.#calendar.tzids[index]) this.renames = true;
    const known = this.#names[index];
    if (zone === undefined || typeof known !== 'string') {
      this.#names[index] = name ?? null;
      this.#first[index] = zone;
      return;
    }
    let scope = this.#scopes[index];
    const enter = ({ calendars }: ZoneDefinition, name: string) => {
      for (const calendar of calendars) if (!scope!.has(calendar)) scope!.set(calendar, name);
    };
    if (!scope) {
      this.#scopes[index] = scope = new Map();
      enter(this.#first[index]!, known);
    }
    enter(zone, name!);
    this.scoped ||= name !== known;
  }

  /** The name of a component's TZID; undefined when nobody knows what it means. */
  nameOf(index: number, calendar: number): string | undefined {
    return this.#scopes[index]?.get(calendar) ?? this.#names[index] ?? undefined;
  }

  isKnown(component: Component): boolean {
    return component.tzids.every((index) => this.nameOf(index, component.calendar) !== undefined);
  }

  /** All old and new names, as one text: equal texts change components alike. */
  signature(): string {
    if (!this.renames) return '';
    return JSON.stringify([this.#names, this.#scopes.map((scope) => [...scope])]);
  }

  /** Old and new names of what a component uses; undefined when all stay. */
  changes(component: Component): Renames | undefined {
    if (!this.renames || component.tzids.length === 0) return undefined;
    if (component.tzids === this.#lastTzids && !this.scoped) return this.#lastChanges;
    this.#lastTzids = component.tzids;
    return this.#lastChanges = this.#changes(component);
  }

  #changes(component: Component): Renames | undefined {
    const names = component.tzids.map((index) => this.nameOf(index, component.calendar)!);
    if (names.every((name, i) => name === this.#calendar.tzids[component.tzids[i]!])) {
      return undefined;
    }
    const key = `${component.tzids.join()} ${names.join('\n')}`;
    let renames = this.#maps.get(key);
    if (!renames) {
      renames = new Renames(
        names.map((name, i) => [this.#calendar.tzids[component.tzids[i]!]!, name] as const),
      );
      this.#maps.set(key, renames);
    }
    return renames;
  }
}

/** Of a source whose components use no TZID. */
export const NO_NAMES = new ZoneNames({ zones: [], tzids: [] });

/** A name that can stand in a parameter: no quotes, no controls, of a length that readers bear. */
function safeName(tzid: string): string {
  // deno-lint-ignore no-control-regex -- controls are what is looked for
  if (tzid.length <= 255 && !/[\x00-\x1f"\x7f]/.test(tzid)) return tzid;
  // deno-lint-ignore no-control-regex -- controls are what is removed
  return `${tzid.slice(0, 64).replace(/[\x00-\x1f"\x7f]/g, '')}-${short(tzid)}`;
}

function short(text: string): string {
  return hash('sha256', text).slice(0, 8);
}

function rulesOf(tzid: string, zone: string): ZoneRules {
  const known = rulesCache.get(zone) ?? rulesFrom(zone, ianaObservances(zone));
  rulesCache.set(zone, known);
  return tzid === zone ? known : { ...known, tzid };
}
const rulesCache = new Map<string, ZoneRules>();

function rulesFrom(tzid: string, lines: readonly string[]): ZoneRules {
  const out = new Writer();
  writeZone(out, 'X', lines);
  const rules = readZone(out.view(), 0, out.length);
  if (typeof rules === 'string') throw new TypeError(`synthesised VTIMEZONE: ${rules}`);
  return { ...rules, tzid };
}

function writeZone(out: Writer, name: string, lines: readonly string[]): void {
  writeLine(out, 'BEGIN:VTIMEZONE');
  writeLine(out, `TZID:${escapeText(name)}`);
  for (const line of lines) writeLine(out, line);
  writeLine(out, 'END:VTIMEZONE');
}

/** A source's rules in our own words: nothing of its texts, unknown properties or comments. */
function linesOf(rules: ZoneRules): string[] {
  return rules.observances.flatMap((o) => {
    const kind = o.daylight ? 'DAYLIGHT' : 'STANDARD';
    return [
      `BEGIN:${kind}`,
      `DTSTART:${local(o.start)}`,
      `TZOFFSETFROM:${offset(o.from)}`,
      `TZOFFSETTO:${offset(o.to)}`,
      ...(o.rule === '' ? [] : [`RRULE:${o.rule}`]),
      ...(o.rdates.length === 0 ? [] : [`RDATE:${o.rdates.map(local).join()}`]),
      `END:${kind}`,
    ];
  });
}

function local(digits: number): string {
  const text = String(digits).padStart(14, '0');
  return `${text.slice(0, 8)}T${text.slice(8)}`;
}
