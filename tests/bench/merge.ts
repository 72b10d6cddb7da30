import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bench, type Measurement, round } from './lib/measure.ts';

type Emit = (row: Omit<Measurement, 'bench'>) => void;

/**
 * Parse and merge. Each side of each case runs in a process of its own under the same conditions
 * (merge-case.ts) and reports the median of several runs, by wall clock and by the CPU time of its
 * thread; sides take turns so that a busy machine is as busy for both. Both must have seen the same
 * events.
 */
export const bench: Bench = async (report, note, quick) => {
  const emit: Emit = (row) =>
    report({
      bench: 'merge',
      ...row,
      us: round(row.us),
      them: row.them === null ? null : round(row.them),
      ratio: row.ratio === null ? null : round(row.ratio),
    });
  const sizes = quick ? [410] : [410, 4100, 41_000];
  const size = quick ? 410 : 4100;
  for (const events of sizes) run('make', '-', events);
  const ours = run('merge', 'us', size);
  const ical = run('merge', 'ical.js', size);
  const node = run('merge', 'node-ical', size);
  same(ours, ical);
  same(ours, node);
  const pair = (name: string, mine: Result, peer: string, theirs: Result, key: 'wall' | 'cpu') =>
    emit({
      case: `${name} (${key === 'cpu' ? 'CPU of the thread' : 'wall clock'})`,
      us: rate(mine, key),
      peer,
      them: rate(theirs, key),
      unit: 'MB/s',
      ratio: rate(mine, key) / rate(theirs, key),
    });
  for (const key of ['wall', 'cpu'] as const) {
    pair('parse and merge, 15 MB, 20,500 events, 5 sources', ours, 'ical.js', ical, key);
    pair('the same; node-ical parses only', ours, 'node-ical', node, key);
  }
  memory(emit, 'peak resident memory, 15 MB', ours, 'ical.js', ical);
  for (const name of ['busy', 'full-edited'] as const) {
    const edited = run(name, 'us', size);
    const what = name === 'busy' ? 'busy view' : 'full view';
    for (const key of ['wall', 'cpu'] as const) {
      const us = rate(edited, key);
      emit({
        case: `${what} with prefixes and TZID renames (${key})`,
        us,
        peer: null,
        them: null,
        unit: 'MB/s',
        ratio: null,
      });
    }
  }
  for (const events of sizes) {
    const grown = run('merge', 'us', events);
    emit({
      case: `growth: ${(grown.octets / 1e6).toFixed(1)} MB, CPU for each MB`,
      us: grown.cpu / (grown.octets / 1e6),
      peer: null,
      them: null,
      unit: 'ms/MB',
      ratio: null,
    });
  }
  for (const name of ['re-merge', 're-merge-edited']) {
    for (const events of sizes) {
      const again = run(name, 'us', events);
      const what = name === 're-merge' ? '' : ' with prefixes and TZID renames';
      const megabytes = (again.octets / 1e6).toFixed(1);
      const row = (until: string, us: number) =>
        emit({
          case: `50 changes in one of 5 sources${what}, ${megabytes} MB, until ${until}`,
          us,
          peer: 'from nothing',
          them: again.fromNothing!,
          unit: 'ms CPU',
          ratio: again.fromNothing! / us,
        });
      row('the ETag is known', again.toEtag!);
      row('the bytes are in one piece', again.cpu);
    }
  }
  note(
    'by profile, a parse and merge is a quarter copying (into the lexer, and the feed together), a quarter ' +
      'finding lines and hashing them (lexer.as), a fifth judging them, an eighth putting in order: no part is the limit',
  );
  note(
    'a merge again still looks at every event once, for its place, its UID and its hash (about 0.4 us each): ' +
      'that part grows with the feed, not with what changed',
  );
  note(`load of the machine while measuring: ${loadavg()[0]!.toFixed(1)}`);
  rmSync(folder, { recursive: true });
  await Promise.resolve();
};

interface Result {
  /** Medians in milliseconds. */
  wall: number;
  cpu: number;
  octets: number;
  events: string;
  peak: number;
  fromNothing?: number;
  toEtag?: number;
}

/** Where the inputs are. */
const folder = mkdtempSync(join(tmpdir(), 'hackspace-bench-'));

function run(name: string, side: string, events: number): Result {
  const child = spawnSync(
    process.execPath,
    [
      fileURLToPath(new URL('./lib/merge-case.ts', import.meta.url)),
      name,
      side,
      String(events),
      folder,
    ],
    { encoding: 'utf8', maxBuffer: 1e7, timeout: 900_000 },
  );
  if (child.status !== 0) {
    throw new Error(`Cannot measure ${name} of ${side}: ${child.stderr.slice(-500)}`);
  }
  return (name === 'make' ? {} : JSON.parse(child.stdout)) as Result;
}

function rate(result: Result, key: 'wall' | 'cpu'): number {
  return result.octets / 1000 / result[key];
}

function same(a: Result, b: Result): void {
  if (a.events !== b.events) {
    throw new Error(`Both sides saw other events: ${a.events}, ${b.events}`);
  }
}

function memory(emit: Emit, name: string, mine: Result, peer: string, theirs: Result): void {
  emit({
    case: name,
    us: mine.peak / 1e6,
    peer,
    them: theirs.peak / 1e6,
    unit: 'MB',
    ratio: theirs.peak / mine.peak,
  });
}
