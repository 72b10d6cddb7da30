import type { Buffer } from 'node:buffer';
import { DEL, SPACE, TAB } from './bytes.ts';

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
