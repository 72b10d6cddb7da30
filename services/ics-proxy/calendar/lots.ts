import { compareUids, Has, Row, WIDTH } from './component.ts';
import { type Group, type Grouping, groupOf } from './groups.ts';
import type { Entry, Origin } from './merge.ts';
import { compare, inOrder } from './order.ts';

const NONE: readonly never[] = [];

/**
 * One source's share of a feed, in the feed's order. A source that no policy cuts is its grouping as it
 * is, and costs nothing a group; else it is a list of entries.
 */
export class Lot {
  readonly origin: Origin;
  readonly keys: Float64Array;
  /** See `Table.prefixOf`; NaN where it is not known. */
  readonly prefixes: Float64Array;
  /** See `Component.uidHash`. */
  readonly hashes: Int32Array;
  readonly grouping: Grouping | undefined;
  /** Are all components of the grouping shown as busy? */
  readonly busy: boolean;
  readonly #entries: readonly Entry[];

  constructor(origin: Origin, of: Grouping | readonly Entry[], busy = false) {
    this.origin = origin;
    this.busy = busy;
    if ('members' in of) {
      this.grouping = of;
      this.#entries = NONE;
      this.keys = of.keys;
      this.prefixes = of.prefixes;
      this.hashes = of.hashes;
    } else {
      const keys = Float64Array.from(of, (entry) => entry.key);
      const order = inOrder(keys, (a, b) => compare(of[a]!.uid, of[b]!.uid));
      this.#entries = Array.from(order, (i) => of[i]!);
      this.keys = Float64Array.from(order, (i) => keys[i]!);
      this.prefixes = new Float64Array(of.length).fill(NaN);
      this.hashes = Int32Array.from(this.#entries, (e) => e.group.components[0]!.uidHash);
    }
  }

  get length(): number {
    return this.keys.length;
  }

  /** Does a group have a UID that belongs to another of its source? */
  get collides(): boolean {
    return this.grouping?.collides ??
      this.#entries.some((entry) => entry.group.collides !== undefined);
  }

  /** The component's index when it is alone and whole; -1 when there is an entry to look at. */
  single(place: number): number {
    return this.grouping === undefined ? -1 : Math.max(-1, this.grouping.members[place]!);
  }

  uid(place: number): string {
    const single = this.single(place);
    if (single < 0) return this.entry(place).uid;
    return this.origin.source.calendar.table.uidOf(single);
  }

  entry(place: number): Entry {
    const { origin, grouping } = this;
    if (!grouping) return this.#entries[place]!;
    const member = grouping.members[place]!;
    const group: Group = member < 0
      ? grouping.several[~member]!
      : groupOf([origin.source.calendar.components[member]!]);
    const { uid, components } = group;
    const key = this.keys[place]!;
    return { key, uid, origin, group, components, excluded: NONE, busy: this.busy };
  }

  /** Octets of it all, as it came. */
  octets(): number {
    const { rows } = this.origin.source.calendar.table;
    let octets = 0;
    for (let i = 0; i < this.length; i++) {
      const single = this.single(i);
      if (single >= 0) {
        octets += rows[single * WIDTH + Row.END]! - rows[single * WIDTH + Row.START]!;
      } else for (const { start, end } of this.entry(i).components) octets += end - start;
    }
    return octets;
  }

  /** The earliest start of what uses each TZID, and of what floats. */
  starts(): Starts {
    if (!this.grouping) return this.#starts();
    let starts = known.get(this.grouping);
    if (!starts) known.set(this.grouping, starts = this.#starts());
    return starts;
  }

  #starts(): Starts {
    const { table } = this.origin.source.calendar;
    const { lists, rows } = table;
    // First of each list of TZIDs, of which there are few.
    const byList: number[] = [];
    let floats = Infinity;
    const look = (index: number) => {
      const row = index * WIDTH;
      const start = table.keyOf(index) || UNDATED;
      const list = rows[row + Row.ZONES]!;
      if (list > 0 && !(byList[list]! <= start)) byList[list] = start;
      if ((rows[row + Row.HAS]! & Has.FLOATING) !== 0 && start < floats) floats = start;
    };
    if ((table.has & Has.FLOATING) === 0 && lists.length < 2) return { earliest: [], floats };
    for (let i = 0; i < this.length; i++) {
      const single = this.single(i);
      if (single >= 0) look(single);
      else for (const component of this.entry(i).components) look(component.index);
    }
    const earliest: number[] = [];
    byList.forEach((start, list) => {
      for (const tzid of lists[list]!) if (!(earliest[tzid]! <= start)) earliest[tzid] = start;
    });
    return { earliest, floats };
  }
}

interface Starts {
  readonly earliest: readonly number[];
  readonly floats: number;
}

const known = new WeakMap<Grouping, Starts>();

/** Stands for the start of what has none. */
const UNDATED = 20000101000000;

function compareAt(one: Lot, i: number, two: Lot, j: number): number {
  const a = one.single(i);
  const b = two.single(j);
  return a >= 0 && b >= 0
    ? compareUids(one.origin.source.calendar.table, a, two.origin.source.calendar.table, b)
    : compare(one.uid(i), two.uid(j));
}

/** All lots of a feed in one order: what is at each place of it, by two columns. */
export class Items {
  readonly lots: readonly Lot[];
  readonly lot: Int32Array;
  readonly place: Int32Array;

  constructor(lots: readonly Lot[]) {
    this.lots = lots;
    const { keys, prefixes, lot, place } = joined(lots);
    const order = inOrder(
      keys,
      (a, b) =>
        prefixes[a]! - prefixes[b]! ||
        compareAt(lots[lot[a]!]!, place[a]!, lots[lot[b]!]!, place[b]!),
    );
    this.lot = new Int32Array(order.length);
    this.place = new Int32Array(order.length);
    for (let i = 0; i < order.length; i++) {
      this.lot[i] = lot[order[i]!]!;
      this.place[i] = place[order[i]!]!;
    }
  }

  get length(): number {
    return this.lot.length;
  }

  octets(): number {
    return this.lots.reduce((sum, lot) => sum + lot.octets(), 0);
  }

  entries(): Entry[] {
    return Array.from(this.lot, (lot, i) => this.lots[lot]!.entry(this.place[i]!));
  }
}

/** The columns of several lots, one behind the other. */
export function joined(lots: readonly Lot[]) {
  const length = lots.reduce((sum, lot) => sum + lot.length, 0);
  const keys = new Float64Array(length);
  const prefixes = new Float64Array(length);
  const hashes = new Int32Array(length);
  const lot = new Int32Array(length);
  const place = new Int32Array(length);
  let at = 0;
  lots.forEach((one, number) => {
    keys.set(one.keys, at);
    prefixes.set(one.prefixes, at);
    hashes.set(one.hashes, at);
    lot.fill(number, at, at + one.length);
    for (let i = 0; i < one.length; i++) place[at + i] = i;
    at += one.length;
  });
  return { keys, prefixes, hashes, lot, place };
}
