import { Buffer } from 'node:buffer';
import { ascii, COLON, NAME, QUOTE, same, SEMICOLON, type Writer } from './bytes.ts';
import { type Component, Has } from './components.ts';
import { LINE_OCTETS, unfold, writeFolded, writeLine } from './lines.ts';
import {
  Field,
  first,
  Kind,
  readComponent,
  RECORD,
  records,
  stop,
  TIMES,
  wanting,
} from './lexer.ts';
import { Params, readParams } from './params.ts';
import type { Renames } from './renames.ts';
import { quoteParam } from './zone-names.ts';

/** What is to be changed in a component. What is absent leaves everything byte for byte. */
export interface Edit {
  uid?: string | undefined;
  /** Put before SUMMARY's value; already escaped. */
  prefix?: Buffer | undefined;
  /** Replaces COLOR. */
  color?: string | undefined;
  /** Lines put before END, not yet folded. */
  add?: readonly string[] | undefined;
  dropAlarms?: boolean | undefined;
  /** New names of TZIDs. */
  tzids?: Renames | undefined;
  /** TZID given to date-times that have none. */
  floating?: string | undefined;
  /** New UIDs that RELATED-TO may have to point to. */
  related?: ReadonlyMap<string, string> | undefined;
  /** Of the size budget: 1 drops what is bulky, 2 the DESCRIPTION too. */
  sacrifice?: 0 | 1 | 2 | undefined;
}

/** A component as it goes out: `[start, end)` of `source`. */
export interface Piece {
  source: Buffer;
  start: number;
  end: number;
  /** The DTSTAMP line, relative to `start`; both 0 when there is none. */
  stampStart: number;
  stampEnd: number;
  /** See `Component.hash`; of what is newly written once its writer is done. */
  hash: number;
  /** Dates were left out because they are none: their TZIDs may be used no more. */
  partial?: boolean;
}

/** Stands in for a missing DTSTAMP: never changes, so that a feed does not either. */
export const NO_DTSTAMP = 'DTSTAMP:19700101T000000Z';

const KEYS = [Kind.UID, Kind.DTSTAMP, Kind.SUMMARY, Kind.COLOR, Kind.RELATED_TO];
const SOME = wanting(...KEYS);
const DATED = SOME.map((wanted, kind) => wanted | TIMES[kind]!);
const ALL = new Uint8Array(SOME.length).fill(1);
const VALARM = ascii('valarm');
const BULK = ['attach', 'comment', 'attendee', 'x-alt-desc', 'styled-description'].map(ascii);
const DESCRIPTION = ascii('description');

const params = new Params();

/** Writes the component as the edit wants it. */
export function edit(out: Writer, source: Buffer, component: Component, change: Edit): Piece {
  return new Editor(out, source, component, change).run();
}

class Editor {
  readonly #out: Writer;
  readonly #source: Buffer;
  readonly #component: Component;
  readonly #change: Edit;
  readonly #retimes: boolean;
  /** What comes before this is written or dropped. */
  #done: number;
  // The logical line at hand: `[#line, #stop)`, its name up to `#nameEnd`, the next from `#next`.
  #line = 0;
  #nameEnd = 0;
  #stop = 0;
  #next = 0;
  #stampStart = 0;
  #stampEnd = 0;

  constructor(out: Writer, source: Buffer, component: Component, change: Edit) {
    this.#out = out;
    this.#source = source;
    this.#component = component;
    this.#change = change;
    this.#done = component.start;
    this.#retimes = change.tzids !== undefined || change.floating !== undefined;
  }

