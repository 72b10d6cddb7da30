/**
 * Process start -> unsealed, of a real raft cluster of three OpenBao nodes, with three real helper
 * processes of one share each. Beside it, in the same run: a 20 ms loop that holds all shares (the
 * floor), and the polling rules of vault-unseal as read in its source, EMULATED: not the program.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { getPriority, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { connectNode } from '../../services/unsealer/openbao.ts';
import { holdShare, parseShare } from '../../services/unsealer/shares.ts';
import { startSimulator } from '../../services/unsealer/simulator.ts';
import { makeHelper, until, type World } from '../../services/unsealer/testing.ts';
import { createAuthority } from '../peers/lib/tls.ts';
import { type OpenBao, openbao, type OpenBaoNode, startOpenBao } from '../peers/openbao.ts';

export interface Measurement {
  bench: string;
  case: string;
  us: number;
  peer: string;
  them: number;
  unit: string;
  ratio: number;
}
type Report = (measurement: Measurement) => void;
type Note = (text: string) => void;

const main = fileURLToPath(new URL('../../services/unsealer/main.ts', import.meta.url));
const cache = mkdtempSync(join(tmpdir(), 'bench-cache-'));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const at = (sorted: number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!;
const sort = (list: number[]) => [...list].sort((a, b) => a - b);
const seconds = (ms: number) => Math.round(ms) / 1000;
const load = () => `load ${loadavg()[0]!.toFixed(1)}`;
const how = (list: number[]) =>
  `n=${list.length} p50 ${seconds(at(sort(list), 0.5))} p99 ${seconds(at(sort(list), 0.99))} ` +
  `max ${seconds(Math.max(...list))} s`;

interface Helper {
  child: ChildProcess;
  url: string;
  stop(): Promise<void>;
}

async function startHelper(raw: Record<string, unknown>, folder: string): Promise<Helper> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, stringify(raw));
  // As services/unsealer/boot/unsealer.service starts it.
  const flags = ['--disable-sigusr1', '--max-semi-space-size=1', '--max-old-space-size=64'];
  const child = spawn(process.execPath, [...flags, main, '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  });
  let url = '';
  createInterface(child.stdout!).on('line', (line) => {
    const event = JSON.parse(line);
    if (event.message === 'listening') url = event.url;
  });
  await until('a helper to listen', () => url !== '');
  return {
    child,
    url,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

/** Milliseconds from its first answer until it says unsealed, of each start watched: the helpers' own part. */
const afterListening: number[] = [];

/** Milliseconds from the start of the process until it says unsealed; looked at each 10 ms. */
async function startAndWatch(
  bao: OpenBao,
  node: OpenBaoNode,
  own: number[] = afterListening,
): Promise<number> {
  // A kept connection: the watcher must not cost the processor what it measures.
  const watcher = connectNode({ url: node.url, ca: bao.ca!, san: `${node.name}.test` });
  const begun = performance.now();
  const started = node.start();
  let listening: number | undefined;
  for (;;) {
    const seen = await watcher.look();
    if (seen.kind === 'answered') listening ??= performance.now();
    if (seen.kind === 'answered' && !seen.seal.sealed) break;
    if (performance.now() - begun > 120_000) throw new Error(`${node.name} stayed sealed`);
    await sleep(10);
  }
  const took = performance.now() - begun;
  own.push(performance.now() - listening!);
  watcher.close();
  await started;
  return took;
}

/** Sends the threshold of shares as soon as the node answers sealed; `next`: ms until the next look. */
async function loop(
  bao: OpenBao,
  node: OpenBaoNode,
  next: (failed: boolean) => number,
  on: () => boolean,
  fresh = false,
): Promise<void> {
  const connect = () => connectNode({ url: node.url, ca: bao.ca!, san: `${node.name}.test` });
  let client = connect();
  const shares = bao.keys.slice(0, 3)
    .map((key) => holdShare(parseShare(new TextEncoder().encode(key), 5)));
  while (on()) {
    const seen = await client.look();
    if (seen.kind === 'answered' && seen.seal.sealed) {
      for (const share of shares) await client.send(share, () => {});
    }
    if (fresh) {
      client.close();
      client = connect();
    }
    await sleep(next(seen.kind !== 'answered'));
  }
  client.close();
}

/** The floor: nothing can be quicker than a tight loop with every share in its hand. */
async function floor(bao: OpenBao, nodes: readonly OpenBaoNode[], n: number): Promise<number[]> {
  let on = true;
  const running = nodes.map((node) => loop(bao, node, () => 20, () => on));
  const times: number[] = [];
  for (let i = 0; i < n; i++) {
    await Promise.all(nodes.map((node) => node.stop(i % 2 ? 'SIGTERM' : 'SIGKILL')));
    times.push(...await Promise.all(nodes.map((node) => startAndWatch(bao, node))));
    if (nodes.length > 1) await bao.active();
    await sleep(200);
  }
  on = false;
  await Promise.all(running);
  return times;
}

