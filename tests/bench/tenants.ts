/**
 * The tenants repo under load: 100 members at once, a repo of 10,000 tenants, rendering, a sweep of
 * 10,000 members. Beside it, in the same run, what one would write first: a loop of git plumbing
 * with compare-and-swap for each member; the yaml package's stringify; a question for each member.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../kit/secret.ts';
import { stringify } from 'yaml';
import { keycloak } from '../../services/provisioner/membership/keycloak.ts';
import { bareGit } from '../../services/provisioner/store/bare-git.ts';
import { openStore } from '../../services/provisioner/store/queue.ts';
import type { Backend } from '../../services/provisioner/store/store.ts';
import { examplePolicy, exampleRecord } from '../../services/provisioner/tenant/fixtures.ts';
import type { TenantRecord } from '../../services/provisioner/tenant/record.ts';
import { manifestsOf, render } from '../../services/provisioner/tenant/render.ts';
import { readTenants, Tenants } from '../../services/provisioner/tenants.ts';
import {
  COMMITTER,
  input,
  person,
  ScriptedMembership,
} from '../../services/provisioner/testing.ts';
import { verify } from '../../services/provisioner/verify.ts';
import { type Measurement, median, percentile, round } from './lib/measure.ts';

export type Report = (measurement: Measurement) => void;
export type Note = (text: string) => void;

export const policy = examplePolicy();
const context = { requestId: 'bench-request' };

export function open(backend: Backend) {
  const store = openStore(backend, { deadlineMs: 300_000 });
  return { store, tenants: new Tenants({ store, membership: new ScriptedMembership(), policy }) };
}
export const claim = (tenants: Tenants, name: string) =>
  tenants.claim(person(`sub-${name}`), input(name), context);

export async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const begun = performance.now();
  const result = await work();
  return { ms: performance.now() - begun, result };
}

const git = (dir: string, args: string[], input?: string, env: Record<string, string> = {}) =>
  new Promise<{ code: number; out: string }>((done) => {
    const options = { env: { ...process.env, GIT_DIR: dir, ...env }, encoding: 'utf8' as const };
    const child = execFile(
      'git',
      ['-c', 'core.fsync=all', ...args],
      options,
      (error, out) => done({ code: error ? 1 : 0, out: out.trim() }),
    );
    child.stdin!.on('error', () => {}); // it did not care for input
    child.stdin!.end(input ?? '');
  });

/** One claim as plumbing with compare-and-swap: read the head, write, move the branch, else again. */
async function naiveClaim(dir: string, index: string, record: TenantRecord): Promise<number> {
  const who = ['AUTHOR', 'COMMITTER'].flatMap((
    w,
  ) => [[`GIT_${w}_NAME`, 'x'], [`GIT_${w}_EMAIL`, 'x@x']]);
  const env = { GIT_INDEX_FILE: index, ...Object.fromEntries(who) };
  const files = [...render(record, policy)];
  for (let tries = 1;; tries++) {
    const head = await git(dir, ['rev-parse', '--verify', '--quiet', 'refs/heads/main']);
    const old = head.code === 0 ? head.out : undefined;
    await git(dir, old ? ['read-tree', old] : ['read-tree', '--empty'], undefined, env);
    let lines = '';
    for (const [path, bytes] of files) {
      const blob = await git(
        dir,
        ['hash-object', '-w', '--stdin'],
        new TextDecoder().decode(bytes),
      );
      lines += `100644 ${blob.out}\t${path}\n`;
    }
    await git(dir, ['update-index', '--add', '--index-info'], lines, env);
    const tree = (await git(dir, ['write-tree'], undefined, env)).out;
    const parent = old ? ['-p', old] : [];
    const commit =
      (await git(dir, ['commit-tree', ...parent, '-m', record.name, tree], '', env)).out;
    const moved = await git(dir, ['update-ref', 'refs/heads/main', commit, old ?? '0'.repeat(40)]);
    if (moved.code === 0) return tries;
  }
}

/** Says a pair of figures, with their ratio and the load of the machine. */
export function sayer(bench: string, report: Report, note: Note): Say {
  return (name, us, peer, them, unit, better) => {
    const ratio = round(better === 'more' ? us / them : them / us);
    report({ bench, case: name, us: round(us), peer, them: round(them), unit, ratio });
    const load = loadavg()[0]!.toFixed(1);
    note(`${name}: ${round(us)} ${unit}; ${peer}: ${round(them)} ${unit} (load ${load})`);
  };
}

