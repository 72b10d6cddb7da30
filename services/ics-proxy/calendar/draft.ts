import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { ascii, same, SPACE } from './bytes.ts';
import { Has, Row, type Table, utf8 } from './component.ts';
import { low, mix, viewOf } from './digest.ts';
import { Kind } from './lexer.ts';
import type { Line } from './line.ts';
import { unfold } from './lines.ts';
import type { Tzids } from './tzids.ts';
import { dateDigits, isDuration, isRule, joined } from './values.ts';

const PUBLIC = ascii('public');

const Seen = { UID: 1, START: 2, STAMP: 4, END: 8, DUE: 16, RECURRENCE: 32 } as const;
const LARGEST = 0x7fffffff;
/** Components that need a UID and a DTSTAMP (RFC 5545 §3.6). */
const IDENTIFIED = new Set(['VEVENT', 'VTODO', 'VJOURNAL', 'VFREEBUSY', 'VAVAILABILITY']);

/** The component that is being read: collects its keys and judges its properties. Reused. */
export class Draft {
  readonly #tzids: Tzids;
  readonly #table: Table;
  #type = '';
  #start = 0;
  #seen = 0;
  #has = 0;
  #uidStart = 0;
  #uidEnd = 0;
  #uidText = '';
  #recurrenceId = '';
  #startKey = 0;
  #dueKey = 0;
  #stampStart = 0;
  #stampEnd = 0;
  #stampGood = false;
  #sequence = 0;
  #length = 0;
  #zones: number[] | undefined;
  #zone = -1;
  /** By TZID, where the last component of several TZIDs began that has it. */
  readonly #usedBy: number[] = [];
  /** Rules that have been found well-formed. */
  readonly #rules = new Set<string>();
  /** Where in `Table.lists` each TZID's list of one is. */
  readonly #lists: number[] = [];
  readonly #types = new Map<string, number>();

