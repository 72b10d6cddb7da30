import { startFaultyUpstream } from '../../services/ics-proxy/sources/testing/faulty-upstream.ts';
import { cases as caldav } from '../../services/ics-proxy/sources/testing/caldav-cases.ts';
import { cases as http } from '../../services/ics-proxy/sources/testing/http-cases.ts';

// The whole suites of the HTTP and the CalDAV source on the runtime that runs this file:
//   node tests/runtimes/sources.ts    deno run -A tests/runtimes/sources.ts    bun tests/runtimes/sources.ts
// Prints one line a failure and a count; exits 1 when anything failed.
const only = process.argv[2];
const upstream = await startFaultyUpstream();
let failed = 0;
let run = 0;
for (const [name, body] of Object.entries({ ...http, ...caldav })) {
  if (only && !name.includes(only)) continue;
  run++;
  try {
    await Promise.race([
      body(upstream),
      new Promise((_, reject) => setTimeout(() => reject(new Error('hangs')), 20_000).unref()),
    ]);
  } catch (error) {
    failed++;
    process.stderr.write(`FAIL ${name}: ${error instanceof Error ? error.message : error}\n`);
  }
}
process.stdout.write(`${run - failed} of ${run} passed\n`);
process.exit(failed > 0 ? 1 : 0);
