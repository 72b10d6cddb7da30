import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../peers/lib/run.ts';
import { bigFeed } from './lib/big-feed.ts';
import { type Bench, median, percentile, round } from './lib/measure.ts';
import { ADMIN, cpuOf, memory, seedToken, startService, until200 } from './lib/service.ts';

/** A measurement without the bench's name. */
type Row = { case: string; us: number; unit: string; peer?: string; them?: number; ratio?: number };
interface Context {
  folder: string;
  report(row: Row): void;
  note(text: string): void;
  rounds: number;
  /** Of the number of feeds, sources and tokens. */
  scale: number;
}

/** The feed over HTTP: against nginx with the same file, at scale, and from start to first answer. */
export const bench: Bench = async (report, note, quick) => {
  const folder = await mkdtemp(join(tmpdir(), 'hackspace-serve-'));
  const context: Context = {
    folder,
    note,
    rounds: quick ? 1 : 5,
    scale: quick ? 0.05 : 1,
    report: ({ peer = null, them = null, ratio = null, ...row }) =>
      report({
        bench: 'serve',
        ...row,
        us: round(row.us),
        peer,
        them: them === null ? null : round(them),
        ratio: ratio === null ? null : round(ratio),
      }),
  };
  try {
    note(`load of the machine at the start: ${loadavg()[0]!.toFixed(1)} on ${cpus().length} cores`);
    await firstAnswer(context);
    await firstAnswer(context, { NODE_COMPILE_CACHE: join(folder, 'compile-cache') });
    await againstNginx(context);
    await bigFeed(folder, quick ? 4 : 20, {}, context.report);
    await bigFeed(folder, quick ? 4 : 20, IMAGE, context.report);
    note('goal of its memory: 200 MB; before any feed the service takes about 125 MB');
    await atScale(context);
    note(`load of the machine at the end: ${loadavg()[0]!.toFixed(1)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const run = promisify(execFile);
/** As the Dockerfile sets it. */
const IMAGE = { MALLOC_MMAP_THRESHOLD_: '131072', NODE_OPTIONS: '--max-semi-space-size=4' };

function component(n: number, salt = ''): string {
  return 'BEGIN:VEVENT\r\n' +
    `UID:${n}${salt}@bench.example\r\nDTSTAMP:20260101T000000Z\r\n` +
    `DTSTART:202612${String(n % 28 + 1).padStart(2, '0')}T190000Z\r\nDURATION:PT2H\r\n` +
    `SUMMARY:Event number ${n} of the bench ${salt}\r\nLOCATION:Room ${n % 7}\r\n` +
    `DESCRIPTION:${(n * 2654435761 >>> 0).toString(36).repeat(6)}\r\nEND:VEVENT\r\n`;
}
function calendarOf(bytes: number): string {
  let text = 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\n';
  for (let n = 0; text.length < bytes - 200; n++) text += component(n);
  return text + 'END:VCALENDAR\r\n';
}

async function firstAnswer(
  { folder: root, report, note, rounds }: Context,
  env: Record<string, string> = {},
): Promise<void> {
  const set = Object.keys(env).map((key) => `, ${key} set`).join('');
  const folder = join(root, `first${Object.keys(env).join('')}`);
  await mkdir(folder);
  await writeFile(join(folder, 'a.ics'), calendarOf(2000));
  const token = await seedToken(folder, 'a');
  const feeds = { a: { name: 'A', sources: [{ id: 'a', url: `file://${folder}/a.ics` }] } };
  const health: number[] = [];
  const cpu: number[] = [];
  const feed: number[] = [];
  // The first of all fills the cache of compiled code.
  await (await startService(folder, { feeds }, env)).stop();
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    const service = await startService(folder, { feeds }, env);
    await until200(`${service.url}/healthz`);
    health.push(performance.now() - started);
    cpu.push(await cpuOf(service.pid));
    await until200(`${service.url}/proxy/a.ics?token=${token}`);
    feed.push(performance.now() - started);
    await service.stop();
  }
  note(`start to first answer uses ${median(cpu)} ms of CPU on all threads${set}`);
  report({ case: `start to first answer, small config${set}`, us: median(health), unit: 'ms' });
  report({ case: `start to first feed served, small config${set}`, us: median(feed), unit: 'ms' });
}

async function wrk(url: string, header?: string): Promise<number> {
  const args = ['-t1', '-c32', '-d3s', ...(header ? ['-H', header] : []), url];
  const { stdout } = await run('wrk', args);
  if (/Non-2xx or 3xx responses: [1-9]|Socket errors: .*(connect|read|write) [1-9]/.test(stdout)) {
    throw new Error(`wrk saw errors: ${stdout}`);
  }
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)![1]);
}

