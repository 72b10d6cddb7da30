/**
 * `npm run peers` builds what is missing; `-- openbao flux` only those; `-- list` shows a table;
 * `-- --budget 600` stops building after 600 seconds; `-- measure` times the starts; `-- sweep`, `-- clean`
 * tidy up.
 */
import { parseArgs } from 'node:util';
import { removeStale } from './lib/cache.ts';
import type { Peer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';
import { sweep } from './lib/sweep.ts';
import { peers } from './peers.ts';

const out = (text: string) => void process.stdout.write(`${text}\n`);
const all: Peer[] = Object.values(peers);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { budget: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
});

const [first] = positionals;
if (values.help) help();
else if (first === 'list') list();
else if (first === 'measure') await (await import('./measure.ts')).measure(out);
else if (first === 'sweep') {
  const { pids, folders } = await sweep();
  out(`${pids.length} processes ended, ${folders.length} folders removed`);
} else if (first === 'clean') {
  const gone = removeStale(new Set(all.flatMap((peer) => peer.builds.map((b) => b.key))));
  for (const { name, bytes } of gone) out(`removed ${name}, ${(bytes / 1e6).toFixed(0)} MB`);
  out(`${gone.length} builds of older recipes removed`);
} else await bring(chosen(positionals), budgetOf(values.budget));

function help(): void {
  out('npm run peers [-- NAME... | list | measure | sweep | clean] [--budget SECONDS]\n');
  out('Builds the real programs that tests run against into a cache folder of the user');
  out('(HACKSPACE_PEERS, else below the XDG cache folder). See tests/peers/README.md.');
}

function list(): void {
  const rows = all.map((peer) => {
    const missing = peer.missing();
    return [
      peer.name,
      peer.version,
      peer.had,
      missing ? `MISSING: ${missing}; bring it with: ${peer.command}` : 'ready',
    ];
  });
  const head = ['NAME', 'VERSION', 'HOW IT IS HAD', 'STATE'];
  const widths = head.map((_, n) => Math.max(...[head, ...rows].map((row) => row[n]!.length)));
  for (const row of [head, ...rows]) {
    out(row.map((cell, n) => (n === 3 ? cell : cell.padEnd(widths[n]!))).join('  ').trimEnd());
  }
  for (const peer of all.filter((each) => each.standIn)) {
    out(`\n${peer.name} has a stand-in part: ${peer.standIn}`);
  }
}

function chosen(names: string[]): Peer[] {
  const known = new Map(all.map((peer) => [peer.name, peer]));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    fail(
      `Cannot bring ${unknown.join(', ')}: no such peer; there are ${[...known.keys()].join(' ')}`,
    );
  }
  return names.length > 0 ? names.map((name) => known.get(name)!) : all;
}

function budgetOf(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const seconds = Number(text);
  if (!(seconds >= 0)) fail(`Cannot use budget ${text}: not a number of seconds`);
  return seconds * 1000;
}

/** Builds one after another; a peer that fails or runs out of time does not stop those after it. */
async function bring(wanted: Peer[], budgetMs: number): Promise<void> {
  const deadline = Date.now() + budgetMs;
  const left: string[] = [];
  let failures = 0;
  for (const peer of wanted) {
    if (!peer.missing()) {
      out(`${peer.name} ${peer.version}: ready`);
      continue;
    }
    for (const build of peer.builds.filter((each) => !each.folder())) {
      const tools = build.tools.filter((tool) => !findProgram(tool));
      const remaining = deadline - Date.now();
      if (tools.length > 0) {
        left.push(`${peer.name}: needs ${tools.join(', ')} on PATH`);
      } else if (remaining <= 0) {
        left.push(`${peer.name}: the budget was spent before it; ${peer.command}`);
      } else {
        const began = Date.now();
        const line = progressLine(peer.name);
        try {
          await build.make({
            progress: line.show,
            ...(remaining === Infinity ? {} : { signal: AbortSignal.timeout(remaining) }),
          });
          line.end();
          out(
            `${peer.name} ${peer.version}: built in ${((Date.now() - began) / 1000).toFixed(0)} s`,
          );
        } catch (error) {
          line.end();
          if (Date.now() >= deadline) {
            left.push(
              `${peer.name}: the budget ended its build (it resumes there); ${peer.command}`,
            );
          } else {
            failures++;
            left.push(`${peer.name}: ${error instanceof Error ? error.message : error}`);
          }
        }
      }
    }
    if (peer.builds.length === 0) {
      left.push(`${peer.name}: ${peer.missing()}; bring it with: ${peer.command}`);
    }
  }
  if (left.length > 0) {
    out(`\nNOT HERE, suites that need them are skipped by name:\n  ${left.join('\n  ')}`);
  }
  // What was asked for by name and is not there is an error; of all, only a build that broke.
  if (failures > 0 || (positionals.length > 0 && left.length > 0)) process.exitCode = 1;
}

/** One line that is written over on a terminal, and now and then otherwise. */
function progressLine(name: string): { show: (line: string) => void; end: () => void } {
  const { isTTY } = process.stderr;
  let last = 0, shown = false;
  return {
    show(line) {
      const now = Date.now();
      if (now - last < (isTTY ? 200 : 30_000)) return;
      last = now;
      shown = true;
      process.stderr.write(isTTY ? `\r\x1b[K${name}: ${line}` : `${name}: ${line}\n`);
    },
    end() {
      if (isTTY && shown) process.stderr.write('\r\x1b[K');
    },
  };
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