export async function bench(report: Report, note: Note, quick: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-tenants-'));
  let count = 0;
  const place = () => ({
    dir: join(folder, `${count++}.git`),
    branch: 'main',
    committer: COMMITTER,
  });
  const say = sayer('tenants', report, note);
  try {
    await hundred(place, folder, say, note, quick);
    rendering(say, quick);
    await large(place, folder, say, note, quick);
    await sweep(say, note, quick);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Say = (
  name: string,
  us: number,
  peer: string,
  them: number,
  unit: string,
  better: 'more' | 'less',
) => void;
type Place = () => { dir: string; branch: string; committer: typeof COMMITTER };

async function hundred(place: Place, folder: string, say: Say, note: Note, quick: boolean) {
  const members = Array.from({ length: 100 }, (_, i) => `m${i}x`);
  const rates: number[] = [];
  for (let run = 0; run < (quick ? 1 : 3); run++) {
    const options = place();
    const { store, tenants } = open(await bareGit(options));
    const { ms } = await timed(() => Promise.all(members.map((name) => claim(tenants, name))));
    rates.push(100 / ms * 1000);
    // A fast wrong answer does not count.
    const drift = await verify(await store.snapshot(), policy);
    const commits = (await git(options.dir, ['rev-list', '--count', 'main'])).out;
    const fsck = execFileSync('git', ['-C', options.dir, 'fsck', '--strict', '--no-dangling'], {
      stdio: 'pipe',
    });
    const lost = 100 - (await readTenants(await store.snapshot())).length;
    if (drift.length || commits !== '100' || fsck.length || lost) throw new Error('wrong answer');
    await store.close();
  }
  note('100 at once: 0 lost, 0 doubled, fsck clean, verify empty, in every run');
  const { dir } = place();
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', dir]);
  const some = members.slice(0, 10);
  const { ms, result } = await timed(() =>
    Promise.all(
      some.map((name) => naiveClaim(dir, join(folder, `index-${name}`), exampleRecord({ name }))),
    )
  );
  note(
    `naive loop, ${some.length} at once: ${Math.max(...result)} tries at most, ${
      result.reduce((a, b) => a + b)
    } in all`,
  );
  say(
    '100 members at once, bare-git',
    median(rates),
    `naive compare-and-swap, ${some.length} at once`,
    some.length / ms * 1000,
    'tenants/s',
    'more',
  );
}

function rendering(say: Say, quick: boolean) {
  const n = quick ? 1000 : 10_000;
  const records = Array.from({ length: n }, (_, i) => exampleRecord({ name: `t${i}x` }));
  const once = (work: (record: TenantRecord) => void) => {
    const begun = performance.now();
    for (const record of records) work(record);
    return performance.now() - begun;
  };
  const us = median([1, 2, 3].map(() => once((record) => render(record, policy))));
  const [few, begun] = [records.slice(0, n / 10), performance.now()];
  for (const record of few) {
    for (const manifest of manifestsOf(record, policy).values()) {
      stringify(manifest, { version: '1.1' });
    }
  }
  const them = (performance.now() - begun) * 10;
  say(`render ${n} tenants`, us, `yaml stringify of ${few.length}, times 10`, them, 'ms', 'less');
}

async function large(place: Place, folder: string, say: Say, note: Note, quick: boolean) {
  const options = place();
  const { store, tenants } = open(await bareGit(options));
  const n = quick ? 500 : 10_000;
  const filled = await timed(async () => {
    for (let i = 0; i < n; i += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, k) => claim(tenants, `t${i + k}x`)));
    }
  });
  note(`filling a repo with ${n} tenants: ${Math.round(n / filled.ms * 1000)} tenants/s`);
  const times: number[] = [];
  for (let i = 0; i < (quick ? 5 : 100); i++) {
    times.push((await timed(() => claim(tenants, `new${i}x`))).ms);
  }
  const naive: number[] = [];
  for (let i = 0; i < (quick ? 2 : 10); i++) {
    const record = exampleRecord({ name: `naive${i}x` });
    naive.push((await timed(() => naiveClaim(options.dir, join(folder, 'index'), record))).ms);
  }
  note(`claim in a repo of ${n}: p99 ${round(percentile(times, 99))} ms`);
  say(`claim in a repo of ${n}, p50`, median(times), 'naive, alone', median(naive), 'ms', 'less');
  const all = await timed(async () => (await readTenants(await store.snapshot())).length);
  note(`reading all ${all.result} records: ${round(all.ms)} ms cold`);
  const log = await timed(() => store.log('tenants/t5x', 50));
  if (log.result.length !== 1) throw new Error('wrong answer');
  note(`the log of one tenant among ${n}: ${round(log.ms)} ms`);
  await store.close();
  const size = execFileSync('du', ['-sm', options.dir], { encoding: 'utf8' }).split('\t')[0];
  note(`the repo of ${n} tenants and as many commits: ${size} MB on disk`);
}

/** A SIMULATED Keycloak: the answers of the real one for a listing, to count calls. */
async function sweep(say: Say, note: Note, quick: boolean) {
  const n = quick ? 1000 : 10_000;
  const ids = Array.from({ length: n }, (_, i) => `id-${i}`);
  let calls = 0;
  const server = createServer((request, response) => {
    calls++;
    const url = new URL(request.url!, 'http://x');
    const first = Number(url.searchParams.get('first') ?? 0);
    const max = Number(url.searchParams.get('max') ?? 100);
    const page = (list: unknown[]) => JSON.stringify(list.slice(first, first + max));
    const user = /\/users\/([\w-]+)(\/groups)?$/.exec(url.pathname);
    response.setHeader('content-type', 'application/json');
    if (url.pathname.endsWith('/token')) response.end('{"access_token":"x","expires_in":300}');
    else if (url.pathname.endsWith('/members')) {
      response.end(page(ids.map((id) => ({ id, enabled: true }))));
    } else if (user?.[2]) response.end(page([{ id: 'g', path: '/paying' }]));
    else response.end(JSON.stringify({ id: user?.[1], enabled: true }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const members = keycloak({
    url,
    realm: 'r',
    clientId: 'c',
    clientSecret: new Secret('s'),
    paying: { groupId: 'g' },
    knownMember: 'id-0',
  });
  for (const size of [n / 100, n / 10, n]) {
    calls = 0;
    const subjects = ids.slice(0, size).map((sub) => ({ iss: `${url}/realms/r`, sub }));
    const { ms, result } = await timed(() => members.checkAll(subjects));
    if (result.some((answer) => answer !== 'yes')) throw new Error('wrong answer');
    note(
      `who pays, ${size} tenants of ${n} members: ${calls} calls, ${
        Math.round(ms)
      } ms (SIMULATED Keycloak)`,
    );
    if (size === n) say(`who pays, ${n} members`, calls, 'a question each', 2 * n, 'calls', 'less');
  }
  server.closeAllConnections();
  server.close();
}
