import type { Buffer } from 'node:buffer';
import { COLON, CR, DEL, LF, NAME, SPACE, TAB } from './bytes.ts';
import { LINE_OCTETS } from './lines.ts';

/** Whoever is told of the lines. */
export interface Reader {
  /** Is a component being read? Then lines of no concern are left out. */
  readonly inside: boolean;
  /**
   * One logical line `[start, end)`, without its line break; its name ends at `nameEnd`. Returns where
   * to go on, -1 when the lines are not in order.
   */
  line(start: number, nameEnd: number, end: number, folded: boolean): number;
}

/** Tells `reader` of the lines of `source`, which must be in order (lines.ts). False when they are not. */
export function walk(source: Buffer, view: DataView, reader: Reader): boolean {
  const { length } = source;
  if (length === 0) return true;
  if (length < 2 || source[length - 1] !== LF || source[length - 2] !== CR) return false;
  if (source[0] === SPACE || source[0] === TAB) return false;
  let at = 0;
  while (at >= 0 && at < length) at = readSome(source, view, at, length, reader);
  return at >= 0;
}

/**
 * Reads some lines from `at`; returns where the next begins, -1 when the lines are not in order. A loop
 * that is compiled while it runs is left, and entered again, at a high price: this one is short and is
 * called often, so that it is compiled as a whole, with what it calls.
 */
function readSome(
  source: Buffer,
  view: DataView,
  at: number,
  length: number,
  reader: Reader,
): number {
  for (let i = 0; i < 100 && at >= 0 && at < length; i++) {
    at = readLine(source, view, at, length, reader);
  }
  return at;
}

/** Reads the logical line at `start`. Its loops see every byte. */
function readLine(
  source: Buffer,
  view: DataView,
  start: number,
  length: number,
  reader: Reader,
): number {
  let at = start;
  while (NAME[source[at]!] === 1) at++;
  const nameEnd = at;
  let physical = start;
  let folded = false;
  for (;;) {
    at = plainEnd(source, view, at, length);
    if (source[at] !== CR || source[at + 1] !== LF) return -1;
    if (at - physical > LINE_OCTETS || at === start) return -1;
    const byte = at + 2 < length ? source[at + 2]! : 0;
    if (byte !== SPACE && byte !== TAB) break;
    folded = true;
    at += 2;
    physical = at;
  }
  // Most lines are of no concern: NAME:VALUE in a component, of a name that is no key.
  if (source[nameEnd] === COLON && nameEnd > start && reader.inside) {
    const size = nameEnd - start;
    const keys = size < KEYS.length ? KEYS[size]! : 0;
    if ((keys >>> (source[start]! - 1) & 1) === 0) return at + 2;
  }
  return reader.line(start, nameEnd, at, folded);
}

/** The end of the logical line at `start`, before its line break. Lines are in order (lines.ts). */
export function lineEnd(source: Buffer, view: DataView, start: number, end: number): number {
  let at = start;
  for (;;) {
    at = plainEnd(source, view, at, source.length);
    const next = at + 2 < end ? source[at + 2] : 0;
    if (next !== SPACE && next !== TAB) return at;
    at += 2;
  }
}

/**
 * The first byte from `at` that may not stand in a line: a control other than TAB, or DEL. There is one,
 * since the input ends in CR LF. Four bytes at a time: a borrow marks bytes that are too small, and no
 * byte before the first such one is marked wrongly.
 */
export function plainEnd(source: Buffer, view: DataView, at: number, length: number): number {
  for (const last = length - 4; at <= last;) {
    const word = view.getInt32(at, true);
    const deleted = word ^ 0x7f7f7f7f;
    const odd = (((word - 0x20202020) & ~word) | ((deleted - 0x01010101) & ~deleted)) & 0x80808080;
    if (odd === 0) at += 4;
    else {
      at += (31 - Math.clz32(odd & -odd)) >> 3;
      if (source[at] !== TAB) return at;
      at++;
    }
  }
  for (let byte; (byte = source[at]!) === TAB || (byte >= SPACE && byte !== DEL);) at++;
  return at;
}

/** By length of a name, a bit for each first letter (its low five bits less one) of a key. */
const KEYS = new Int32Array(16);
for (
  const name of (
    'BEGIN END UID DUE DTEND RRULE RDATE CLASS DTSTART DTSTAMP SEQUENCE DURATION RELATED-TO RECURRENCE-ID'
  ).split(' ')
) KEYS[name.length]! |= 1 << (name.charCodeAt(0) - 1);
