import { Buffer } from 'node:buffer';
import type { Component } from './components.ts';
import type { Piece } from './edit.ts';

/** Are two components the same but for their DTSTAMP and the places of their folds? */
export function sameContent(a: Buffer, one: Component, b: Buffer, two: Component): boolean {
  const sizeOne = one.end - one.start - (one.stampEnd - one.stampStart);
  const sizeTwo = two.end - two.start - (two.stampEnd - two.stampStart);
  if (sizeOne === sizeTwo && one.stampStart === two.stampStart) {
    const cutOne = one.start + one.stampStart;
    const cutTwo = two.start + two.stampStart;
    if (
      a.compare(b, two.start, cutTwo, one.start, cutOne) === 0 &&
      a.compare(b, two.start + two.stampEnd, two.end, one.start + one.stampEnd, one.end) === 0
    ) return true;
  }
  return contentOf(a, one).equals(contentOf(b, two));
}

/** A component's bytes, unfolded, without DTSTAMP. */
export function contentOf(source: Buffer, component: Component): Buffer {
  const { start, end, stampStart, stampEnd } = component;
  const line = (from: number, to: number) => {
    // Line breaks that are no folds stay: only CR LF blank goes.
    const parts: Buffer[] = [];
    let at = from;
    for (let cut; (cut = source.indexOf('\r\n', at, 'latin1')) >= 0 && cut < to;) {
      const next = source[cut + 2];
      const folds = cut + 2 < to && (next === 32 || next === 9);
      parts.push(source.subarray(at, folds ? cut : cut + 2));
      at = folds ? cut + 3 : cut + 2;
    }
    if (at < to) parts.push(source.subarray(at, to));
    return parts;
  };
  return Buffer.concat([...line(start, start + stampStart), ...line(start + stampEnd, end)]);
}

/** 53 bits over the bytes of a piece without its DTSTAMP line; never 0, remembered in the piece. */
export function hashOf(piece: Piece): number {
  const { source, start, end, stampStart, stampEnd } = piece;
  if (source.buffer !== viewed.buffer) viewed = new DataView(source.buffer);
  const base = source.byteOffset;
  mix(viewed, base + start, base + start + stampStart, 0x9e3779b9 | 0, 0x85ebca6b | 0);
  mix(viewed, base + start + stampEnd, base + end, high, low);
  return piece.hash = ((high >>> 0) & 0x1fffff) * 4294967296 + (low >>> 0) || 1;
}

let viewed: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0));
let high = 0;
let low = 0;

/** Two lanes of multiply-and-rotate over alternate 32-bit words, the last bytes one by one. */
function mix(
  view: DataView<ArrayBufferLike>,
  start: number,
  end: number,
  seedHigh: number,
  seedLow: number,
): void {
  let h = seedHigh ^ (end - start);
  let l = seedLow + (end - start) | 0;
  let at = start;
  for (const stop = end - 7; at < stop; at += 8) {
    h = Math.imul(h ^ view.getInt32(at, true), 0xcc9e2d51);
    l = Math.imul(l ^ view.getInt32(at + 4, true), 0x1b873593);
    h = h << 13 | h >>> 19;
    l = l << 15 | l >>> 17;
  }
  for (; at < end; at++) {
    h = Math.imul(h ^ view.getUint8(at), 0x01000193);
    l = Math.imul(l ^ h, 0x85ebca6b) ^ l >>> 13;
  }
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  l = Math.imul(l ^ l >>> 15 ^ h, 0xc2b2ae35);
  high = h ^ l >>> 13;
  low = l ^ h >>> 16;
}
