/** Strangers that may be met on the way to a place in the table: chance makes a few, malice many. */
const MOST_STEPS = 64;

/**
 * For each UID the place of the first that is equal; undefined when all differ. `hashes` are equal for
 * equal UIDs and are compared first, so that most UIDs never become texts. An input whose hashes were
 * made to be alike is left to a Map, whose hashing nobody foresees: the cost is linear for any input.
 */
export function firstsOf(
  hashes: Int32Array,
  uidOf: (place: number) => string,
): Int32Array | undefined {
  const { length } = hashes;
  const firsts = new Int32Array(length);
  let size = 16;
  while (size < length * 2) size *= 2;
  // Places plus one; 0 is free.
  const table = new Int32Array(size);
  let differ = true;
  for (let i = 0; i < length; i++) {
    const hash = hashes[i]!;
    firsts[i] = i;
    let at = hash & size - 1;
    for (let steps = 0; table[at] !== 0; steps++) {
      const other = table[at]! - 1;
      if (hashes[other] === hash && uidOf(other) === uidOf(i)) {
        firsts[i] = other;
        differ = false;
        break;
      }
      if (steps > MOST_STEPS) return firstsByText(length, uidOf);
      at = at + 1 & size - 1;
    }
    if (firsts[i] === i) table[at] = i + 1;
  }
  return differ ? undefined : firsts;
}

function firstsByText(length: number, uidOf: (place: number) => string): Int32Array | undefined {
  const places = new Map<string, number>();
  const firsts = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const uid = uidOf(i);
    const first = places.get(uid);
    if (first === undefined) places.set(uid, i);
    firsts[i] = first ?? i;
  }
  return places.size === length ? undefined : firsts;
}
