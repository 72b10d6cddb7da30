import { factsOf } from './facts.ts';
import type { Piece } from './edit.ts';
import type { Entry } from './merge.ts';
import type { Level, Renderer } from './render.ts';

export interface Sacrifice {
  entries: Entry[];
  level: Level;
  /** What was taken, in the order it was taken. */
  steps: { what: string; count: number }[];
  /** The entries' bytes, when nothing had to be taken. */
  pieces?: Piece[];
}

/** Room kept for the notice that tells what is missing. */
const NOTICE = 1024;
const LEVELS: readonly { level: Level; what: string }[] = [
  { level: 1, what: 'components without their alarms' },
  { level: 2, what: 'components without attachments, attendees and X- properties' },
  { level: 3, what: 'components without their descriptions' },
];

/**
 * Makes the entries fit into `budget` octets. Taken in this order until they fit: alarms; attachments,
 * comments, attendees and X- properties; descriptions; what is over, the oldest first; what is to
 * come, the farthest first; what repeats or is on now, the largest first.
 */
export function sacrifice(
  entries: readonly Entry[],
  renderer: Renderer,
  budget: number,
  now: number,
): Sacrifice {
  const steps: Sacrifice['steps'] = [];
  const pieces = renderer.all(entries, 0);
  let total = 0;
  for (let i = 0; i < pieces.length; i++) total += pieces[i]!.end - pieces[i]!.start;
  if (total <= budget) return { entries: [...entries], level: 0, steps, pieces };
  let sizes = measure(entries, pieces);
  const room = budget - NOTICE;
  let level: Level = 0;
  for (const next of LEVELS) {
    const smaller = measure(entries, renderer.all(entries, next.level));
    const count = smaller.filter((size, i) => size < sizes[i]!).length;
    level = next.level;
    if (count > 0) steps.push({ what: next.what, count });
    sizes = smaller;
    total = sum(sizes);
    if (total <= room) return { entries: [...entries], level, steps };
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
  sizes: readonly number[],
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

function measure(entries: readonly Entry[], pieces: readonly Piece[]): number[] {
  let at = 0;
  return entries.map((entry) => {
    let size = 0;
    for (let i = 0; i < entry.components.length; i++) {
      const piece = pieces[at++]!;
      size += piece.end - piece.start;
    }
    return size;
  });
}

function sum(sizes: readonly number[]): number {
  let total = 0;
  for (const size of sizes) total += size;
  return total;
}
