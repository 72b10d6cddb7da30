import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { ascii, same, SPACE } from './bytes.ts';
import { type Component, Has } from './components.ts';
import { unfold } from './lines.ts';
import type { Tzids } from './tzids.ts';
import { dateDigits, isDuration, isRule } from './values.ts';

const UID = ascii('uid'), DTSTART = ascii('dtstart'), DTSTAMP = ascii('dtstamp');
const DTEND = ascii('dtend'), DUE = ascii('due'), DURATION = ascii('duration');
const RRULE = ascii('rrule'), RDATE = ascii('rdate'), RECURRENCE_ID = ascii('recurrence-id');
const RELATED_TO = ascii('related-to'), CLASS = ascii('class'), SEQUENCE = ascii('sequence');
const PUBLIC = ascii('public');

const Seen = { UID: 1, START: 2, STAMP: 4, END: 8, DUE: 16, RECURRENCE: 32 } as const;
const NONE: readonly number[] = [];
/** Components that need a UID and a DTSTAMP (RFC 5545 §3.6). */
const IDENTIFIED = new Set(['VEVENT', 'VTODO', 'VJOURNAL', 'VFREEBUSY', 'VAVAILABILITY']);

/** The component that is being read: collects its keys and judges its properties. Reused. */
export class Draft {
  readonly #tzids: Tzids;
  #type = '';
  #start = 0;
  #seen = 0;
  #has = 0;
  #uid = '';
  #recurrenceId = '';
  #startKey = 0;
  #dueKey = 0;
  #stampStart = 0;
  #stampEnd = 0;
  #stampGood = false;
  #sequence = 0;
  #zones: number[] | undefined;
  #zone = -1;
  /** Rules that have been found well-formed. */
  readonly #rules = new Set<string>();
  /** One-TZID lists, shared by all components that use just that one. */
  readonly #lists: (readonly number[])[] = [];

  constructor(tzids: Tzids) {
    this.#tzids = tzids;
  }

