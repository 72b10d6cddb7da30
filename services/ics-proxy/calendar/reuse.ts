import { SPACE, TAB } from './bytes.ts';
import { Has, Row, type Table, WIDTH } from './component.ts';

/** Tables that were filled from one another, before a calendar is read anew from its first byte. */
const GENERATIONS = 50;
const TEXTS = 2000;

/**
 * What an earlier reading of a source knows of the next: components that are byte for byte the same are
 * taken over, many at once, and only what lies between them is read.
 */
export class Reuse {
  readonly #old: Table;
  readonly #table: Table;
  /** The component of the old table that is expected next. */
  #next = 0;
  #runStart = 0;
  #runEnd = 0;
  /** By hash of the UID, where it is in the old table. */
  #places: Map<number, number> | undefined;
  /** What was taken over: place in the new table, in the old one, how many. */
  readonly #taken: [number, number, number][] = [];

  constructor(old: Table, table: Table) {
    this.#old = old;
    this.#table = table;
  }

  /** Can a table be filled from this one? What it has heaped up is given up at times. */
  static fits(old: Table): boolean {
    return old.generation < GENERATIONS && old.tzids.list.length < TEXTS &&
      old.lists.length < TEXTS;
  }

  /** Takes over what stands at `start` as it did in the old calendar; returns where that ends. */
  take(start: number, calendar: number): number {
    const old = this.#old;
    const table = this.#table;
    const count = this.#same(start);
    if (count === 0) return start;
    const first = this.#next;
    const from = first * WIDTH;
    const to = from + count * WIDTH;
    const at = table.reserve(count);
    const { rows } = table;
    rows.set(old.rows.subarray(from, to), at);
    const moved = start - old.rows[from + Row.START]!;
    for (let row = at; row < at + count * WIDTH; row += WIDTH) {
      rows[row + Row.START]! += moved;
      rows[row + Row.END]! += moved;
      rows[row + Row.CALENDAR] = calendar;
      const has = rows[row + Row.HAS]!;
      table.has |= has;
      if ((has & (Has.RECURRENCE | Has.UID_TEXT)) === 0) continue;
      const index = row / WIDTH;
      const before = index - table.length + first;
      if ((has & Has.RECURRENCE) !== 0) {
        table.recurrences.set(index, old.recurrences.get(before)!);
      }
      if ((has & Has.UID_TEXT) !== 0) table.uids.set(index, old.uids.get(before)!);
    }
    this.#taken.push([table.length, first, count]);
    table.length += count;
    this.#next = first + count;
    return rows[at + (count - 1) * WIDTH + Row.END]!;
  }

  /** How many components from the expected one on stand at `start`, one behind the other. */
  #same(start: number): number {
    const { rows, length, source } = this.#old;
    const text = this.#table.source;
    const first = this.#next;
    if (first >= length) return 0;
    const offset = start - rows[first * WIDTH + Row.START]!;
    let low = 0;
    let high = this.#run(first);
    // `low` are known to be the same; all the rest is tried first, then halves of it.
    for (let middle = high; low < high;) {
      const from = rows[(first + low) * WIDTH + Row.START]!;
      const to = rows[(first + middle - 1) * WIDTH + Row.END]!;
      const same = to + offset <= text.length &&
        text.subarray(from + offset, to + offset).equals(source.subarray(from, to));
      if (same) low = middle;
      else high = middle - 1;
      middle = low + high + 1 >> 1;
    }
    if (low === 0) return 0;
    // A blank behind it would go on with its END line.
    const end = rows[(first + low - 1) * WIDTH + Row.END]! + offset;
    return text[end] === SPACE || text[end] === TAB ? low - 1 : low;
  }

  /** How many components from `first` on follow one another without a byte between. */
  #run(first: number): number {
    if (first >= this.#runStart && first < this.#runEnd) return this.#runEnd - first;
    const { rows, length } = this.#old;
    let at = first;
    while (at < length && (rows[at * WIDTH + Row.HAS]! & Has.NO_END) === 0) {
      at++;
      if (at < length && rows[at * WIDTH + Row.START] !== rows[(at - 1) * WIDTH + Row.END]) break;
    }
    this.#runStart = first;
    this.#runEnd = at;
    return at - first;
  }

  /** A component has been read, the last of the new table: what followed it is expected next. */
  read(): void {
    const { rows, length } = this.#old;
    if (!this.#places) {
      this.#places = new Map();
      for (let i = length - 1; i >= 0; i--) this.#places.set(rows[i * WIDTH + Row.UID_HASH]!, i);
    }
    const hash = this.#table.rows[(this.#table.length - 1) * WIDTH + Row.UID_HASH]!;
    const here = this.#next < length && rows[this.#next * WIDTH + Row.UID_HASH] === hash;
    const place = here ? this.#next : this.#places.get(hash);
    if (place !== undefined) this.#next = place + 1;
  }

  /** What later steps remember of components goes along with them. */
  finish(): void {
    for (const [name, before] of this.#old.memories) {
      const now = this.#table.memory(name);
      for (const [at, from, count] of this.#taken) {
        for (let i = 0; i < count; i++) now[at + i] = before[from + i];
      }
    }
  }
}