  constructor(table: Table) {
    this.#tzids = table.tzids;
    this.#table = table;
    table.types.forEach((type, i) => this.#types.set(type, i));
  }

  begin(type: string, start: number): void {
    this.#type = type;
    this.#start = start;
    this.#seen = 0;
    this.#has = 0;
    this.#uidEnd = 0;
    this.#uidText = '';
    this.#startKey = 0;
    this.#dueKey = 0;
    this.#stampStart = 0;
    this.#stampEnd = 0;
    this.#stampGood = false;
    this.#sequence = 0;
    this.#zones = undefined;
    this.#zone = -1;
  }

  nest(type: string): void {
    this.#has |= type === 'VALARM' ? Has.NESTED | Has.ALARM : Has.NESTED;
  }

  /** A TZID parameter; `odd` when it is not on a date of the component itself. */
  uses(tzid: number, odd: boolean): void {
    if (odd) this.#has |= Has.ODD_TZID;
    if (tzid === this.#zone) return;
    if (this.#zone < 0) this.#zone = tzid;
    else if (!this.#zones) {
      this.#zones = [this.#zone, tzid];
      this.#usedBy[this.#zone] = this.#usedBy[tzid] = this.#start;
    } else if (this.#usedBy[tzid] !== this.#start) {
      this.#zones.push(tzid);
      this.#usedBy[tzid] = this.#start;
    }
  }

  /** A property of the component itself. Returns what is wrong with it, or `''`. */
  property(line: Line): string {
    const { source, value, end, folded } = line;
    switch (line.kind) {
      case Kind.UID:
        return this.#identity(line);
      case Kind.DTSTART:
        return this.#date(line, Seen.START);
      case Kind.DTEND:
        return this.#date(line, Seen.END);
      case Kind.DUE:
        return this.#date(line, Seen.DUE);
      case Kind.DTSTAMP:
        if (this.#seen & Seen.STAMP) return 'DTSTAMP occurs twice';
        this.#seen |= Seen.STAMP;
        this.#stampGood = this.#digits(line) >= 0;
        this.#stampStart = line.lineStart - this.#start;
        this.#stampEnd = line.lineEnd + 2 - this.#start;
        break;
      case Kind.SEQUENCE: {
        const number = end - value === 1 ? source[value]! - 48 : Number(
          text(source, value, end, folded, 32),
        );
        const good = Number.isSafeInteger(number) && number >= 0;
        this.#sequence = good ? Math.min(number, LARGEST) : 0;
        break;
      }
      case Kind.RRULE: {
        this.#has |= Has.RULE;
        const rule = text(source, value, end, folded, 10_000);
        // Calendars repeat few rules many times.
        if (this.#rules.has(rule)) break;
        if (!isRule(rule)) return 'RRULE is malformed';
        if (this.#rules.size < 1000) this.#rules.add(rule);
        break;
      }
      case Kind.RDATE:
        this.#has |= Has.RDATE;
        break;
      case Kind.CLASS:
        if (end - value !== 6 || !same(source, value, PUBLIC)) this.#has |= Has.CLASS;
        break;
      case Kind.DURATION:
        return isDuration(text(source, value, end, folded, 65)) ? '' : 'DURATION is malformed';
      case Kind.RELATED_TO:
        this.#has |= Has.RELATED;
        break;
      case Kind.RECURRENCE_ID: {
        const bad = this.#date(line, Seen.RECURRENCE);
        if (bad !== '') return bad;
        this.#has |= Has.RECURRENCE;
        const zone = line.tzid < 0 ? '' : this.#tzids.list[line.tzid]!;
        this.#recurrenceId = `${text(source, value, end, folded, 16)}|${zone}`;
      }
    }
    return '';
  }

  #identity({ source, value, end, folded }: Line): string {
    if (this.#seen & Seen.UID) return 'UID occurs twice';
    this.#seen |= Seen.UID;
    while (value < end && source[value] === SPACE) value++;
    if (value === end) return '';
    if (folded || source !== this.#table.source) {
      this.#uidText = text(source, value, end, folded, Infinity);
    } else {
      this.#uidStart = value;
      this.#uidEnd = end;
    }
    return '';
  }

  #date(line: Line, which: number): string {
    if (this.#seen & which) return `${nameOf(which)} occurs twice`;
    this.#seen |= which;
    const digits = this.#digits(line);
    if (digits < 0) return `${nameOf(which)} is no date`;
    if (line.tzid < 0 && this.#length === 15) this.#has |= Has.FLOATING;
    if (which === Seen.START) this.#startKey = digits;
    else if (which === Seen.DUE) this.#dueKey = digits;
    return '';
  }

  /** See `dateDigits`; leaves the value's length. */
  #digits({ source, value, end, folded, date, time }: Line): number {
    this.#length = end - value;
    if (source === this.#table.source && !folded) return date < 0 ? -1 : joined(date, time);
    const straight = folded ? unfold(source, value, end) : source.subarray(value, end);
    this.#length = straight.length;
    return dateDigits(straight, 0, straight.length);
  }

  /** Why the component, now complete, cannot be in a feed; `''` when it can. */
  missing(): string {
    if (this.#type === 'VEVENT' && !(this.#seen & Seen.START)) return 'VEVENT has no DTSTART';
    return '';
  }

  /** Writes the row of the component, which ends at `end`. `ended`: with its END line. */
  finish(end: number, calendar: number, ended: boolean, hashHigh: number, hashLow: number): void {
    const table = this.#table;
    const start = this.#start;
    let has = ended ? this.#has : this.#has | Has.NO_END;
    let uid = this.#uidText;
    const own = this.#uidEnd > 0;
    if (this.#type === 'VEVENT' || IDENTIFIED.has(this.#type)) {
      if (!this.#stampGood) has |= Has.NO_STAMP;
      if (!own && uid === '') has |= Has.NO_UID;
    }
    if (own) mix(table.view, this.#uidStart, this.#uidEnd, 0, 0);
    else {
      if (uid === '') uid = this.#contentUid(end, ended);
      has |= Has.UID_TEXT;
      table.uids.set(table.length, uid);
      const bytes = Buffer.from(uid);
      mix(viewOf(bytes), 0, bytes.length, 0, 0);
    }
    if ((has & Has.RECURRENCE) !== 0) table.recurrences.set(table.length, this.#recurrenceId);
    const key = this.#startKey || this.#dueKey;
    const date = key / 1e6 | 0;
    const row = table.reserve(1);
    const { rows } = table;
    rows[row + Row.START] = start;
    rows[row + Row.END] = end;
    rows[row + Row.STAMP_START] = this.#stampStart;
    rows[row + Row.STAMP_END] = this.#stampEnd;
    rows[row + Row.UID_START] = own ? this.#uidStart - start : 0;
    rows[row + Row.UID_END] = own ? this.#uidEnd - start : 0;
    rows[row + Row.UID_HASH] = low;
    rows[row + Row.HAS] = has;
    table.has |= has;
    rows[row + Row.TYPE] = this.#typeOf(this.#type);
    rows[row + Row.ZONES] = this.#list();
    rows[row + Row.CALENDAR] = calendar;
    rows[row + Row.SEQUENCE] = this.#sequence;
    rows[row + Row.DATE] = date;
    rows[row + Row.TIME] = key - date * 1e6;
    rows[row + Row.HASH_HIGH] = hashHigh & 0x1fffff;
    rows[row + Row.HASH_LOW] = hashLow;
    table.length++;
  }

  /** A UID for what has none: of its bytes as they will go out, so with the END line put in. */
  #contentUid(end: number, ended: boolean): string {
    const own = this.#table.source.subarray(this.#start, end);
    const bytes = ended ? own : Buffer.concat([own, Buffer.from(`END:${this.#type}\r\n`)]);
    return `${hash('sha256', bytes).slice(0, 32)}@no-uid.hackspace`;
  }

  #typeOf(type: string): number {
    let index = this.#types.get(type);
    if (index === undefined) this.#types.set(type, index = this.#table.types.push(type) - 1);
    return index;
  }

  /** Where the TZIDs' list is; those of one TZID share it. */
  #list(): number {
    const { lists } = this.#table;
    if (this.#zones) return lists.push(this.#zones) - 1;
    return this.#zone < 0 ? 0 : this.#lists[this.#zone] ??= lists.push([this.#zone]) - 1;
  }
}

function nameOf(which: number): string {
  return which === Seen.START
    ? 'DTSTART'
    : which === Seen.END
    ? 'DTEND'
    : which === Seen.DUE
    ? 'DUE'
    : 'RECURRENCE-ID';
}

function text(source: Buffer, start: number, end: number, folded: boolean, limit: number): string {
  const straight = folded ? unfold(source, start, end) : source;
  const from = folded ? 0 : start;
  const to = Math.min(folded ? straight.length : end, from + limit);
  return utf8(straight, from, to);
}
