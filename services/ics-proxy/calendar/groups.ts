import { hash } from 'node:crypto';
import type { Component, ParsedCalendar } from './components.ts';
import { contentOf, sameContent } from './content.ts';

/** A master and its overrides, or orphaned overrides: what shares a UID in one source. */
export interface Group {
  readonly uid: string;
  /** Master first, then by type and RECURRENCE-ID. */
  readonly components: readonly Component[];
  /** Where the group stands in the feed: its first component's start. */
  readonly key: number;
  /** Set when the UID belongs to another event of the same source: a hash to make a new one of. */
  readonly collides: string | undefined;
}

export interface Grouping {
  /** By key, then UID. */
  readonly groups: readonly Group[];
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
  const uids = new Set<string>();
  for (const component of calendar.components) uids.add(component.uid);
  const several = uids.size < calendar.components.length;
  const single = new Map<string, Component | Component[]>();
  const groups: Group[] = [];
  const doubles: Component[] = [];
  const superseded: Component[] = [];
  if (!several) {
    for (const component of calendar.components) groups.push(groupOf([component]));
  } else {
    for (const component of calendar.components) {
      const known = single.get(component.uid);
      if (known === undefined) single.set(component.uid, component);
      else if (Array.isArray(known)) known.push(component);
      else single.set(component.uid, [known, component]);
    }
    for (const found of single.values()) {
      if (!Array.isArray(found)) groups.push(groupOf([found]));
      else groups.push(...resolve(calendar, found, doubles, superseded));
    }
  }
  sortGroups(groups);
  return { groups, doubles, superseded };
}

function groupOf(components: readonly Component[], collides?: string): Group {
  const first = components[0]!;
  return { uid: first.uid, components, key: first.startKey, collides };
}

/** By start, then UID: the order of a feed. */
export function sortGroups<G extends { key: number; uid: string }>(groups: G[]): void {
  let sorted = true;
  for (let i = 1; i < groups.length && sorted; i++) sorted = groups[i - 1]!.key < groups[i]!.key;
  if (sorted) return;
  groups.sort((a, b) => a.key - b.key || (a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0));
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
    const distinct = rivals.length === 1 ? rivals : withoutDoubles(calendar, rivals, doubles);
    const newest = distinct.reduce((most, c) => Math.max(most, c.sequence), 0);
    const current = distinct.filter((c) => c.sequence === newest);
    superseded.push(...distinct.filter((c) => c.sequence !== newest));
    kept.push(current[0]!);
    for (const other of current.slice(1)) {
      const content = hash('sha256', contentOf(calendar.bytes, other));
      strangers.push(groupOf([other], content));
    }
  }
  return [groupOf(kept), ...strangers];
}

/** Of the same content the latest DTSTAMP stays; the rest in an order of their own bytes. */
function withoutDoubles(
  calendar: ParsedCalendar,
  rivals: readonly Component[],
  doubles: Component[],
): Component[] {
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
  const distinct: Component[] = [];
  let last = '';
  for (const { component, content } of entries) {
    if (content === last) doubles.push(component);
    else distinct.push(component);
    last = content;
  }
  return distinct;
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
