import type { Buffer } from 'node:buffer';
import { COLON, CR, NAME, SEMICOLON } from './bytes.ts';
import { QUARANTINE_LIMIT, type ZoneDefinition } from './components.ts';
import { Table } from './component.ts';
import { Draft } from './draft.ts';
import { Line } from './line.ts';
import { isMark, unfold } from './lines.ts';
import { isTimeName, Params, readParams } from './params.ts';
import { Reuse } from './reuse.ts';
import { walk } from './walk.ts';
import { beginsEvent, endsEvent, hasLower, word } from './words.ts';
import { readZone } from './zone-rules.ts';

/** A stretch of the source that is kept out of the feed. */
export interface Fault {
  reason: string;
  /** Where the fault itself is, in `[start, end)`. */
  at: number;
  start: number;
  end: number;
}

/** Finds nothing: what a calendar is whose lines cannot be put in order. There is none known. */
export function unreadable(source: Buffer): Scan {
  const fault = { reason: 'The lines cannot be read', at: 0, start: 0, end: source.length };
  return {
    table: new Table(source, true),
    zones: [],
    header: {},
    faults: [fault],
    faultCount: 1,
    calendars: 0,
  };
}

export interface Scan {
  table: Table;
  zones: ZoneDefinition[];
  header: Record<string, string>;
  faults: Fault[];
  faultCount: number;
  calendars: number;
}

/** Components nested deeper than this are no calendar's. VEVENT > VALARM > VLOCATION is 3. */
const MAX_DEPTH = 16;
const MAX_HEADER = 64;
/** They stand directly in a VCALENDAR and never in one another: a BEGIN of one ends a lost one. */
const TOP = new Set(['VEVENT', 'VTODO', 'VJOURNAL', 'VFREEBUSY', 'VTIMEZONE', 'VAVAILABILITY']);
/** They never stand directly in a VCALENDAR. */
const INNER = new Set(['VALARM', 'STANDARD', 'DAYLIGHT', 'AVAILABLE', 'PARTICIPANT', 'VLOCATION']);

export interface ScanOptions {
  /** The lines have been put in order: there is no second chance, fold or not. */
  normalised: boolean;
  /** The input ended in the middle of a line. */
  truncated: boolean;
}

/**
 * Finds the components of `source` in one pass. Returns undefined at the first line that is not in
 * order (see lines.ts), which cannot be when `normalised`. What is the same as in `old` is taken over.
 */
export function scan(source: Buffer, options: ScanOptions, old?: Table): Scan | undefined {
  const fits = old && old.normalised === options.normalised && Reuse.fits(old);
  const scanner = new Scanner(source, options, fits ? old : undefined);
  return walk(source, scanner.view, scanner) ? scanner.finish() : undefined;
}

class Scanner {
  readonly #source: Buffer;
  readonly #options: ScanOptions;
  readonly #line = new Line();
  readonly #params = new Params();
  readonly #table: Table;
  readonly #draft: Draft;
  readonly #reuse: Reuse | undefined;
  readonly #zones: ZoneDefinition[] = [];
  readonly #zonesByText = new Map<string, ZoneDefinition>();
  readonly #header: Record<string, string> = {};
  #headerCount = 0;
  readonly #faults: Fault[] = [];
  #faultCount = 0;
  #calendars = 0;
  #inCalendar = false;
  /** Where lines that belong to no component began, or -1. */
  #stray = -1;
  #strayReason = '';
  /** Where the component that is being read began, or -1. */
  #start = -1;
  /** Is a component being read? */
  inside = false;
  #type = '';
  /** Why it cannot be in the feed, and where; the first reason stays. */
  #bad = '';
  #badAt = 0;
  readonly #nested: string[] = [];

  constructor(source: Buffer, options: ScanOptions, old: Table | undefined) {
    this.#source = source;
    this.#options = options;
    this.#table = new Table(source, options.normalised, old);
    this.#draft = new Draft(this.#table);
    this.#reuse = old && new Reuse(old, this.#table);
  }

  get view(): DataView {
    return this.#table.view;
  }

