import { Buffer } from 'node:buffer';
import type { Component } from './components.ts';

/** Are two components the same but for their DTSTAMP and the places of their folds? */
export function sameContent(a: Buffer, one: Component, b: Buffer, two: Component): boolean {
  const sizeOne = one.end - one.start - (one.stampEnd - one.stampStart);
  const sizeTwo = two.end - two.start - (two.stampEnd - two.stampStart);
  if (sizeOne === sizeTwo && one.stampStart === two.stampStart) {
    const cutOne = one.start + one.stampStart;
    const cutTwo = two.start + two.stampStart;
    if (
      a.subarray(one.start, cutOne).equals(b.subarray(two.start, cutTwo)) &&
      a.subarray(one.start + one.stampEnd, one.end)
        .equals(b.subarray(two.start + two.stampEnd, two.end))
    ) return true;
  }
  return contentOf(a, one).equals(contentOf(b, two));
}

/** A component's bytes, unfolded, without DTSTAMP. */
export function contentOf(source: Buffer, component: Component): Buffer {
  const { start, end, stampStart, stampEnd } = component;
  const parts = [
    source.subarray(start, start + stampStart),
    source.subarray(start + stampEnd, end),
  ];
  return Buffer.concat(parts.flatMap((part) => isFolded(part) ? unfoldedParts(part) : [part]));
}

function isFolded(part: Buffer): boolean {
  return part.includes('\r\n ', 0, 'latin1') || part.includes('\r\n\t', 0, 'latin1');
}

/** Line breaks that are no folds stay: only CR LF blank goes. */
function unfoldedParts(part: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (let cut; (cut = part.indexOf('\r\n', at, 'latin1')) >= 0;) {
    const next = part[cut + 2];
    const folds = next === 32 || next === 9;
    parts.push(part.subarray(at, folds ? cut : cut + 2));
    at = folds ? cut + 3 : cut + 2;
  }
  if (at < part.length) parts.push(part.subarray(at));
  return parts;
}
