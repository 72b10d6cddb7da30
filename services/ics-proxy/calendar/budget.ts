import { factsOf } from './facts.ts';
import type { Items } from './lots.ts';
import type { Entry } from './merge.ts';
import type { Level, Renderer } from './render.ts';

export interface Sacrifice {
  entries: Entry[];
  level: Level;
  /** What was taken, in the order it was taken. */
  steps: { what: string; count: number }[];
}

/** Room kept for the notice that tells what is missing. */
const NOTICE = 1024;
const LEVELS: readonly { level: Level; what: string }[] = [
  { level: 1, what: 'components without their alarms' },
  { level: 2, what: 'components without attachments, attendees and X- properties' },
  { level: 3, what: 'components without their descriptions' },
];

/**
 * Makes the items, of `sizes` octets each, fit into `budget`. Taken in this order until they fit: alarms;
 * attachments, comments, attendees and X- properties; descriptions; what is over, the oldest first; what
 * is to come, the farthest first; what repeats or is on now, the largest first.
 */
export function sacrifice(
  items: Items,
  sizes: Int32Array,
  renderer: Renderer,
  budget: number,
  now: number,
): Sacrifice {
  const steps: Sacrifice['steps'] = [];
  const entries = items.entries();
  let total = sum(sizes);
  if (total <= budget) return { entries, level: 0, steps };
  const room = budget - NOTICE;
  let level: Level = 0;
  for (const next of renderer.hasLevels ? LEVELS : []) {
    const smaller = renderer.sizes(items, next.level);
    const before = sizes;
    const count = smaller.filter((size, i) => size < before[i]!).length;
    level = next.level;
    if (count > 0) steps.push({ what: next.what, count });
    sizes = smaller;
    total = sum(sizes);
    if (total <= room) return { entries, level, steps };
  }
  const gone = new Set<number>();
  for (const { what, order } of orders(entries, sizes, now)) {
    let count = 0;
    for (const index of order) {
      if (total <= room) break;
      gone.add(index);
      total -= sizes[index]!;
      count++;
    }
    if (count > 0) steps.push({ what, count });
  }
  return { entries: entries.filter((_, i) => !gone.has(i)), level, steps };
}

function orders(
  entries: readonly Entry[],
  sizes: Int32Array,
  now: number,
): { what: string; order: number[] }[] {
  const spans = entries.map((entry) => {
    let first = Infinity;
    let last = -Infinity;
    for (const component of entry.components) {
      const facts = factsOf(entry.origin.source.calendar, component);
      first = Math.min(first, facts.first);
      last = Math.max(last, facts.last);
    }
    return { first, last };
  });
  const past: number[] = [];
  const future: number[] = [];
  const current: number[] = [];
  spans.forEach(({ first, last }, i) => {
    if (entries[i]!.origin.notice) return;
    if (last < now) past.push(i);
    else if (first > now && last < Infinity) future.push(i);
    else current.push(i);
  });
  const byUid = (a: number, b: number) => (entries[a]!.uid < entries[b]!.uid ? -1 : 1);
  return [
    {
      what: 'past events',
      order: past.sort((a, b) => spans[a]!.last - spans[b]!.last || byUid(a, b)),
    },
    {
      what: 'far events',
      order: future.sort((a, b) => spans[b]!.first - spans[a]!.first || byUid(a, b)),
    },
    {
      what: 'repeating or current events',
      order: current.sort((a, b) => sizes[b]! - sizes[a]! || byUid(a, b)),
    },
  ];
}

function sum(sizes: Int32Array): number {
  let total = 0;
  for (const size of sizes) total += size;
  return total;
}
