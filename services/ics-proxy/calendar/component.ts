import type { Buffer } from 'node:buffer';
import { high, low, mix, viewOf } from './digest.ts';
import { compare } from './order.ts';
import { Tzids } from './tzids.ts';

/** What a component holds, as bits: what a later step may skip when the bit is not set. */
export const Has = {
  RULE: 1,
  RDATE: 2,
  ALARM: 4,
  RELATED: 8,
  /** A date-time that is neither UTC nor bound to a TZID: it floats with the reader. */
  FLOATING: 16,
  /** CLASS other than PUBLIC. */
  CLASS: 32,
  /** No UID of its own: `uid` is derived from its content. */
  NO_UID: 64,
  /** No DTSTAMP, or one that is no date-time. */
  NO_STAMP: 128,
  NESTED: 256,
  /** The file ended before its END line. */
  NO_END: 512,
  /** A TZID where a redacted component has none: on a nested or unusual property. */
  ODD_TZID: 1024,
  /** Has a RECURRENCE-ID. */
  RECURRENCE: 2048,
  /** The UID as text is in `Table.uids`, not in one piece in the bytes. */
  UID_TEXT: 4096,
} as const;

/**
 * A component's numbers in `Table.rows`: sixteen of them, one line of a processor's cache. Tens of
 * thousands of components are thereby one array to the garbage collector, and a copy of it a `set`.
 */
export const Row = {
  START: 0,
  END: 1,
  /** Relative to START, as the next three. */
  STAMP_START: 2,
  STAMP_END: 3,
  UID_START: 4,
  UID_END: 5,
  UID_HASH: 6,
  HAS: 7,
  /** Index into `Table.types`. */
  TYPE: 8,
  /** Index into `Table.lists`. */
  ZONES: 9,
  CALENDAR: 10,
  SEQUENCE: 11,
  /** DTSTART (else DUE): YYYYMMDD and HHMMSS. */
  DATE: 12,
  TIME: 13,
  /** Of the bytes without DTSTAMP, 53 bits in two numbers. */
  HASH_HIGH: 14,
  HASH_LOW: 15,
} as const;
export const WIDTH = 16;

/** The components of one calendar. Rows that are in it never change. */
export class Table {
  readonly source: Buffer;
  readonly view: DataView;
  rows: Int32Array = new Int32Array(64 * WIDTH);
  length = 0;
  /** Every bit of `Has` that some component has. */
  has = 0;
  /** Have the lines been put in order? */
  readonly normalised: boolean;
  /** How many tables this one was filled from, one from the other; they share what follows. */
  readonly generation: number;
  readonly types: string[];
  readonly tzids: Tzids;
  /** TZIDs as indexes into `tzids`; components of one TZID share a list. */
  readonly lists: (readonly number[])[];
  /** By index, where there is one: RECURRENCE-ID's value, `|` and its TZID. */
  readonly recurrences: Map<number, string> = new Map();
  readonly uids: Map<number, string> = new Map();

  /** What later steps remember, by component. */
  readonly memories: Map<string, unknown[]> = new Map();

  constructor(source: Buffer, normalised: boolean, old?: Table) {
    this.source = source;
    this.view = viewOf(source);
    this.normalised = normalised;
    this.generation = old ? old.generation + 1 : 0;
    this.types = old?.types ?? [];
    this.tzids = old?.tzids ?? new Tzids();
    this.lists = old?.lists ?? [[]];
  }

  /** A place for each component, kept from merge to merge, and when the calendar is read again. */
  memory<T>(name: string): (T | undefined)[] {
    let memory = this.memories.get(name);
    if (!memory) {
      this.memories.set(name, memory = new Array<unknown>(this.length).fill(undefined));
    }
    return memory as (T | undefined)[];
  }

  /** Makes room for `more` rows behind the last one; returns where in `rows` they begin. */
  reserve(more: number): number {
    const at = this.length * WIDTH;
    const needed = at + more * WIDTH;
    if (needed > this.rows.length) {
      const grown = new Int32Array(Math.max(needed, this.rows.length * 2));
      grown.set(this.rows.subarray(0, at));
      this.rows = grown;
    }
    return at;
  }

  uidOf(index: number): string {
    const row = index * WIDTH;
    const { rows } = this;
    if ((rows[row + Row.HAS]! & Has.UID_TEXT) !== 0) return this.uids.get(index)!;
    const start = rows[row + Row.START]!;
    return utf8(this.source, start + rows[row + Row.UID_START]!, start + rows[row + Row.UID_END]!);
  }

  keyOf(index: number): number {
    const row = index * WIDTH;
    return this.rows[row + Row.DATE]! * 1e6 + this.rows[row + Row.TIME]!;
  }

  /** The first six characters of the UID as one number that orders as they do; NaN if not in ASCII. */
  prefixOf(index: number): number {
    const { rows, source } = this;
    const row = index * WIDTH;
    const text = (rows[row + Row.HAS]! & Has.UID_TEXT) !== 0 ? this.uids.get(index)! : undefined;
    const start = rows[row + Row.START]! + rows[row + Row.UID_START]!;
    const length = text?.length ?? rows[row + Row.UID_END]! - rows[row + Row.UID_START]!;
    let prefix = 0;
    for (let i = 0; i < 6; i++) {
      const code = i >= length ? 0 : text?.charCodeAt(i) ?? source[start + i]!;
      if (code > 127) return NaN;
      prefix = prefix * 128 + code;
    }
    return prefix;
  }