  begin(type: string, start: number): void {
    this.#type = type;
    this.#start = start;
    this.#seen = 0;
    this.#has = 0;
    this.#uid = '';
    this.#recurrenceId = '';
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
    else if (!this.#zones) this.#zones = [this.#zone, tzid];
    else if (!this.#zones.includes(tzid)) this.#zones.push(tzid);
  }

  /**
   * A property of the component itself: name `[start, nameEnd)` and value `[value, end)` of `source`,
   * from the line at `lineStart`..`lineEnd` of the calendar. Returns what is wrong with it, or `''`.
   */
  property(
    source: Buffer,
    start: number,
    nameEnd: number,
    value: number,
    end: number,
    folded: boolean,
    tzid: number,
    lineStart: number,
    lineEnd: number,
  ): string {
    const first = source[start]! | 32;
    switch (nameEnd - start) {
      case 3:
        if (first === 117 && same(source, start, UID)) {
          return this.#identity(source, value, end, folded);
        }
        if (first === 100 && same(source, start, DUE)) {
          return this.#date(source, value, end, folded, tzid, Seen.DUE);
        }
        break;
      case 5:
        if (first === 100 && same(source, start, DTEND)) {
          return this.#date(source, value, end, folded, tzid, Seen.END);
        }
        if (first === 114) {
          if (same(source, start, RRULE)) {
            this.#has |= Has.RULE;
            const rule = text(source, value, end, folded, 10_000);
            // Calendars repeat few rules many times.
            if (this.#rules.has(rule)) return '';
            if (!isRule(rule)) return 'RRULE is malformed';
            if (this.#rules.size < 1000) this.#rules.add(rule);
            return '';
          }
          if (same(source, start, RDATE)) this.#has |= Has.RDATE;
        } else if (first === 99 && same(source, start, CLASS)) {
          if (end - value !== 6 || !same(source, value, PUBLIC)) this.#has |= Has.CLASS;
        }
        break;
      case 7:
        if (first !== 100) break;
        if (same(source, start, DTSTART)) {
          return this.#date(source, value, end, folded, tzid, Seen.START);
        }
        if (same(source, start, DTSTAMP)) {
          if (this.#seen & Seen.STAMP) return 'DTSTAMP occurs twice';
          this.#seen |= Seen.STAMP;
          const straight = folded ? unfold(source, value, end) : source;
          const from = folded ? 0 : value;
          this.#stampGood = dateDigits(straight, from, folded ? straight.length : end) >= 0;
          this.#stampStart = lineStart - this.#start;
          this.#stampEnd = lineEnd + 2 - this.#start;
        }
        break;
      case 8:
        if (first === 115 && same(source, start, SEQUENCE)) {
          const number = end - value === 1 ? source[value]! - 48 : Number(
            text(source, value, end, folded, 32),
          );
          this.#sequence = Number.isSafeInteger(number) && number >= 0 ? number : 0;
        } else if (first === 100 && same(source, start, DURATION)) {
          return isDuration(text(source, value, end, folded, 65)) ? '' : 'DURATION is malformed';
        }
        break;
      case 10:
        if (first === 114 && same(source, start, RELATED_TO)) this.#has |= Has.RELATED;
        break;
      case 13:
        if (first === 114 && same(source, start, RECURRENCE_ID)) {
          const bad = this.#date(source, value, end, folded, tzid, Seen.RECURRENCE);
          if (bad === '') {
            const zone = tzid < 0 ? '' : this.#tzids.list[tzid]!;
            this.#recurrenceId = `${text(source, value, end, folded, 16)}|${zone}`;
          }
          return bad;
        }
    }
    return '';
  }

  #identity(source: Buffer, value: number, end: number, folded: boolean): string {
    if (this.#seen & Seen.UID) return 'UID occurs twice';
    this.#seen |= Seen.UID;
    while (value < end && source[value] === SPACE) value++;
    if (value === end) return '';
    this.#uid = text(source, value, end, folded, Infinity);
    return '';
  }

  #date(
    source: Buffer,
    value: number,
    end: number,
    folded: boolean,
    tzid: number,
    which: number,
  ): string {
    if (this.#seen & which) return `${nameOf(which)} occurs twice`;
    this.#seen |= which;
    if (folded) {
      source = unfold(source, value, end);
      value = 0;
      end = source.length;
    }
    const digits = dateDigits(source, value, end);
    if (digits < 0) return `${nameOf(which)} is no date`;
    if (tzid < 0 && end - value === 15) this.#has |= Has.FLOATING;
    if (which === Seen.START) this.#startKey = digits;
    else if (which === Seen.DUE) this.#dueKey = digits;
    return '';
  }

  /** Why the component, now complete, cannot be in a feed; `''` when it can. */
  missing(): string {
    if (this.#type === 'VEVENT' && !(this.#seen & Seen.START)) return 'VEVENT has no DTSTART';
    return '';
  }

  /** `has` -1: the END line is missing. */
  finish(source: Buffer, end: number, calendar: number, has: number, index: number): Component {
    if (has < 0) this.#has |= Has.NO_END;
    let uid = this.#uid;
    if (IDENTIFIED.has(this.#type)) {
      if (!this.#stampGood) this.#has |= Has.NO_STAMP;
      if (uid === '') this.#has |= Has.NO_UID;
    }
    if (uid === '') {
      // As it will go out: the END line that a later step puts in counts.
      const own = source.subarray(this.#start, end);
      const content = hash(
        'sha256',
        has < 0 ? Buffer.concat([own, Buffer.from(`END:${this.#type}\r\n`)]) : own,
      );
      uid = `${content.slice(0, 32)}@no-uid.hackspace`;
    }
    return {
      source,
      type: this.#type,
      index,
      uid,
      recurrenceId: this.#recurrenceId,
      calendar,
      start: this.#start,
      end,
      stampStart: this.#stampStart,
      stampEnd: this.#stampEnd,
      startKey: this.#startKey || this.#dueKey,
      tzids: this.#zones ?? (this.#zone < 0 ? NONE : this.#lists[this.#zone] ??= [this.#zone]),
      has: this.#has,
      sequence: this.#sequence,
      hash: 0,
    };
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

/** Every runtime's Buffer has it; it is `toString` without the reading of its arguments. */
interface Slicing {
  utf8Slice?(start: number, end: number): string;
}

function utf8(source: Buffer & Slicing, start: number, end: number): string {
  return source.utf8Slice ? source.utf8Slice(start, end) : source.toString('utf8', start, end);
}