/** vault-unseal's rules: 5 s at least; after errors min(30 s x errors, twice the interval) more. */
async function emulated(away: number, n: number): Promise<number[]> {
  await using bao = await startOpenBao();
  let errors = 0;
  let on = true;
  const next = (failed: boolean) => {
    errors = failed ? errors + 1 : 0;
    return 5000 + Math.min(30_000 * errors, 10_000);
  };
  // A new connection a look: a kept one that the restart broke would count as an error of its own.
  const running = loop(bao, bao.node, next, () => on, true);
  const times: number[] = [];
  for (let i = 0; i < n; i++) {
    // Restarts fall anywhere in the interval.
    await sleep(5000 * ((i * 0.618) % 1));
    await bao.node.stop();
    await sleep(away);
    times.push(await startAndWatch(bao, bao.node, []));
    await sleep(100);
  }
  on = false;
  await Promise.race([running, sleep(16_000)]);
  return times;
}

function usage(pid: number): { cpu: number; rss: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ');
  const rss = Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)![1]) /
    1024;
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, rss };
}

async function looks(helper: Helper): Promise<number> {
  const text = await (await fetch(`${helper.url}/metrics`)).text();
  return [...text.matchAll(/^unsealer_looks_total\{.*\} (\d+)/gm)]
    .reduce((sum, found) => sum + Number(found[1]), 0);
}

async function whileIdle(helper: Helper, nodes: number, ms: number) {
  const [before, from] = [usage(helper.child.pid!), await looks(helper)];
  await sleep(ms);
  const [after, to] = [usage(helper.child.pid!), await looks(helper)];
  return {
    requests: (to - from) / nodes / (ms / 1000),
    cpu: (after.cpu - before.cpu) / (ms / 1000) * 100,
    rss: after.rss,
  };
}

/** 50 nodes in 10 clusters of the SIMULATOR, one helper process. */
async function many(n: number) {
  const authority = await createAuthority(mkdtempSync(join(tmpdir(), 'bench-')), 'simulator');
  const { cert, key } = await authority.issue('sim', {
    subject: '/CN=sim',
    sans: ['IP:127.0.0.1'],
  });
  const sims = [];
  for (let i = 0; i < 10; i++) sims.push(await startSimulator({ nodes: 5, cert, key }));
  const clusters: Record<string, unknown> = {};
  let first: Awaited<ReturnType<typeof makeHelper>> | undefined;
  for (const [i, sim] of sims.entries()) {
    const world: World = {
      ca: authority.cert,
      clusterId: sim.clusterId,
      threshold: 3,
      keys: sim.keys,
      nodes: sim.nodes.map((node) => ({ id: node.id, url: node.url, san: '127.0.0.1' })),
    };
    const cluster = { budget: { perHour: 100_000 } };
    const made = await makeHelper(world, { holds: [0, 1, 2], cluster });
    first ??= made;
    clusters[`c${i}`] = (made.raw.clusters as Record<string, unknown>).vault;
  }
  const helper = await startHelper({ ...first!.raw, clusters }, first!.folder);
  const all = sims.flatMap((sim) => sim.nodes);
  await until('all open', () => all.every((node) => !node.sealed()), 30_000);
  const idle = await whileIdle(helper, 50, 20_000);
  const times: number[] = [];
  for (let i = 0; i < n; i++) {
    const node = all[(i * 7) % all.length]!;
    await node.stop();
    await node.start();
    await until('open', () => !node.sealed());
    times.push(node.openedAfter()!);
    await sleep(50);
  }
  // And all fifty at once.
  await Promise.all(all.map((node) => node.stop()));
  await Promise.all(all.map((node) => node.start()));
  await until('all open', () => all.every((node) => !node.sealed()), 30_000);
  const together = all.map((node) => node.openedAfter()!);
  await helper.stop();
  await Promise.all(sims.map((sim) => sim.stop()));
  return { times, together, idle };
}

