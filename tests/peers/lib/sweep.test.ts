import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { here } from './here.ts';
import { identify, isAlive } from './owner.ts';
import { openSandbox } from './sandbox.ts';
import { record, sweep } from './sweep.ts';
import { waitFor } from './wait.ts';

let state: string;
const before = process.env.HACKSPACE_PEERS_STATE;

beforeAll(() => {
  state = mkdtempSync(join(tmpdir(), 'sweep-test-'));
  process.env.HACKSPACE_PEERS_STATE = state;
});
afterAll(() => {
  if (before === undefined) delete process.env.HACKSPACE_PEERS_STATE;
  else process.env.HACKSPACE_PEERS_STATE = before;
  rmSync(state, { recursive: true, force: true });
});

const runner = `
import { openSandbox } from ${JSON.stringify(here(import.meta, 'sandbox.ts'))};
const sandbox = await openSandbox('victim');
// A shell that stays, with a child of its own: the whole group has to go.
const child = await sandbox.spawn('sleep', 'sh', ['-c', 'sleep 1000 & echo $! >&2; wait']);
console.log(JSON.stringify({ pid: child.pid, folder: sandbox.folder, log: child.log }));
setInterval(() => {}, 1000);
`;

test('a runner killed outright leaves nothing after the next sweep', async () => {
  const script = join(state, 'runner.mjs');
  writeFileSync(script, runner);
  const process_ = spawn(process.execPath, [script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, VITEST: undefined },
  });
  const said = await new Promise<string>((done) =>
    process_.stdout.once('data', (d) => done(`${d}`))
  );
  const { pid, folder, log } = JSON.parse(said) as { pid: number; folder: string; log: string };
  await waitFor('the grandchild', () => readFileSync(log, 'utf8').includes('\n'));
  const grandchild = identify(Number(readFileSync(log, 'utf8').trim()))!;
  const child = identify(pid)!;

  expect(await sweep()).toEqual({ folders: [], pids: [] });
  expect(isAlive(child)).toBe(true);

  process_.kill('SIGKILL');
  await new Promise((done) => process_.once('exit', done));
  expect(isAlive(child)).toBe(true);

  expect(await sweep()).toEqual({ folders: [folder], pids: [pid] });
  expect(isAlive(child)).toBe(false);
  await waitFor('the grandchild to go', () => !isAlive(grandchild), { ms: 2_000 });
  expect(existsSync(folder)).toBe(false);
  expect(await sweep()).toEqual({ folders: [], pids: [] });
});

test('a pid that another program has since been given is left alone', async () => {
  const innocent = spawn('sleep', ['1000'], { stdio: 'ignore' });
  try {
    const { pid } = identify(innocent.pid!)!;
    const folder = join(state, 'run', 'stale-1');
    record({ folder, children: [{ pid, started: 'another time' }] });
    const file = join(state, 'pids', 'stale-1.json');
    const content = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...content, owners: [{ pid, started: 'long ago' }] }));
    expect((await sweep()).pids).toEqual([]);
    expect(identify(pid)).toBeDefined();
  } finally {
    innocent.kill('SIGKILL');
  }
});

test('a folder outside of ours is never removed, whatever the pid file says', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'elsewhere-'));
  try {
    record({ folder: elsewhere, children: [] });
    const [name] = [`${elsewhere.split('/').at(-1)}.json`];
    const file = join(state, 'pids', name);
    const content = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...content, owners: [{ pid: 1, started: 'long ago' }] }));
    expect((await sweep()).folders).toEqual([]);
    expect(existsSync(elsewhere)).toBe(true);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

test('a sandbox ends its processes, frees its ports and leaves no file', async () => {
  const sandbox = await openSandbox('tidy');
  const ports = [await sandbox.port(), await sandbox.port()];
  expect(new Set(ports).size).toBe(2);
  const child = await sandbox.spawn('sleep', 'sleep', ['1000']);
  const id = identify(child.pid)!;
  await sandbox.end();
  await sandbox.end();
  expect(isAlive(id)).toBe(false);
  for (const port of ports) expect(existsSync(join(state, 'ports', String(port)))).toBe(false);
  expect(existsSync(sandbox.folder)).toBe(false);
});

test('a program that ends at once fails the start, with what it said', async () => {
  await using sandbox = await openSandbox('fails');
  const start = sandbox.spawn('sh', 'sh', ['-c', 'echo no such flag >&2; exit 3'], {
    ready: () => Promise.resolve(false),
  });
  await expect(start).rejects.toThrow(/Cannot start sh: it ended at once\nno such flag/);
  await expect(sandbox.spawn('x', '/nonexistent/x', [])).rejects.toThrow(
    /Cannot start x: .*ENOENT/,
  );
});
