import type { Buffer } from 'node:buffer';
import { COLON, CR, DEL, LF, NAME, SEMICOLON, SPACE, TAB } from './bytes.ts';
import { type Component, QUARANTINE_LIMIT, type ZoneDefinition } from './components.ts';
import { Draft } from './draft.ts';
import { isMark, LINE_OCTETS, unfold } from './lines.ts';
import { isTimeName, Params, readParams } from './params.ts';
import { Tzids } from './tzids.ts';
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
    components: [],
    zones: [],
    tzids: [],
    header: {},
    faults: [fault],
    faultCount: 1,
    calendars: 0,
  };
}

export interface Scan {
  components: Component[];
  zones: ZoneDefinition[];
  tzids: string[];
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
 * order (see lines.ts), which cannot be when `normalised`.
 */
export function scan(source: Buffer, options: ScanOptions): Scan | undefined {
  const length = source.length;
  const scanner = new Scanner(source, options);
  if (length === 0) return scanner.finish();
  if (length < 2 || source[length - 1] !== LF || source[length - 2] !== CR) return undefined;
  if (source[0] === SPACE || source[0] === TAB) return undefined;
  return readLines(source, length, scanner) ? scanner.finish() : undefined;
}

/** False when a line was not in order. */
function readLines(source: Buffer, length: number, scanner: Scanner): boolean {
  let at = 0;
  while (at >= 0 && at < length) at = readLine(source, at, length, scanner);
  return at >= 0;
}

/**
 * Reads the logical line at `start`; returns where the next begins, -1 when the lines are not in order.
 * Its loops see every byte. It is a function of its own so that it is compiled as a whole: loops that
 * are compiled while they run are left, and entered again, at a high price.
 */
function readLine(source: Buffer, start: number, length: number, scanner: Scanner): number {
  let at = start;
  let byte = source[at]!;
  while (NAME[byte] === 1) byte = source[++at]!;
  const nameEnd = at;
  let physical = start;
  let folded = false;
  for (;;) {
    // The input ends in CR LF: this loop needs no test of the end.
    while ((byte >= SPACE && byte !== DEL) || byte === TAB) byte = source[++at]!;
    if (byte !== CR || source[at + 1] !== LF) return -1;
    if (at - physical > LINE_OCTETS || at === start) return -1;
    byte = at + 2 < length ? source[at + 2]! : 0;
    if (byte !== SPACE && byte !== TAB) break;
    folded = true;
    at += 2;
    physical = at;
  }
  // Most lines are of no concern: NAME:VALUE in a component, of a name that is no key.
  if (source[nameEnd] === COLON && nameEnd > start && scanner.inside) {
    const size = nameEnd - start;
    const keys = size < KEYS.length ? KEYS[size]! : 0;
    if ((keys >>> (source[start]! - 1) & 1) === 0) return at + 2;
  }
  return scanner.line(start, nameEnd, at, folded) ? at + 2 : -1;
}

/** By length of a name, a bit for each first letter (its low five bits less one) of a key. */
const KEYS = new Int32Array(16);
for (
  const name of [
    'BEGIN',
    'END',
    'UID',
    'DUE',
    'DTEND',
    'RRULE',
    'RDATE',
    'CLASS',
    'DTSTART',
    'DTSTAMP',
  ]
    .concat('SEQUENCE', 'DURATION', 'RELATED-TO', 'RECURRENCE-ID')
) KEYS[name.length]! |= 1 << (name.charCodeAt(0) - 1);

class Scanner {
  readonly #source: Buffer;
  readonly #options: ScanOptions;
  readonly #params = new Params();
  readonly #tzids = new Tzids();
  readonly #draft: Draft;
  readonly #components: Component[] = [];
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

  constructor(source: Buffer, options: ScanOptions) {
    this.#source = source;
    this.#options = options;
    this.#draft = new Draft(this.#tzids);
  }