async function againstNginx({ folder: root, report, note, rounds }: Context): Promise<void> {
  for (const name of ['wrk', 'nginx']) {
    if (findProgram(name)) continue;
    note(`SKIPPED nginx for want of ${name}: apt-get install nginx-light wrk`);
    return;
  }
  const folder = join(root, 'nginx');
  await mkdir(join(folder, 'www'), { recursive: true });
  const sizes = { '20 kB': 20_000, '1 MB': 1_000_000 };
  const feeds = Object.fromEntries(
    Object.entries(sizes).map(([, size]) => [
      `f${size}`,
      {
        name: 'Bench',
        budgetBytes: 4_000_000,
        sources: [{ id: 'a', url: `file://${folder}/${size}.ics` }],
      },
    ]),
  );
  const tokens = new Map<number, string>();
  for (const size of Object.values(sizes)) {
    await writeFile(join(folder, `${size}.ics`), calendarOf(size));
    tokens.set(size, await seedToken(folder, `f${size}`));
  }
  const service = await startService(folder, { feeds });
  const port = Number(new URL(service.url).port) + 1;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/tmp-${name};`).join(' ');
  await writeFile(
    join(folder, 'nginx.conf'),
    `${
      process.getuid?.() === 0 ? 'user root;' : ''
    } worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
     events { worker_connections 1024; }
     http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; ${temporary}
       types { text/calendar ics; }
       server { listen 127.0.0.1:${port}; root ${folder}/www; } }`,
  );
  const nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: 'ignore',
  });
  note(
    'one nginx worker, one service process; wrk with 32 connections; ratio: median of pairs; goals 0.6, 304: 0.7',
  );
  try {
    for (const [name, size] of Object.entries(sizes)) {
      const ours = `${service.url}/proxy/f${size}.ics?token=${tokens.get(size)}`;
      await until200(ours);
      const response = await fetch(ours, { headers: { 'accept-encoding': 'identity' } });
      const bytes = new Uint8Array(await response.arrayBuffer());
      // nginx serves the very bytes that we serve.
      await writeFile(join(folder, `www/${size}.ics`), bytes);
      const theirs = `http://127.0.0.1:${port}/${size}.ics`;
      await until200(theirs);
      const same = await fetch(theirs);
      if (Buffer.compare(new Uint8Array(await same.arrayBuffer()), bytes) !== 0) {
        throw new Error('nginx serves other bytes');
      }
      await compare(`GET ${name}, warm`, ours, theirs);
      const etag = (r: Response) => `If-None-Match: ${r.headers.get('etag')}`;
      if (size === 20_000) {
        await compare('304', ours, theirs, etag(response), etag(same));
      }
    }
  } finally {
    nginx.kill('SIGTERM');
    await new Promise((done) => nginx.once('exit', done));
    await service.stop();
  }

  async function compare(
    what: string,
    ours: string,
    theirs: string,
    ourHeader?: string,
    theirHeader?: string,
  ): Promise<void> {
    await wrk(ours, ourHeader);
    const us: number[] = [];
    const them: number[] = [];
    for (let i = 0; i < rounds; i++) {
      us.push(await wrk(ours, ourHeader));
      them.push(await wrk(theirs, theirHeader));
    }
    report({
      case: what,
      us: median(us),
      peer: 'nginx',
      them: median(them),
      unit: 'requests/s',
      ratio: median(us.map((value, i) => value / them[i]!)),
    });
  }
}

