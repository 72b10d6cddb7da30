import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startFaultyUpstream } from '../../services/ics-proxy/sources/testing/faulty-upstream.ts';
import { cases as caldav } from '../../services/ics-proxy/sources/testing/caldav-cases.ts';
import { cases as http } from '../../services/ics-proxy/sources/testing/http-cases.ts';
import { cases as tls } from '../../services/ics-proxy/sources/testing/tls-cases.ts';

// The whole suites of the HTTP source, TLS and CalDAV, on the runtime that runs this file:
//   node tests/runtimes/sources.ts    deno run -A tests/runtimes/sources.ts    bun tests/runtimes/sources.ts
// Prints one line a failure and a count; exits 1 when anything failed.
const only = process.argv[2];
const upstream = await startFaultyUpstream();
const folder = await mkdtemp(join(tmpdir(), 'sources-'));
const all: Record<string, () => Promise<void>> = { ...caldav };
for (const [name, run] of Object.entries(http)) all[name] = () => run(upstream);
for (const [name, run] of Object.entries(tls)) all[name] = () => run(folder);
let failed = 0;
let run = 0;
for (const [name, body] of Object.entries(all)) {
  if (only && !name.includes(only)) continue;
  run++;
  try {
    await Promise.race([
      body(),
      new Promise((_, reject) => setTimeout(() => reject(new Error('hangs')), 20_000).unref()),
    ]);
  } catch (error) {
    failed++;
    process.stderr.write(`FAIL ${name}: ${error instanceof Error ? error.message : error}\n`);
  }
}
await rm(folder, { recursive: true });
process.stdout.write(`${run - failed} of ${run} passed\n`);
process.exit(failed > 0 ? 1 : 0);
