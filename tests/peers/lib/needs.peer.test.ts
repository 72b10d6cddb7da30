/** A missing peer is a loud skip, or a failure where peers are required: seen from outside, through vitest. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { here } from './here.ts';
import { run } from './run.ts';

let empty: string;
beforeAll(() => {
  empty = mkdtempSync(join(tmpdir(), 'no-peers-'));
});
afterAll(() => rmSync(empty, { recursive: true, force: true }));

const root = here(import.meta, '../../..');
const env = (extra: Record<string, string> = {}) => ({
  HACKSPACE_PEERS: empty,
  HACKSPACE_PEERS_STATE: join(empty, 'state'),
  HACKSPACE_PEERS_REQUIRED: undefined,
  HACKSPACE_PEERS_RUN: undefined,
  VITEST: undefined,
  VITEST_POOL_ID: undefined,
  VITEST_WORKER_ID: undefined,
  NO_COLOR: '1',
  ...extra,
});
const vitest = (extra?: Record<string, string>) =>
  run(process.execPath, [
    ...[join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'peers'],
    'tests/peers/openbao.peer.test.ts',
  ], { cwd: root, env: env(extra) });

test('skipped by name, with the command that brings it, at once and at the end', async () => {
  const { code, stdout, stderr } = await vitest();
  expect(code).toBe(0);
  expect(stdout).toContain('skipped');
  expect(stderr).toMatch(
    /SKIPPED for want of openbao \(not built: openbao-[0-9a-f]{16}\): OpenBao/,
  );
  expect(stderr).toMatch(/1 SUITES? WERE SKIPPED[^]*openbao[^]*npm run peers -- openbao/);
});

test('a failure where peers are required', async () => {
  const { code, stdout, stderr } = await vitest({ HACKSPACE_PEERS_REQUIRED: '1' });
  expect(code).toBe(1);
  expect(stdout + stderr).toContain(
    'Cannot run OpenBao: missing openbao: npm run peers -- openbao',
  );
});

test('a budget of no seconds builds nothing and names what was left out', async () => {
  const cli = here(import.meta, '../cli.ts');
  const { code, stdout } = await run(process.execPath, [cli, '--budget', '0'], { env: env() });
  expect(code).toBe(0);
  expect(stdout).toContain('NOT HERE, suites that need them are skipped by name:');
  // Without Go it says so first.
  expect(stdout).toMatch(
    /openbao: (the budget was spent before it; npm run peers -- openbao|needs go on PATH)/,
  );
});