  /**
   * One logical line `[start, end)`, without its line break; its name ends at `at`. False: the lines
   * are not in order.
   */
  line(start: number, at: number, end: number, folded: boolean): boolean {
    const source = this.#source;
    if (source[at] === COLON && at > start) {
      const first = source[start]! | 32;
      if (at - start === 5 && first === 98 && word(source, start, 5) === 'BEGIN') {
        const type = this.#word(at + 1, end, folded);
        if (!this.#options.normalised && (type === '' || hasLower(source, start, end))) {
          return false;
        }
        this.#begin(start, type);
      } else if (at - start === 3 && first === 101 && word(source, start, 3) === 'END') {
        const type = this.#word(at + 1, end, folded);
        if (!this.#options.normalised && (type === '' || hasLower(source, start, end))) {
          return false;
        }
        this.#end(start, end + 2, type);
      } else if (this.#start < 0) {
        this.#outside(source, start, start, at, at + 1, end, folded);
      } else if (this.#nested.length === 0 && this.#bad === '') {
        const bad = this.#draft.property(source, start, at, at + 1, end, folded, -1, start, end);
        if (bad !== '') this.#condemn(bad, start);
      }
      return true;
    }
    return this.#complexLine(start, at, end, folded);
  }

  /** A line with parameters, with a fold before its colon, or of no known form. */
  #complexLine(
    lineStart: number,
    nameEnd: number,
    lineEnd: number,
    folded: boolean,
  ): boolean {
    if (isMark(this.#source, lineStart) && !this.#options.normalised) return false;
    let source = this.#source;
    let start = lineStart;
    let end = lineEnd;
    let at = nameEnd;
    const params = this.#params;
    params.reset();
    let value = -1;
    if (at > start && source[at] === SEMICOLON) value = readParams(source, at, end, params);
    if (folded && source[at] === CR && !this.#options.normalised) return false;
    if (value === -2) {
      // A fold stands among the parameters: read the line without its folds.
      source = unfold(source, lineStart, lineEnd);
      start = at = 0;
      end = source.length;
      folded = false;
      while (at < end && NAME[source[at]!] === 1) at++;
      params.reset();
      value = readParams(source, at, end, params);
    }
    const name = at - start === 5 || at - start === 3 ? word(source, start, at - start) : '';
    if (name === 'BEGIN' || name === 'END') {
      if (!this.#options.normalised) return false;
      this.#fault(lineStart, `A ${name} has parameters, or is folded`);
    } else if (value < 0) {
      this.#fault(lineStart, 'A line is not of the form NAME;PARAMETER=value:value');
    } else if (this.#start < 0) {
      this.#outside(source, lineStart, start, at, value, end, folded);
    } else if (this.#bad === '') {
      const tzid = params.tzidEnd > params.tzidStart
        ? this.#tzids.of(source, params.tzidStart, params.tzidEnd)
        : -1;
      if (tzid >= 0) {
        this.#draft.uses(tzid, this.#nested.length > 0 || !isTimeName(source, start, at - start));
      }
      if (this.#nested.length > 0) return true;
      const bad = this.#draft.property(
        source,
        start,
        at,
        value,
        end,
        folded,
        tzid,
        lineStart,
        lineEnd,
      );
      if (bad !== '') this.#condemn(bad, lineStart);
    }
    return true;
  }

  /** The name behind BEGIN: or END:, upper case; `''` when it is none, or not without blanks or folds. */
  #word(start: number, end: number, folded: boolean): string {
    if (folded || end - start > 64) return '';
    for (let i = start; i < end; i++) if (NAME[this.#source[i]!] === 0) return '';
    return end === start ? '' : word(this.#source, start, end - start);
  }

  #begin(start: number, type: string): void {
    if (type === 'VCALENDAR') {
      this.#lose(start, 'BEGIN:VCALENDAR');
      this.#endStray(start);
      this.#calendars++;
      this.#inCalendar = true;
      return;
    }
    if (this.#start >= 0 && !TOP.has(type)) {
      if (this.#bad !== '') return;
      if (type === '') this.#condemn('A BEGIN names no component', start);
      else if (this.#nested.push(type) > MAX_DEPTH) {
        this.#condemn(`Components are nested deeper than ${MAX_DEPTH}`, start);
      } else this.#draft.nest(type);
      return;
    }
    this.#lose(start, `BEGIN:${type}`);
    this.#endStray(start);
    this.#start = start;
    this.inside = true;
    this.#type = type;
    this.#nested.length = 0;
    this.#badAt = start;
    this.#bad = type === ''
      ? 'A BEGIN names no component'
      : INNER.has(type)
      ? `${type} stands outside a component`
      : !this.#inCalendar && !TOP.has(type)
      ? `${type} stands outside a VCALENDAR`
      : '';
    this.#draft.begin(type, start);
  }

  #end(start: number, end: number, type: string): void {
    if (this.#start < 0) {
      if (type !== 'VCALENDAR') this.#fault(start, `END:${type} without its BEGIN`);
      else {
        this.#endStray(start);
        this.#inCalendar = false;
      }
      return;
    }
    const nested = this.#nested;
    if (this.#bad === '' && nested.length > 0 && nested[nested.length - 1] === type) {
      nested.pop();
    } else if (type === this.#type) {
      if (nested.length > 0 && this.#bad === '') {
        this.#condemn(`${nested[nested.length - 1]} has no END`, start);
      }
      this.#complete(end, 0);
    } else if (type === 'VCALENDAR') {
      this.#lose(start, 'END:VCALENDAR');
      this.#inCalendar = false;
    } else this.#condemn(`END:${type} without its BEGIN`, start);
  }

  #condemn(reason: string, at: number): void {
    if (this.#bad !== '') return;
    this.#bad = reason;
    this.#badAt = at;
  }

  /** The component ends here: into the list, or into quarantine. */
  #complete(end: number, has: number): void {
    const start = this.#start;
    this.#start = -1;
    this.inside = false;
    const missing = this.#bad === '' ? this.#draft.missing() : '';
    if (missing !== '') this.#condemn(missing, start);
    if (this.#bad !== '') this.#quarantine(start, end, this.#bad, this.#badAt);
    else if (this.#type === 'VTIMEZONE') this.#zone(start, end);
    else {
      const calendar = Math.max(0, this.#calendars - 1);
      const index = this.#components.length;
      this.#components.push(this.#draft.finish(this.#source, end, calendar, has, index));
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

  /** A component that is still open where it cannot be. */
  #lose(at: number, before: string): void {
    if (this.#start < 0) return;
    const start = this.#start;
    this.#start = -1;
    this.inside = false;
    this.#condemn(`No END:${this.#type} before ${before}`, start);
    this.#quarantine(start, at, this.#bad, this.#badAt);
  }

  #outside(
    source: Buffer,
    line: number,
    start: number,
    nameEnd: number,
    value: number,
    end: number,
    folded: boolean,
  ): void {
    if (!this.#inCalendar) return this.#fault(line, 'Content outside a VCALENDAR');
    this.#endStray(line);
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
      if (!whole || this.#type === 'VTIMEZONE') this.#lose(end, 'the end of the file');
      else this.#complete(end, -1);
    }
    this.#endStray(end);
    return {
      components: this.#components,
      zones: this.#zones,
      tzids: this.#tzids.list,
      header: this.#header,
      faults: this.#faults.sort((a, b) => a.at - b.at),
      faultCount: this.#faultCount,
      calendars: this.#calendars,
    };
  }
}

let lastWord = 'BEGIN';

/** Upper-case text of a name. The last answer is given again when it fits, without a new string. */
function word(source: Buffer, start: number, length: number): string {
  if (length === 5 && fits(source, start, 'BEGIN')) return 'BEGIN';
  if (length === 3 && fits(source, start, 'END')) return 'END';
  if (length === 6 && fits(source, start, 'VEVENT')) return 'VEVENT';
  if (length === 6 && fits(source, start, 'VALARM')) return 'VALARM';
  if (length !== lastWord.length || !fits(source, start, lastWord)) {
    lastWord = source.toString('latin1', start, start + length).toUpperCase();
  }
  return lastWord;
}

/** Some readers take a feed apart by `BEGIN:` and `END:` in capitals: lines.ts writes them so. */
function hasLower(source: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (source[i]! >= 97 && source[i]! <= 122) return true;
  return false;
}

function fits(source: Buffer, start: number, upper: string): boolean {
  for (let i = 0; i < upper.length; i++) {
    const want = upper.charCodeAt(i);
    const got = source[start + i]!;
    if (got !== want && (want < 65 || want > 90 || got !== want + 32)) return false;
  }
  return true;
}
