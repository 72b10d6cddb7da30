import type { Buffer } from 'node:buffer';
import { CR, LF, NAME, SEMICOLON } from './bytes.ts';
import { QUARANTINE_LIMIT, type ZoneDefinition } from './components.ts';
import { Table } from './component.ts';
import { Draft } from './draft.ts';
import {
  begin,
  Field,
  FOLDED,
  found,
  Kind,
  ODD,
  read,
  RECORD,
  records,
  TIMES,
  wanting,
} from './lexer.ts';
import { Line } from './line.ts';
import { isMark, unfold } from './lines.ts';
import { Params, readParams } from './params.ts';
import { Reuse } from './reuse.ts';
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
  return scanner.run() ? scanner.finish() : undefined;
}

const WANTED = wanting(
  Kind.UID,
  Kind.DTSTAMP,
  Kind.DTSTART,
  Kind.DTEND,
  Kind.DUE,
  Kind.DURATION,
  Kind.SEQUENCE,
  Kind.RECURRENCE_ID,
  Kind.RRULE,
  Kind.RDATE,
  Kind.CLASS,
  Kind.RELATED_TO,
);
/** Octets that are read at once next to what was taken over: a change is most often a small one. */
const NEAR = 4096;

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
  /** Of the component's bytes up to the last BEGIN in it. */
  #hashHigh = 0;
  #hashLow = 0;
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

  /** False when the lines are not in order. */
  run(): boolean {
    const source = this.#source;
    const { length } = source;
    if (length === 0) return true;
    if (length < 2 || source[length - 1] !== LF || source[length - 2] !== CR) return false;
    begin(WANTED, true);
    let size = this.#reuse ? NEAR : undefined;
    for (let at = 0; at < length;) {
      const next = read(source, at, size);
      if (next < 0) return false;
      at = this.#lines(found(), next);
      if (at < 0) return false;
      if (at === next) size = size && size * 2;
      else {
        begin(WANTED, true);
        size = NEAR;
      }
    }
    return true;
  }

  /** Takes up what was read; returns where to go on: at `next`, behind what was taken over, or -1. */
  #lines(count: number, next: number): number {
    const line = this.#line;
    for (let at = 0; at < count * RECORD; at += RECORD) {
      const kind = records[at + Field.KIND]!;
      const flags = records[at + Field.FLAGS]!;
      line.source = this.#source;
      line.kind = kind;
      line.start = line.lineStart = records[at + Field.START]!;
      line.nameEnd = records[at + Field.NAME_END]!;
      line.value = records[at + Field.VALUE]!;
      line.end = line.lineEnd = records[at + Field.END]!;
      line.folded = (flags & FOLDED) !== 0;
      line.date = records[at + Field.DATE]!;
      line.time = records[at + Field.TIME]!;
      line.tzid = -1;
      if (flags >= ODD) {
        if (!this.#odd(line)) return -1;
      } else if (kind === Kind.BEGIN || kind === Kind.END) {
        const to = this.#delimiter(
          line,
          records[at + Field.HASH_HIGH]!,
          records[at + Field.HASH_LOW]!,
        );
        if (to !== line.end + 2) return to;
      } else if (this.#start < 0) this.#outside(line);
      else this.#inside(line, records[at + Field.TZID]!, records[at + Field.TZID_END]!);
    }
    return next;
  }

  /** A line of the component that is being read. */
  #inside(line: Line, tzid: number, tzidEnd: number): void {
    if (this.#bad !== '') return;
    if (tzidEnd > tzid) {
      line.tzid = this.#table.tzids.of(line.source, tzid, tzidEnd);
      this.#draft.uses(line.tzid, this.#nested.length > 0 || TIMES[line.kind] === 0);
    }
    if (this.#nested.length > 0) return;
    const bad = this.#draft.property(line);
    if (bad !== '') this.#condemn(bad, line.lineStart);
  }

  /** A line with a fold before its value, or of no known form. False when lines are not in order. */
  #odd(line: Line): boolean {
    const source = this.#source;
    const { lineStart, nameEnd, lineEnd, folded, kind } = line;
    const { normalised } = this.#options;
    if (isMark(source, lineStart) && !normalised) return false;
    const params = this.#params;
    params.reset();
    line.value = -1;
    if (nameEnd > lineStart && source[nameEnd] === SEMICOLON) {
      line.value = readParams(source, nameEnd, lineEnd, params);
    }
    if (folded && source[nameEnd] === CR && !normalised) return false;
    if (line.value === -2) {
      // A fold stands among the parameters: read the line without its folds.
      line.source = unfold(source, lineStart, lineEnd);
      line.start = 0;
      line.nameEnd = nameEnd - lineStart;
      line.end = line.source.length;
      line.folded = false;
      params.reset();
      line.value = readParams(line.source, line.nameEnd, line.end, params);
    }
    if (kind === Kind.BEGIN || kind === Kind.END) {
      if (!normalised) return false;
      this.#fault(
        lineStart,
        `A ${kind === Kind.BEGIN ? 'BEGIN' : 'END'} has parameters, or is folded`,
      );
    } else if (line.value < 0) {
      this.#fault(lineStart, 'A line is not of the form NAME;PARAMETER=value:value');
    } else if (this.#start < 0) this.#outside(line);
    else this.#inside(line, params.tzidStart, params.tzidEnd);
    return true;
  }

  /** A BEGIN or END. Returns where to go on: behind it, behind what was taken over, or -1. */
  #delimiter({ kind, start, value, end, folded }: Line, high: number, low: number): number {
    const source = this.#source;
    const { view } = this.#table;
    const begins = kind === Kind.BEGIN;
    let type = 'VEVENT';
    if (begins ? !beginsEvent(view, start, end) : !endsEvent(view, start, end)) {
      type = this.#word(value, end, folded);
      if (!this.#options.normalised && (type === '' || hasLower(source, start, end))) return -1;
    }
    const hashHigh = Math.imul(this.#hashHigh, 0x85ebca6b) + high | 0;
    const hashLow = Math.imul(this.#hashLow, 0xc2b2ae35) + low | 0;
    if (!begins) return this.#end(start, end + 2, type, hashHigh, hashLow);
    this.#hashHigh = hashHigh;
    this.#hashLow = hashLow;
    return this.#begin(start, type, end + 2);
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
    this.#hashHigh = this.#hashLow = 0;
    this.#draft.begin(type, start);
    return end;
  }

  /** Returns where to go on. */
  #end(start: number, end: number, type: string, hashHigh: number, hashLow: number): number {
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
      this.#complete(end, true, hashHigh, hashLow);
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
  #complete(end: number, ended: boolean, hashHigh: number, hashLow: number): void {
    const start = this.#start;
    this.#start = -1;
    const missing = this.#bad === '' ? this.#draft.missing() : '';
    if (missing !== '') this.#condemn(missing, start);
    if (this.#bad !== '') this.#quarantine(start, end, this.#bad, this.#badAt);
    else if (this.#type === 'VTIMEZONE') this.#zone(start, end);
    else {
      this.#draft.finish(end, Math.max(0, this.#calendars - 1), ended, hashHigh, hashLow);
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
      else this.#complete(end, false, 0, 0);
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
