/** Of each test file of the projects `peers` and `e2e`: logs are shown and kept when a test failed. */
import { afterAll, afterEach } from 'vitest';
import { dropLogs, lastLogs } from './lib/logs.ts';

let failed = false;

afterEach((context) => {
  if (context.task.result?.state !== 'fail') return;
  failed = true;
  const logs = lastLogs(15);
  if (logs) process.stderr.write(`\n[peers] ${context.task.name}\n${logs}`);
});

afterAll(() => {
  if (!failed && !process.env.HACKSPACE_PEERS_KEEP) dropLogs();
});