async function atScale({ folder: root, report, note, scale }: Context): Promise<void> {
  const [FEEDS, SOURCES, TOKENS] = [2000 * scale, 5000 * scale, 20_000 * scale];
  const folder = join(root, 'scale');
  await mkdir(join(folder, 'ics'), { recursive: true });
  const owner = (source: number) => `feed-${source % FEEDS}`;
  const feeds: Record<string, { name: string; sources: object[] }> = {};
  for (let n = 0; n < FEEDS; n++) feeds[`feed-${n}`] = { name: `Feed ${n}`, sources: [] };
  async function writeSources(salt: string) {
    for (let n = 0; n < SOURCES; n++) {
      const events = Array.from({ length: 10 }, (_, i) => component(n * 10 + i, salt)).join('');
      const text =
        `BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n${events}END:VCALENDAR\r\n`;
      await writeFile(join(folder, `ics/${n}.ics`), text);
    }
  }
  for (let n = 0; n < SOURCES; n++) {
    feeds[owner(n)]!.sources.push({
      id: `s${n}`,
      url: `file://${folder}/ics/${n}.ics`,
      refresh: '7d',
    });
  }
  await writeSources('one');
  const tokens: [string, string][] = [];
  for (let n = 0; n < TOKENS; n++) {
    const feed = `feed-${n % FEEDS}`;
    tokens.push([feed, await seedToken(folder, feed)]);
  }
  const urlOf = (base: string, n: number) => {
    const [feed, token] = tokens[n % TOKENS]!;
    return `${base}/proxy/${feed}.ics?token=${token}`;
  };
  const size = `${FEEDS} feeds, ${SOURCES} sources, ${TOKENS} tokens`;

  // The first life fetches everything; the second starts from what the first one kept.
  const cold = performance.now();
  const first = await startService(folder, { feeds });
  await allServed(first.url, FEEDS, urlOf);
  report({
    case: `${size}: all fetched and served, from nothing`,
    us: performance.now() - cold,
    unit: 'ms',
  });
  await first.stop();
  const warm = performance.now();
  const service = await startService(folder, { feeds });
  await until200(`${service.url}/healthz`);
  report({
    case: `${size}: restart to first answer`,
    us: performance.now() - warm,
    unit: 'ms',
  });
  await allServed(service.url, FEEDS, urlOf);
  report({
    case: `${size}: restart to every feed served`,
    us: performance.now() - warm,
    unit: 'ms',
  });
  report({ case: `${size}: resident memory`, us: (await memory(service.pid)).now, unit: 'MB' });

  const calm = await latencies(service.url, urlOf, () => Promise.resolve());
  report({
    case: `${size}: p99 of a warm GET, calm`,
    us: percentile(calm, 99),
    unit: 'ms',
  });
  await writeSources('two');
  const began = performance.now();
  let refreshed = 0;
  const busy = await latencies(service.url, urlOf, async () => {
    const ids = Object.keys(feeds);
    let next = 0;
    await Promise.all(Array.from({ length: 32 }, async () => {
      while (next < ids.length) {
        const response = await fetch(`${service.url}/api/feeds/${ids[next++]}/refresh`, {
          method: 'POST',
          headers: { authorization: `Bearer ${ADMIN}` },
        });
        if (response.status !== 200) throw new Error(`refresh answered ${response.status}`);
        await response.arrayBuffer();
      }
    }));
    refreshed = performance.now() - began;
  });
  const body = await (await fetch(urlOf(service.url, 7))).text();
  if (!body.includes('two@bench.example')) throw new Error('the refresh did not arrive');
  report({
    case: `${size}: every source changed and refreshed`,
    us: refreshed,
    unit: 'ms',
  });
  report({
    case: `${size}: p99 of a warm GET under full refresh`,
    us: percentile(busy, 99),
    unit: 'ms',
  });
  note(
    `under full refresh ${busy.length} requests at 200/s: p50 ${
      percentile(busy, 50).toFixed(2)
    } ms, ` +
      `max ${percentile(busy, 100).toFixed(1)} ms; goal p99 <= 20 ms, restart <= 3000 ms`,
  );
  report({
    case: `${size}: resident memory after it`,
    us: (await memory(service.pid)).now,
    unit: 'MB',
  });
  await service.stop();
}

async function allServed(
  base: string,
  feeds: number,
  urlOf: (base: string, n: number) => string,
): Promise<void> {
  for (let n = feeds - 1; n >= 0; n--) await until200(urlOf(base, n), 300_000);
}

/** 200 requests a second on time, whether or not the last one has come back, while `work` goes on. */
async function latencies(
  base: string,
  urlOf: (base: string, n: number) => string,
  work: () => Promise<void>,
): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const found: number[] = [];
  const pending: Promise<void>[] = [];
  let n = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const started = performance.now();
      request(urlOf(base, n++ * 7919), { agent }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`GET answered ${response.statusCode}`));
        response.resume().on('end', () => {
          found.push(performance.now() - started);
          resolve();
        });
      }).on('error', reject).end();
    });
  const timer = setInterval(() => pending.push(one()), 5);
  await Promise.all([work(), new Promise((done) => setTimeout(done, 5000))]);
  clearInterval(timer);
  await Promise.all(pending);
  agent.destroy();
  return found;
}
