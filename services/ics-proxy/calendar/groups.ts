import { hash } from 'node:crypto';
import type { Component, ParsedCalendar } from './components.ts';
import { contentOf, sameContent } from './content.ts';
import { compareUids, Row, WIDTH } from './component.ts';
import { inOrder } from './order.ts';
import { firstsOf } from './uids.ts';

/** A master and its overrides, or orphaned overrides: what shares a UID in one source. */
export interface Group {
  readonly uid: string;
  /** Master first, then by type and RECURRENCE-ID. */
  readonly components: readonly Component[];
  /** Set when the UID belongs to another event of the same source: a hash to make a new one of. */
  readonly collides: string | undefined;
}

/** A source by UID: columns, a place a group, in the order of a feed. */
export interface Grouping {
  /** Where a group stands in the feed: its first component's start. */
  readonly keys: Float64Array;
  /** See `Table.prefixOf`: where two stand that begin at the same time. */
  readonly prefixes: Float64Array;
  /** See `Component.uidHash`. */
  readonly hashes: Int32Array;
  /** The component's index when it is alone; else the complement of a place in `several`. */
  readonly members: Int32Array;
  readonly several: readonly Group[];
  /** Does a group have a UID that belongs to another? */
  readonly collides: boolean;
  /** Components that occur twice in the source: only one is kept. */
  readonly doubles: readonly Component[];
  /** Components replaced by one with the same identity and a higher SEQUENCE. */
  readonly superseded: readonly Component[];
}

const cache = new WeakMap<ParsedCalendar, Grouping>();

/** Groups a source by UID. Depends on the calendar alone and is remembered with it. */
export function groupsOf(calendar: ParsedCalendar): Grouping {
  let grouping = cache.get(calendar);
  if (!grouping) cache.set(calendar, grouping = group(calendar));
  return grouping;
}

function group(calendar: ParsedCalendar): Grouping {
  const { table } = calendar;
  const doubles: Component[] = [];
  const superseded: Component[] = [];
  const several: Group[] = [];
  const hashes = new Int32Array(table.length);
  let members = new Int32Array(table.length);
  for (let i = 0; i < table.length; i++) {
    hashes[i] = table.rows[i * WIDTH + Row.UID_HASH]!;
    members[i] = i;
  }
  const firsts = firstsOf(hashes, (i) => table.uidOf(i));
  if (firsts) {
    const shared = new Map<number, Component[]>();
    for (let i = 0; i < firsts.length; i++) {
      const first = firsts[i]!;
      if (first === i) continue;
      const known = shared.get(first);
      if (known) known.push(calendar.components[i]!);
      else shared.set(first, [calendar.components[first]!, calendar.components[i]!]);
    }
    const alone = members.filter((i) => firsts[i] === i && !shared.has(i));
    for (const [, found] of [...shared].sort(([a], [b]) => a - b)) {
      several.push(...resolve(calendar, found, doubles, superseded));
    }
    members = new Int32Array(alone.length + several.length);
    members.set(alone);
    for (let i = 0; i < several.length; i++) members[alone.length + i] = ~i;
  }
  const first = (i: number) => {
    const member = members[i]!;
    return member < 0 ? several[~member]!.components[0]!.index : member;
  };
  const keys = new Float64Array(members.length);
  const prefixes = new Float64Array(members.length);
  for (let i = 0; i < keys.length; i++) {
    keys[i] = table.keyOf(first(i));
    prefixes[i] = table.prefixOf(first(i));
  }
  const order = inOrder(
    keys,
    (a, b) => prefixes[a]! - prefixes[b]! || compareUids(table, first(a), table, first(b)),
  );
  const sorted = {
    keys: new Float64Array(order.length),
    prefixes: new Float64Array(order.length),
    hashes: new Int32Array(order.length),
    members: new Int32Array(order.length),
  };
  for (let i = 0; i < order.length; i++) {
    const from = order[i]!;
    sorted.keys[i] = keys[from]!;
    sorted.prefixes[i] = prefixes[from]!;
    sorted.hashes[i] = hashes[first(from)]!;
    sorted.members[i] = members[from]!;
  }
  const collides = several.some((g) => g.collides !== undefined);
  return { ...sorted, several, collides, doubles, superseded };
}

export function groupOf(components: readonly Component[], collides?: string): Group {
  return { uid: components[0]!.uid, components, collides };
}

/** The groups as objects. */
export function groupsIn(calendar: ParsedCalendar): Group[] {
  const { members, several } = groupsOf(calendar);
  return Array.from(members, (i) => i < 0 ? several[~i]! : groupOf([calendar.components[i]!]));
}

/** Components of one UID: no two may share type and RECURRENCE-ID when this is done. */
function resolve(
  calendar: ParsedCalendar,
  found: Component[],
  doubles: Component[],
  superseded: Component[],
): Group[] {
  const byIdentity = new Map<string, Component[]>();
  for (const component of found) {
    const identity = `${component.recurrenceId}\n${component.type}`;
    const same = byIdentity.get(identity);
    if (same) same.push(component);
    else byIdentity.set(identity, [component]);
  }
  const kept: Component[] = [];
  const strangers: Group[] = [];
  for (const identity of [...byIdentity.keys()].sort()) {
    const rivals = byIdentity.get(identity)!;
    if (rivals.length === 1) {
      kept.push(rivals[0]!);
      continue;
    }
    const distinct = withoutDoubles(calendar, rivals, doubles);
    const newest = distinct.reduce((most, d) => Math.max(most, d.component.sequence), 0);
    let first = true;
    for (const { component, content } of distinct) {
      if (component.sequence !== newest) superseded.push(component);
      else if (first) {
        kept.push(component);
        first = false;
      } else strangers.push(groupOf([component], content));
    }
  }
  return [groupOf(kept), ...strangers];
}

/** Of the same content the latest DTSTAMP stays; the rest in an order of their own bytes. `content`: a digest. */
function withoutDoubles(
  calendar: ParsedCalendar,
  rivals: readonly Component[],
  doubles: Component[],
): { component: Component; content: string }[] {
  const { bytes } = calendar;
  const entries = rivals.map((component) => ({
    component,
    content: hash('sha256', contentOf(bytes, component)),
    stamp: bytes.toString(
      'latin1',
      component.start + component.stampStart,
      component.start + component.stampEnd,
    ),
  }));
  entries.sort((a, b) =>
    a.content < b.content
      ? -1
      : a.content > b.content
      ? 1
      : a.stamp < b.stamp
      ? 1
      : a.stamp > b.stamp
      ? -1
      : 0
  );
  return entries.filter(({ component, content }, i) => {
    if (i === 0 || content !== entries[i - 1]!.content) return true;
    doubles.push(component);
    return false;
  });
}

/** Do two groups of different sources hold the same components? */
export function sameGroup(a: ParsedCalendar, one: Group, b: ParsedCalendar, two: Group): boolean {
  return one.components.length === two.components.length &&
    one.components.every((component, i) => {
      const other = two.components[i]!;
      return component.type === other.type && component.recurrenceId === other.recurrenceId &&
        sameContent(a.bytes, component, b.bytes, other);
    });
}
