/**
 * The places of `keys` in ascending order, by `ties` where two are equal. Sorts by merging the runs that
 * are there: what is sorted, or a few sorted parts one behind the other, costs a pass or a few.
 */
export function inOrder(keys: Float64Array, ties: (a: number, b: number) => number): Int32Array {
  const { length } = keys;
  let order: Int32Array = new Int32Array(length);
  let spare: Int32Array = new Int32Array(length);
  let runs: number[] = [];
  for (let i = 0; i < length; i++) {
    order[i] = i;
    const falls = i === 0 || keys[i]! < keys[i - 1]! ||
      (keys[i]! === keys[i - 1]! && ties(i - 1, i) > 0);
    if (falls) runs.push(i);
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