/** `quick`: a tenth of everything, and away for seconds instead of minutes; to try the bench itself. */
export async function bench(report: Report, note: Note, quick: boolean): Promise<void> {
  const missing = openbao.missing();
  if (missing) throw new Error(`Cannot run bench unseal: ${missing}; ${openbao.command}`);
  const n = (full: number) => quick ? Math.ceil(full / 10) : full;
  const bao: OpenBao = await startOpenBao({ nodes: 3 });
  note(
    `OpenBao ${bao.version}, three raft nodes, TLS; three helpers of one share each; ` +
      `scheduling priority ${getPriority()}, ${load()}`,
  );
  const base = await floor(bao, [bao.nodes[1]!], n(30));
  const baseAll = await floor(bao, bao.nodes, n(5));
  const baseOwn = afterListening.splice(0).slice(0, base.length);
  note(`floor, a 20 ms loop with all shares: ${how(base)}`);
  const say = (name: string, times: number[], goal: string, peer: string, them: number[]) => {
    note(`${name}: ${how(times)} (goal ${goal}); ${peer}: ${how(them)}; ${load()}`);
    for (const [label, q] of [['p50', 0.5], ['p99', 0.99]] as const) {
      const [us, other] = [seconds(at(sort(times), q)), seconds(at(sort(them), q))];
      const ratio = Math.round(us / other * 100) / 100;
      report({
        bench: 'unseal',
        case: `${name}, ${label}`,
        us,
        peer,
        them: other,
        unit: 's',
        ratio,
      });
    }
  };
  // Its waits are long and idle: it runs beside, on a node of its own.
  const rules = "vault-unseal's polling rules, emulated";
  const others = Promise.all([emulated(0, n(10)), emulated(quick ? 2000 : 8000, n(10))]);

  const { cluster_id } = await bao.node.sealStatus();
  const world: World = {
    ca: bao.ca!,
    clusterId: cluster_id,
    threshold: 3,
    keys: bao.keys,
    nodes: bao.nodes.map((node) => ({ id: node.name, url: node.url, san: `${node.name}.test` })),
  };
  const helpers: Helper[] = [];
  // The first start fills the compile cache.
  const warm = await makeHelper(world, { holds: [4] });
  await (await startHelper(warm.raw, warm.folder)).stop();
  for (const share of [0, 1, 2]) {
    const cluster = { budget: { perHour: 10_000 } };
    const { raw, folder } = await makeHelper(world, { holds: [share], cluster });
    helpers.push(await startHelper(raw, folder));
  }
  await sleep(1000);
  const single: number[] = [];
  for (let i = 0; i < n(100); i++) {
    const node = bao.nodes[i % 3]!;
    await node.stop(i % 2 ? 'SIGTERM' : 'SIGKILL');
    single.push(await startAndWatch(bao, node));
    await sleep(300);
  }
  say('one node restarted', single, 'p50 0.4, p99 1.5', 'a 20 ms loop with all shares', base);
  const own = afterListening.splice(0);
  say('of that, from listening on', own, 'none', 'a 20 ms loop with all shares', baseOwn);
  const whole: number[] = [];
  for (let i = 0; i < n(20); i++) {
    await Promise.all(bao.nodes.map((node) => node.stop(i % 2 ? 'SIGTERM' : 'SIGKILL')));
    whole.push(...await Promise.all(bao.nodes.map((node) => startAndWatch(bao, node))));
    await bao.active();
  }
  say('all three restarted', whole, 'p50 0.4, p99 1.5', 'a 20 ms loop with all shares', baseAll);
  const gone = async (ms: number, nodes: readonly OpenBaoNode[]) => {
    await Promise.all(nodes.map((node) => node.stop()));
    await sleep(ms);
    const taken = await Promise.all(nodes.map((node) => startAndWatch(bao, node)));
    await sleep(300);
    return taken;
  };
  const short: number[] = [];
  for (let i = 0; i < n(10); i++) {
    short.push(...await gone(quick ? 2000 : 8000, [bao.nodes[i % 3]!]));
  }
  const [plain, after8] = await others;
  say('one node restarted, again', single, 'p50 0.4', rules, plain);
  say('a node away 8 s', short, 'p50 0.4, p99 1.5', rules, after8);
  const idle = await whileIdle(helpers[0]!, 3, quick ? 5000 : 60_000);
  const cost = (name: string, us: number, goal: number, unit: string) => {
    note(`${name}: ${us.toFixed(2)} ${unit} (goal < ${goal})`);
    const ratio = Math.round(us / goal * 100) / 100;
    const rounded = Math.round(us * 100) / 100;
    report({ bench: 'unseal', case: name, us: rounded, peer: 'the goal', them: goal, unit, ratio });
  };
  cost('idle, requests to a node', idle.requests, 1, '1/s');
  cost('idle, processor', idle.cpu, 1, '% of a core');
  cost('idle, resident memory', idle.rss, 120, 'MB');
  const [fifty, long] = await Promise.all([
    many(n(100)),
    gone(quick ? 5000 : 300_000, bao.nodes.slice(1)),
  ]);
  const sim = '50 nodes in 10 clusters, SIMULATED';
  say(`${sim}, one restarted`, fifty.times, 'the same p50', 'one node of the real cluster', single);
  say(`${sim}, all restarted at once`, fifty.together, 'none', 'all three real ones', whole);
  cost('50 simulated nodes, idle, processor', fifty.idle.cpu, 1, '% of a core');
  cost('50 simulated nodes, resident memory', fifty.idle.rss, 120, 'MB');
  say('a node away 5 min', long, 'p50 0.4, p99 1.5', 'a 20 ms loop with all shares', base);
  await Promise.all(helpers.map((helper) => helper.stop()));
  await bao.stop();
}
