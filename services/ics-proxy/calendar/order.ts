/** Below so many keys, or with so few sorted parts, merging beats counting. */
const FEW = 64;
const DIGITS = 11;

/**
 * The places of `keys` (whole numbers from 0 to 2^53) in ascending order, by `ties` where two are equal.
 * Linear in their number but for ties.
 */
export function inOrder(keys: Float64Array, ties: (a: number, b: number) => number): Int32Array {
  const order = new Int32Array(keys.length);
  let falls = 0;
  for (let i = 0; i < keys.length; i++) {
    order[i] = i;
    if (i > 0 && keys[i]! < keys[i - 1]!) falls++;
  }
  if (keys.length < FEW || falls < 8) return mergeRuns(order, keys, ties);
  const counted = byDigits(order, keys);
  for (let start = 0, i = 1; i <= counted.length; i++) {
    if (i < counted.length && keys[counted[i]!] === keys[counted[start]!]) continue;
    if (i - start > 1) counted.set(mergeRuns(counted.slice(start, i), keys, ties), start);
    start = i;
  }
  return counted;
}

/** Sorts by each eleven bits of the keys, the lowest first. */
function byDigits(order: Int32Array, keys: Float64Array): Int32Array {
  const { length } = keys;
  let spare: Int32Array = new Int32Array(length);
  const digits = new Uint16Array(length);
  let most = 0;
  for (let i = 0; i < length; i++) if (keys[i]! > most) most = keys[i]!;
  for (let scale = 1; scale <= most; scale *= 1 << DIGITS) {
    const counts = new Int32Array((1 << DIGITS) + 1);
    for (let i = 0; i < length; i++) {
      const digit = Math.floor(keys[i]! / scale) & (1 << DIGITS) - 1;
      digits[i] = digit;
      counts[digit + 1]!++;
    }
    for (let d = 1; d < counts.length; d++) counts[d]! += counts[d - 1]!;
    for (let i = 0; i < length; i++) {
      const place = order[i]!;
      spare[counts[digits[place]!]!++] = place;
    }
    [order, spare] = [spare, order];
  }
  return order;
}

/** Sorts by merging the sorted parts that are there. */
function mergeRuns(
  order: Int32Array,
  keys: Float64Array,
  ties: (a: number, b: number) => number,
): Int32Array {
  const { length } = order;
  let spare: Int32Array = new Int32Array(length);
  let runs: number[] = [];
  for (let i = 0; i < length; i++) {
    if (i === 0) {
      runs.push(i);
      continue;
    }
    const one = order[i - 1]!;
    const two = order[i]!;
    if (keys[two]! < keys[one]! || (keys[two]! === keys[one]! && ties(one, two) > 0)) runs.push(i);
  }
  while (runs.length > 1) {
    const merged: number[] = [];
    for (let r = 0; r < runs.length; r += 2) {
      merged.push(runs[r]!);
      const middle = runs[r + 1] ?? length;
      const end = runs[r + 2] ?? length;
      mergeTwo(order, spare, runs[r]!, middle, end, keys, ties);
    }
    [order, spare, runs] = [spare, order, merged];
  }
  return order;
}

function mergeTwo(
  from: Int32Array,
  to: Int32Array,
  start: number,
  middle: number,
  end: number,
  keys: Float64Array,
  ties: (a: number, b: number) => number,
): void {
  let a = start;
  let b = middle;
  for (let at = start; at < end; at++) {
    if (b >= end) to[at] = from[a++]!;
    else if (a >= middle) to[at] = from[b++]!;
    else {
      const one = from[a]!;
      const two = from[b]!;
      const difference = keys[one]! - keys[two]! || ties(one, two);
      if (difference <= 0) {
        to[at] = one;
        a++;
      } else {
        to[at] = two;
        b++;
      }
    }
  }
}

/** For `ties`: by the code units of two texts. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