  run(): Piece {
    const source = this.#source;
    const from = this.#out.length;
    const { start, end, has } = this.#component;
    let depth = -1;
    let skip = 0;
    const { sacrifice, floating } = this.#change;
    const kinds = sacrifice ? ALL : floating === undefined ? SOME : DATED;
    for (let at = start; at < end;) {
      at = readComponent(source, at, end, kinds);
      for (let record = first; record < stop; record += RECORD) {
        const kind = records[record + Field.KIND]!;
        this.#line = records[record + Field.START]!;
        this.#nameEnd = records[record + Field.NAME_END]!;
        this.#stop = records[record + Field.END]!;
        this.#next = this.#stop + 2;
        if (kind === Kind.BEGIN) {
          if (++depth === 0) this.#repair();
          else if (skip === 0 && this.#drops()) {
            this.#keep(this.#line);
            skip = depth;
          }
        } else if (kind === Kind.END) {
          if (depth === skip && skip > 0) {
            this.#done = this.#next;
            skip = 0;
          }
          if (--depth < 0) this.#append();
        } else if (skip === 0) {
          if (depth === 0) this.#property(kind, from);
          else if (this.#retimes) this.#retime(false);
        }
      }
    }
    this.#keep(end);
    if (has & Has.NO_END) {
      this.#append();
      writeLine(this.#out, `END:${this.#component.type}`);
    }
    return {
      source: this.#source,
      start: from,
      end: this.#out.length,
      stampStart: this.#stampStart,
      stampEnd: this.#stampEnd,
      hash: 0,
    };
  }

  #keep(until: number): void {
    if (until <= this.#done) return;
    this.#out.copy(this.#source, this.#done, until);
    this.#done = until;
  }

  #drop(): void {
    this.#keep(this.#line);
    this.#done = this.#next;
  }

  #replace(text: Buffer): void {
    this.#drop();
    writeFolded(this.#out, text);
  }

  /** UID and DTSTAMP that are missing go right behind BEGIN. */
  #repair(): void {
    const { has, uid } = this.#component;
    if (!(has & (Has.NO_UID | Has.NO_STAMP))) return;
    this.#keep(this.#next);
    if (has & Has.NO_UID) writeLine(this.#out, `UID:${this.#change.uid ?? uid}`);
    if (has & Has.NO_STAMP) writeLine(this.#out, NO_DTSTAMP);
  }

  #append(): void {
    this.#keep(this.#component.has & Has.NO_END ? this.#component.end : this.#line);
    const { color, add } = this.#change;
    if (color !== undefined) writeLine(this.#out, `COLOR:${color}`);
    for (const line of add ?? []) writeLine(this.#out, line);
  }

  /** Is the nested component that begins here to go? */
  #drops(): boolean {
    if (!this.#change.dropAlarms) return false;
    const value = unfold(this.#source, this.#nameEnd + 1, this.#stop);
    return value.length === 6 && same(value, 0, VALARM);
  }

  #property(kind: number, from: number): void {
    const change = this.#change;
    if (kind === Kind.UID && this.#component.has & Has.NO_UID) this.#drop();
    else if (kind === Kind.UID && change.uid !== undefined) {
      this.#replace(Buffer.from(`UID:${change.uid}`));
    } else if (kind === Kind.DTSTAMP) this.#stamp(from);
    else if (kind === Kind.SUMMARY && change.prefix) this.#prefix(change.prefix);
    else if (kind === Kind.COLOR && change.color !== undefined) this.#drop();
    else if (change.sacrifice && this.#isBulk(change.sacrifice)) this.#drop();
    else if (kind === Kind.RELATED_TO && change.related) this.#relate(change.related);
    else if (this.#retimes) this.#retime(TIMES[kind] === 1);
  }

  #stamp(from: number): void {
    if (this.#component.has & Has.NO_STAMP) return this.#drop();
    this.#keep(this.#line);
    this.#stampStart = this.#out.length - from;
    if (this.#retimes) this.#retime(false);
    this.#keep(this.#next);
    this.#stampEnd = this.#out.length - from;
  }

  #prefix(prefix: Buffer): void {
    const source = this.#source;
    params.reset();
    const value = source[this.#nameEnd] === COLON
      ? this.#nameEnd + 1
      : readParams(source, this.#nameEnd, this.#stop, params);
    const bound = params.tzidEnd > 0 && this.#retimes;
    if (value > 0 && !bound && this.#stop - this.#line + prefix.length <= LINE_OCTETS) {
      this.#keep(value);
      this.#out.copy(prefix, 0, prefix.length);
      return;
    }
    const text = this.#text();
    const colon = valueOf(text);
    if (colon > 0) {
      this.#replace(Buffer.concat([text.subarray(0, colon), prefix, text.subarray(colon)]));
    }
  }

  #isBulk(level: 1 | 2): boolean {
    const source = this.#source;
    const line = this.#line;
    const length = this.#nameEnd - line;
    if ((source[line]! | 32) === 120 && source[line + 1] === 45) return true;
    if (level === 2 && length === 11 && same(source, line, DESCRIPTION)) return true;
    return BULK.some((name) => name.length === length && same(source, line, name));
  }

  #relate(related: ReadonlyMap<string, string>): void {
    const text = this.#text();
    const colon = valueOf(text);
    const uid = colon < 0 ? undefined : related.get(text.toString('utf8', colon));
    if (uid === undefined) return this.#retimes ? this.#retime(false) : undefined;
    this.#replace(Buffer.concat([text.subarray(0, colon), Buffer.from(uid)]));
  }

  /** The line unfolded, its TZID renamed. */
  #text(): Buffer {
    return (this.#retimes && retimed(this.#source, this.#line, this.#stop, this.#change, false)) ||
      unfold(this.#source, this.#line, this.#stop);
  }

  /** TZIDs that have a new name, and date-times that are to have one. */
  #retime(isDate: boolean): void {
    const source = this.#source;
    const plain = source[this.#nameEnd] === COLON;
    if (plain && !(isDate && this.#change.floating)) return;
    if (!plain && this.#stop - this.#line <= LINE_OCTETS) {
      // The usual: the line stays one physical line, and all but the name is copied.
      params.reset();
      if (
        readParams(source, this.#nameEnd, this.#stop, params) > 0 &&
        params.tzidEnd > params.tzidStart
      ) {
        const { tzidStart, tzidEnd } = params;
        const param = this.#change.tzids?.paramOf(source, tzidStart, tzidEnd);
        if (!param) return;
        const quoted = source[tzidStart - 1] === QUOTE ? 1 : 0;
        const length = this.#stop - this.#line + param.length - (tzidEnd - tzidStart);
        if (length <= LINE_OCTETS) {
          this.#keep(tzidStart - quoted);
          this.#out.copy(param, 0, param.length);
          this.#done = tzidEnd + quoted;
          return;
        }
      }
    }
    const changed = retimed(source, this.#line, this.#stop, this.#change, isDate);
    if (changed) this.#replace(changed);
  }
}

/** Where the value of an unfolded line begins; -1 when its parameters are malformed. */
function valueOf(line: Buffer): number {
  let at = 0;
  while (at < line.length && NAME[line[at]!] === 1) at++;
  params.reset();
  return line[at] === COLON
    ? at + 1
    : line[at] === SEMICOLON
    ? readParams(line, at, line.length, params)
    : -1;
}

/** The line with its TZID renamed, or bound to `floating`; undefined when it stays. */
export function retimed(
  source: Buffer,
  line: number,
  stop: number,
  change: Pick<Edit, 'tzids' | 'floating'>,
  isDate: boolean,
): Buffer | undefined {
  const text = unfold(source, line, stop);
  const value = valueOf(text);
  if (value < 0) return undefined;
  const { tzidStart, tzidEnd } = params;
  if (tzidEnd > tzidStart) {
    const param = change.tzids?.paramOf(text, tzidStart, tzidEnd);
    if (param === undefined) return undefined;
    const quoted = text[tzidStart - 1] === 34 ? 1 : 0;
    return Buffer.concat([
      text.subarray(0, tzidStart - quoted),
      param,
      text.subarray(tzidEnd + quoted),
    ]);
  }
  if (!isDate || change.floating === undefined) return undefined;
  // Only a list of local date-times floats: not dates, not UTC.
  const first = text.toString('latin1', value).split(/[,/]/, 1)[0]!;
  if (!/^\d{8}T\d{6}$/i.test(first)) return undefined;
  // `;TZID=` that says nothing gets its value, lines without one the parameter.
  const empty = tzidEnd > 0;
  const cut = empty ? tzidStart - (text[tzidStart - 1] === QUOTE ? 1 : 0) : value - 1;
  return Buffer.concat([
    text.subarray(0, cut),
    Buffer.from(empty ? quoteParam(change.floating) : `;TZID=${quoteParam(change.floating)}`),
    text.subarray(empty ? tzidEnd + (tzidStart - cut) : value - 1),
  ]);
}