  line(start: number, nameEnd: number, end: number, folded: boolean): number {
    const source = this.#source;
    if (source[nameEnd] !== COLON || nameEnd === start) {
      return this.#complexLine(start, nameEnd, end, folded) ? end + 2 : -1;
    }
    const { view } = this;
    if (beginsEvent(view, start, end)) return this.#begin(start, 'VEVENT', end + 2);
    if (endsEvent(view, start, end)) return this.#end(start, end + 2, 'VEVENT');
    const first = source[start]! | 32;
    const length = nameEnd - start;
    const delimits = (length === 5 && first === 98 && word(source, start, 5) === 'BEGIN') ||
      (length === 3 && first === 101 && word(source, start, 3) === 'END');
    if (delimits) {
      const type = this.#word(nameEnd + 1, end, folded);
      if (!this.#options.normalised && (type === '' || hasLower(source, start, end))) return -1;
      return length === 5 ? this.#begin(start, type, end + 2) : this.#end(start, end + 2, type);
    }
    const line = this.#set(start, nameEnd, nameEnd + 1, end, folded);
    if (this.#start < 0) this.#outside(line);
    else if (this.#nested.length === 0 && this.#bad === '') this.#property(line);
    return end + 2;
  }

  #set(start: number, nameEnd: number, value: number, end: number, folded: boolean): Line {
    const line = this.#line;
    line.source = this.#source;
    line.start = line.lineStart = start;
    line.nameEnd = nameEnd;
    line.value = value;
    line.end = line.lineEnd = end;
    line.folded = folded;
    line.tzid = -1;
    return line;
  }

  #property(line: Line): void {
    const bad = this.#draft.property(line);
    if (bad !== '') this.#condemn(bad, line.lineStart);
  }

  /** A line with parameters, with a fold before its colon, or of no known form. */
  #complexLine(lineStart: number, nameEnd: number, lineEnd: number, folded: boolean): boolean {
    let source = this.#source;
    if (isMark(source, lineStart) && !this.#options.normalised) return false;
    const line = this.#set(lineStart, nameEnd, -1, lineEnd, folded);
    const params = this.#params;
    params.reset();
    if (nameEnd > lineStart && source[nameEnd] === SEMICOLON) {
      line.value = readParams(source, nameEnd, lineEnd, params);
    }
    if (folded && source[nameEnd] === CR && !this.#options.normalised) return false;
    if (line.value === -2) {
      // A fold stands among the parameters: read the line without its folds.
      source = line.source = unfold(source, lineStart, lineEnd);
      line.start = line.nameEnd = 0;
      line.end = source.length;
      line.folded = false;
      while (line.nameEnd < line.end && NAME[source[line.nameEnd]!] === 1) line.nameEnd++;
      params.reset();
      line.value = readParams(source, line.nameEnd, line.end, params);
    }
    const length = line.nameEnd - line.start;
    const name = length === 5 || length === 3 ? word(source, line.start, length) : '';
    if (name === 'BEGIN' || name === 'END') {
      if (!this.#options.normalised) return false;
      this.#fault(lineStart, `A ${name} has parameters, or is folded`);
    } else if (line.value < 0) {
      this.#fault(lineStart, 'A line is not of the form NAME;PARAMETER=value:value');
    } else if (this.#start < 0) this.#outside(line);
    else if (this.#bad === '') {
      if (params.tzidEnd > params.tzidStart) {
        line.tzid = this.#table.tzids.of(source, params.tzidStart, params.tzidEnd);
        const odd = this.#nested.length > 0 || !isTimeName(source, line.start, length);
        this.#draft.uses(line.tzid, odd);
      }
      if (this.#nested.length === 0) this.#property(line);
    }
    return true;
  }

  /** The name behind BEGIN: or END:, upper case; `''` when it is none, or not without blanks or folds. */
  #word(start: number, end: number, folded: boolean): string {
    if (folded || end - start > 64) return '';
    for (let i = start; i < end; i++) if (NAME[this.#source[i]!] === 0) return '';
    return end === start ? '' : word(this.#source, start, end - start);
  }

  /** Returns where to go on: at `end`, or behind components that were taken over. */
  #begin(start: number, type: string, end: number): number {
    if (type === 'VCALENDAR') {
      this.#lose(start, 'BEGIN', type);
      this.#endStray(start);
      this.#calendars++;
      this.#inCalendar = true;
      return end;
    }
    if (this.#start >= 0 && !TOP.has(type)) {
      if (this.#bad !== '') return end;
      if (type === '') this.#condemn('A BEGIN names no component', start);
      else if (this.#nested.push(type) > MAX_DEPTH) {
        this.#condemn(`Components are nested deeper than ${MAX_DEPTH}`, start);
      } else this.#draft.nest(type);
      return end;
    }
    this.#lose(start, 'BEGIN', type);
    this.#endStray(start);
    if (this.#reuse && this.#inCalendar) {
      const taken = this.#reuse.take(start, this.#calendars - 1);
      if (taken > start) return taken;
    }
    this.#start = start;
    this.inside = true;
    this.#type = type;
    if (this.#nested.length > 0) this.#nested.length = 0;
    this.#badAt = start;
    this.#bad = type === 'VEVENT'
      ? ''
      : type === ''
      ? 'A BEGIN names no component'
      : INNER.has(type)
      ? `${type} stands outside a component`
      : !this.#inCalendar && !TOP.has(type)
      ? `${type} stands outside a VCALENDAR`
      : '';
    this.#draft.begin(type, start);
    return end;
  }

  /** Returns where to go on. */
  #end(start: number, end: number, type: string): number {
    if (this.#start < 0) {
      if (type !== 'VCALENDAR') this.#fault(start, `END:${type} without its BEGIN`);
      else {
        this.#endStray(start);
        this.#inCalendar = false;
      }
      return end;
    }
    const nested = this.#nested;
    if (this.#bad === '' && nested.length > 0 && nested[nested.length - 1] === type) {
      nested.pop();
    } else if (type === this.#type) {
      if (nested.length > 0 && this.#bad === '') {
        this.#condemn(`${nested[nested.length - 1]} has no END`, start);
      }
      this.#complete(end, true);
    } else if (type === 'VCALENDAR') {
      this.#lose(start, 'END', type);
      this.#inCalendar = false;
    } else this.#condemn(`END:${type} without its BEGIN`, start);
    return end;
  }

  #condemn(reason: string, at: number): void {
    if (this.#bad !== '') return;
    this.#bad = reason;
    this.#badAt = at;
  }

  /** The component ends here: into the list, or into quarantine. */
  #complete(end: number, ended: boolean): void {
    const start = this.#start;
    this.#start = -1;
    this.inside = false;
    const missing = this.#bad === '' ? this.#draft.missing() : '';
    if (missing !== '') this.#condemn(missing, start);
    if (this.#bad !== '') this.#quarantine(start, end, this.#bad, this.#badAt);
    else if (this.#type === 'VTIMEZONE') this.#zone(start, end);
    else {
      this.#draft.finish(end, Math.max(0, this.#calendars - 1), ended);
      this.#reuse?.read();
    }
  }

  #zone(start: number, end: number): void {
    const calendar = Math.max(0, this.#calendars - 1);
    const text = this.#source.toString('latin1', start, end);
    const known = this.#zonesByText.get(text);
    if (known) {
      if (known.calendars[known.calendars.length - 1] !== calendar) known.calendars.push(calendar);
      return;
    }
    const rules = readZone(this.#source, start, end);
    if (typeof rules === 'string') return this.#quarantine(start, end, rules);
    const zone = { tzid: rules.tzid, calendars: [calendar], start, end, rules };
    this.#zonesByText.set(text, zone);
    this.#zones.push(zone);
  }

  /** A component that is still open where it cannot be: before this BEGIN or END, or at the end. */
  #lose(at: number, name?: 'BEGIN' | 'END', type?: string): void {
    if (this.#start < 0) return;
    const start = this.#start;
    this.#start = -1;
    this.inside = false;
    if (this.#faultCount < QUARANTINE_LIMIT) {
      const before = name === undefined ? 'the end of the file' : `${name}:${type}`;
      this.#condemn(`No END:${this.#type} before ${before}`, start);
    }
    this.#quarantine(start, at, this.#bad, this.#badAt);
  }

  #outside({ source, lineStart, start, nameEnd, value, end, folded }: Line): void {
    if (!this.#inCalendar) return this.#fault(lineStart, 'Content outside a VCALENDAR');
    this.#endStray(lineStart);
    if (this.#headerCount >= MAX_HEADER || nameEnd - start > 64 || end - value > 1024) return;
    const name = word(source, start, nameEnd - start);
    if (Object.hasOwn(this.#header, name)) return;
    this.#headerCount++;
    const text = folded ? unfold(source, value, end) : source.subarray(value, end);
    Object.defineProperty(this.#header, name, {
      value: text.toString('utf8'),
      enumerable: true,
    });
  }

  /** A faulty line: it condemns the component it stands in, or joins the stray lines before it. */
  #fault(start: number, reason: string): void {
    if (this.#start >= 0) this.#condemn(reason, start);
    else if (this.#stray < 0) {
      this.#stray = start;
      this.#strayReason = reason;
    }
  }

  #endStray(at: number): void {
    if (this.#stray >= 0) this.#quarantine(this.#stray, at, this.#strayReason);
    this.#stray = -1;
  }

  #quarantine(start: number, end: number, reason: string, at = start): void {
    this.#faultCount++;
    if (this.#faults.length < QUARANTINE_LIMIT) this.#faults.push({ reason, at, start, end });
  }

  finish(): Scan {
    const end = this.#source.length;
    if (this.#start >= 0) {
      const whole = this.#nested.length === 0 && !this.#options.truncated;
      if (!whole || this.#type === 'VTIMEZONE') this.#lose(end);
      else this.#complete(end, false);
    }
    this.#endStray(end);
    this.#table.tzids.forget();
    this.#reuse?.finish();
    return {
      table: this.#table,
      zones: this.#zones,
      header: this.#header,
      faults: this.#faults.sort((a, b) => a.at - b.at),
      faultCount: this.#faultCount,
      calendars: this.#calendars,
    };
  }
}