  hashOf(index: number): number {
    const row = index * WIDTH;
    return this.rows[row + Row.HASH_HIGH]! * 4294967296 + (this.rows[row + Row.HASH_LOW]! >>> 0);
  }
}

/** Orders UIDs by their code units, most of the time without making texts of them. */
export function compareUids(one: Table, i: number, two: Table, j: number): number {
  const text = (one.rows[i * WIDTH + Row.HAS]! | two.rows[j * WIDTH + Row.HAS]!) & Has.UID_TEXT;
  if (text === 0) {
    const startOne = one.rows[i * WIDTH + Row.START]!;
    const startTwo = two.rows[j * WIDTH + Row.START]!;
    const endOne = startOne + one.rows[i * WIDTH + Row.UID_END]!;
    const endTwo = startTwo + two.rows[j * WIDTH + Row.UID_END]!;
    let a = startOne + one.rows[i * WIDTH + Row.UID_START]!;
    let b = startTwo + two.rows[j * WIDTH + Row.UID_START]!;
    while (a < endOne && b < endTwo && one.source[a] === two.source[b]) {
      a++;
      b++;
    }
    if (a === endOne || b === endTwo) return endOne - a - (endTwo - b);
    // Up to here they are the same; in ASCII the next bytes are the next code units.
    const byteOne = one.source[a]!;
    const byteTwo = two.source[b]!;
    if (byteOne < 128 && byteTwo < 128) return byteOne - byteTwo;
  }
  return compare(one.uidOf(i), two.uidOf(j));
}

/** One component at the level of VCALENDAR: a row of a table, read by name. */
export class Component {
  readonly #table: Table;
  readonly #row: number;
  #uid: string | undefined;

  constructor(table: Table, index: number) {
    this.#table = table;
    this.#row = index * WIDTH;
  }
  /** `ParsedCalendar.bytes`: the component is `[start, end)` of it. */
  get source(): Buffer {
    return this.#table.source;
  }
  /** `source` as words. */
  get view(): DataView {
    return this.#table.view;
  }
  get start(): number {
    return this.#table.rows[this.#row + Row.START]!;
  }
  /** Behind the line break of the END line. */
  get end(): number {
    return this.#table.rows[this.#row + Row.END]!;
  }
  /** Its place in `ParsedCalendar.components`. */
  get index(): number {
    return this.#row / WIDTH;
  }
  /** Upper case: VEVENT, VTODO, VJOURNAL, VFREEBUSY, X-…; VTIMEZONEs are in `zones`. */
  get type(): string {
    return this.#table.types[this.#table.rows[this.#row + Row.TYPE]!]!;
  }
  get uid(): string {
    return this.#uid ??= this.#table.uidOf(this.index);
  }
  /** Equal for equal UIDs. */
  get uidHash(): number {
    return this.#table.rows[this.#row + Row.UID_HASH]!;
  }
  /** `''` for a master; else RECURRENCE-ID's value, `|` and its TZID. */
  get recurrenceId(): string {
    return (this.has & Has.RECURRENCE) === 0 ? '' : this.#table.recurrences.get(this.index)!;
  }
  /** Which VCALENDAR of the file it came from: TZIDs are looked up there first. */
  get calendar(): number {
    return this.#table.rows[this.#row + Row.CALENDAR]!;
  }
  /** The DTSTAMP line, relative to `start`; both 0 when there is none. */
  get stampStart(): number {
    return this.#table.rows[this.#row + Row.STAMP_START]!;
  }
  get stampEnd(): number {
    return this.#table.rows[this.#row + Row.STAMP_END]!;
  }
  /** DTSTART's (else DUE's) digits as one number, 20261123190000; 0 when there is none. */
  get startKey(): number {
    return this.#table.keyOf(this.index);
  }
  /** Indexes into `ParsedCalendar.tzids` of every TZID parameter. */
  get tzids(): readonly number[] {
    return this.#table.lists[this.#table.rows[this.#row + Row.ZONES]!]!;
  }
  get has(): number {
    return this.#table.rows[this.#row + Row.HAS]!;
  }
  get sequence(): number {
    return this.#table.rows[this.#row + Row.SEQUENCE]!;
  }
  /** 53 bits over the bytes without DTSTAMP; never 0. */
  get hash(): number {
    return this.#table.hashOf(this.index);
  }
}

/**
 * 53 bits over the bytes of a component without its DTSTAMP line, whose place is relative to `start`; the
 * lower 32 are never 0.
 */
export function hashOf(
  view: DataView,
  start: number,
  end: number,
  stampStart: number,
  stampEnd: number,
): number {
  mix(view, start, start + stampStart, 0x9e3779b9 | 0, 0x85ebca6b | 0);
  mix(view, start + stampEnd, end, high, low);
  return (high & 0x1fffff) * 4294967296 + (low >>> 0 || 1);
}

/** Every runtime's Buffer has it; it is `toString` without the reading of its arguments. */
interface Slicing {
  utf8Slice?(start: number, end: number): string;
}

export function utf8(source: Buffer & Slicing, start: number, end: number): string {
  return source.utf8Slice ? source.utf8Slice(start, end) : source.toString('utf8', start, end);
}
