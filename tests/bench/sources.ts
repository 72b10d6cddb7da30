import { fork } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { createSource, sourceSchema } from '../../services/ics-proxy/sources/source.ts';
import { calendarOf } from './soak/upstream.ts';

interface Measurement {
  bench: string;
  case: string;
  us: number;
  peer: string;
  them: number;
  unit: string;
  ratio: number;
}
type Report = (measurement: Measurement) => void;

const ROUNDS = 7;
const MiB = 1024 * 1024;
/** One gzip member of 16 MiB of nothing: repeated, a file of any size (RFC 1952, 2.2). */
const MEMBER = zlib.gzipSync(Buffer.alloc(16 * MiB), { level: 9 });
const never = new AbortController().signal;

if (process.argv[2] === 'upstream') await upstream();

/** `npm run bench -- sources`. Fetching: the cost beside plain fetch(), and what bombs and silent upstreams can take from us. */
export async function bench(report: Report): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['upstream'], { execArgv: [] });
  try {
    const origin = await new Promise<string>((done) =>
      child.once('message', (m) => done(String(m)))
    );
    await sourceOf(origin, '/bomb.gz?100').fetch(undefined, never).catch(() => {}); // warm
    // what is about memory first, before the heap has grown for the rest
    await bombs(origin, report);
    await silence(origin, report);
    await unchanged(origin, report);
    await fetching(origin, report);
  } finally {
    child.kill();
  }
}

function sourceOf(origin: string, path: string, more: object = {}) {
  const url = origin + path;
  return createSource(sourceSchema.parse({ id: 'bench', url, allowPrivate: true, ...more }));
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Where less is better the ratio is theirs by ours: above 1 is better than they, in every row. */
function row(what: string, us: number, peer: string, them: number, unit: string): Measurement {
  const ratio = /^ms|MiB$/.test(unit) ? them / us : us / them;
  return {
    bench: 'sources',
    case: what,
    us: rounded(us),
    peer,
    them: rounded(them),
    unit,
    ratio: rounded(ratio),
  };
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

async function times(work: () => Promise<void>): Promise<number> {
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await work();
    took.push(performance.now() - start);
  }
  return median(took);
}

async function fetching(origin: string, report: Report): Promise<void> {
  for (const path of ['/15MB', '/15MB.gz']) {
    let ours = 0;
    let theirs = 0;
    const us = await times(async () => {
      const result = await sourceOf(origin, path).fetch(undefined, never);
      ours = result.status === 'fresh' ? result.bytes.length : 0;
    });
    const them = await times(async () => {
      theirs = (await (await fetch(origin + path)).arrayBuffer()).byteLength;
    });
    if (ours !== theirs || ours < 15_000_000) throw new Error(`Cannot compare: ${ours}, ${theirs}`);
    const speed = (ms: number) => ours / 1e6 / (ms / 1000);
    const what = `fetch, check and hash 15 MB${path.endsWith('gz') ? ', gzip' : ''}`;
    report(row(what, speed(us), 'fetch() alone', speed(them), 'MB/s'));
  }
}

async function unchanged(origin: string, report: Report): Promise<void> {
  const source = sourceOf(origin, '/etag');
  const { validators } = await source.fetch(undefined, never);
  const count = 300;
  const us = await times(async () => {
    for (let n = 0; n < count; n++) {
      if ((await source.fetch(validators, never)).status !== 'unchanged') {
        throw new Error('changed');
      }
    }
  });
  const headers = { 'if-none-match': validators.etag! };
  const them = await times(async () => {
    for (let n = 0; n < count; n++) {
      if ((await fetch(`${origin}/etag`, { headers })).status !== 304) throw new Error('no 304');
    }
  });
  const what = '304s one after the other, each on a new connection to a judged address';
  const peer = 'fetch(), connection kept';
  report(row(what, count / (us / 1000), peer, count / (them / 1000), 'requests/s'));
}

/** Growth tables: a bomb a hundred times as large must cost no more, in time and in memory. */
async function bombs(origin: string, report: Report): Promise<void> {
  for (const [kind, path] of [['gzip', '/bomb.gz'], ['brotli', '/bomb.br']]) {
    let small: { ms: number; mib: number } | undefined;
    for (const size of [100, 1_000, 10_000]) {
      const took: number[] = [];
      let peak = 0;
      const before = process.memoryUsage().rss;
      const watch = setInterval(() => peak = Math.max(peak, process.memoryUsage().rss), 2);
      for (let round = 0; round < ROUNDS; round++) {
        const start = performance.now();
        const why = await sourceOf(origin, `${path}?${size}`, { timeout: '60s' })
          .fetch(undefined, never).then(() => 'taken', (error: Error) => error.message);
        took.push(performance.now() - start);
        if (!/larger than/.test(why)) throw new Error(`Cannot measure the bomb: ${why}`);
      }
      clearInterval(watch);
      const here = { ms: median(took), mib: Math.max(1, (peak - before) / MiB) };
      small ??= here;
      const what = `${kind} bomb of ${size} MiB, refused at 25 MiB`;
      report(row(what, here.ms, 'the one of 100 MiB', small.ms, 'ms'));
      report(row(`${what}: memory up by`, here.mib, 'the one of 100 MiB', small.mib, 'MiB'));
    }
  }
}

async function silence(origin: string, report: Report): Promise<void> {
  let few: { ms: number; mib: number } | undefined;
  for (const count of [10, 100, 1_000]) {
    const before = process.memoryUsage().rss;
    const start = performance.now();
    const source = sourceOf(origin, '/drip', { timeout: '3s' });
    const all = Array.from(
      { length: count },
      () => source.fetch(undefined, never).then(() => 'taken', (error: Error) => error.message),
    );
    if ((await Promise.all(all)).includes('taken')) {
      throw new Error('Cannot measure: a dripping answer was taken');
    }
    const mib = Math.max(1, (process.memoryUsage().rss - before) / MiB);
    const here = { ms: performance.now() - start, mib };
    few ??= here;
    const what = `${count} upstreams that send a byte a second, deadline 3 s`;
    report(row(what, here.ms, '10 of them', few.ms, 'ms'));
    report(row(`${what}: memory up by`, here.mib, '10 of them', few.mib, 'MiB'));
  }
}

/** The other end, in a process of its own. */
async function upstream(): Promise<void> {
  const one = calendarOf('bench', 1);
  const text = Buffer.from(one.repeat(Math.ceil(15_000_000 / one.length)));
  const zipped = zlib.gzipSync(text);
  const brotli = new Map<number, Buffer>();
  for (const size of [100, 1_000, 10_000]) brotli.set(size, await brotliBomb(size));
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://x');
    const size = Number(search.slice(1));
    response.on('error', () => {});
    switch (pathname) {
      case '/15MB':
        return void response.writeHead(200, { 'content-length': text.length }).end(text);
      case '/15MB.gz':
        return void response.writeHead(200, { 'content-encoding': 'gzip' }).end(zipped);
      case '/etag':
        if (request.headers['if-none-match'] === '"1"') return void response.writeHead(304).end();
        return void response.writeHead(200, { etag: '"1"' }).end(one);
      case '/bomb.gz':
        response.writeHead(200, { 'content-encoding': 'gzip' });
        return void members(response, Math.ceil(size / 16));
      case '/bomb.br':
        return void response.writeHead(200, { 'content-encoding': 'br' }).end(brotli.get(size));
      case '/drip': {
        let at = 0;
        response.writeHead(200);
        const timer = setInterval(() => response.write(one[at++]!), 1_000);
        return void response.on('close', () => clearInterval(timer));
      }
    }
    response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  process.on('disconnect', () => process.exit(0));
}

async function members(response: ServerResponse, count: number): Promise<void> {
  for (let n = 0; n < count && !response.destroyed; n++) {
    if (response.write(MEMBER)) continue;
    await new Promise<void>((done) => {
      const go = () => {
        response.off('drain', go).off('close', go);
        done();
      };
      response.on('drain', go).on('close', go);
    });
  }
  response.end();
}

async function brotliBomb(mebibytes: number): Promise<Buffer> {
  const encoder = zlib.createBrotliCompress({
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 2 },
  });
  const chunks: Buffer[] = [];
  encoder.on('data', (chunk: Buffer) => chunks.push(chunk));
  const block = Buffer.alloc(MiB);
  for (let n = 0; n < mebibytes; n++) {
    if (!encoder.write(block)) await new Promise((done) => encoder.once('drain', done));
  }
  encoder.end();
  await new Promise((done) => encoder.once('end', done));
  return Buffer.concat(chunks);
}
