import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGzip } from 'node:zlib';

const EVENTS = 60;
const VERSION_MS = 7_000;

/** A version that reached the proxy whole, and when. */
export interface Delivery {
  version: number;
  at: number;
}

export interface SoakUpstream {
  origin: string;
  /** By source name, oldest first. */
  deliveries: Map<string, Delivery[]>;
  /** How often each behaviour was shown. */
  shown: Record<string, number>;
  version(): number;
  close(): Promise<void>;
}

/** Behaviours and their weights; `good` answers 304 where the validators allow it. */
const WEIGHTS: [string, number][] = [
  ['good', 50],
  ['status 500', 8],
  ['status 429', 4],
  ['dies', 6],
  ['hangs', 3],
  ['cut half-way', 6],
  ['HTML with 200', 6],
  ['empty with 200', 4],
  ['no END', 4],
  ['a byte now and then', 2],
  ['gzip bomb', 2],
  ['redirect to a private address', 2],
  ['text with 200', 3],
];

/** The calendar of one source at one version: its first event carries both in text and in time. */
export function calendarOf(name: string, version: number): string {
  const start = new Date(Date.UTC(2026, 11, 1) + version * 60_000);
  const stamp = start.toISOString().replaceAll(/[-:]|\.000/g, '');
  const lines = ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//hackspace//soak//EN'];
  const event = (uid: string, at: string, summary: string) =>
    lines.push(
      'BEGIN:VEVENT',
      `UID:${uid}@${name}`,
      'DTSTAMP:20260101T000000Z',
      `DTSTART:${at}`,
      'DURATION:PT1H',
      `SUMMARY:${summary}`,
      'DESCRIPTION:An evening at the workbenches with tea\\, solder and a plan that changes.',
      'END:VEVENT',
    );
  event('version', stamp, `${name} version ${version}`);
  for (let n = 0; n < EVENTS; n++) {
    event(`event-${n}`, `202701${String(n % 28 + 1).padStart(2, '0')}T180000Z`, `Evening ${n}`);
  }
  return [...lines, 'END:VCALENDAR', ''].join('\r\n');
}

/**
 * Many calendars that change every seven seconds behind a server of our own that misbehaves by
 * chance, seeded. A path is `/NAME.ics`; names starting with `gone` answer 404 from `goneAt` on.
 */
export async function startSoakUpstream(seed: number, goneAt: number): Promise<SoakUpstream> {
  const began = Date.now();
  const version = () => Math.floor((Date.now() - began) / VERSION_MS);
  const deliveries: SoakUpstream['deliveries'] = new Map();
  const shown: Record<string, number> = {};
  const total = WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0);
  let state = seed >>> 0;
  const random = () => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const choose = () => {
    let at = random() * total;
    return WEIGHTS.find(([, weight]) => (at -= weight) < 0)?.[0] ?? 'good';
  };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const name = (request.url ?? '').slice(1).replace(/\.ics$/, '');
    const gone = name.startsWith('gone') && Date.now() - began > goneAt;
    const behaviour = gone ? 'gone for good' : choose();
    shown[behaviour] = (shown[behaviour] ?? 0) + 1;
    const now = version();
    const text = calendarOf(name, now);
    const type = { 'content-type': 'text/calendar' };
    switch (behaviour) {
      case 'gone for good':
        return void response.writeHead(404).end();
      case 'status 500':
        return void response.writeHead(500).end('oops');
      case 'status 429':
        return void response.writeHead(429, { 'retry-after': '2' }).end();
      case 'dies':
        return void request.socket.destroy();
      case 'hangs':
        return;
      case 'cut half-way':
        response.writeHead(200, { ...type, 'content-length': String(text.length) });
        response.write(text.slice(0, text.length / 2));
        return void setTimeout(() => response.destroy(), 50);
      case 'HTML with 200':
        return void response.writeHead(200, type).end('<!DOCTYPE html><h1>Please log in</h1>');
      case 'empty with 200':
        return void response.writeHead(200, type).end();
      case 'no END':
        return void response.writeHead(200, type).end(text.slice(0, -20));
      case 'a byte now and then': {
        let at = 0;
        const timer = setInterval(() => response.write(text[at++]), 500);
        return void response.on('close', () => clearInterval(timer));
      }
      case 'gzip bomb': {
        response.writeHead(200, { ...type, 'content-encoding': 'gzip' });
        const gzip = createGzip({ level: 9 });
        gzip.pipe(response);
        gzip.on('error', () => {});
        const block = Buffer.alloc(1024 * 1024);
        const more = () => {
          if (!response.destroyed) gzip.write(block, () => setImmediate(more));
        };
        response.on('close', () => gzip.destroy());
        return more();
      }
      case 'redirect to a private address':
        return void response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end();
      case 'text with 200':
        return void response.writeHead(200, type).end('Service temporarily unavailable');
    }
    const etag = `"${now}"`;
    const done = () => {
      const list = deliveries.get(name) ?? [];
      list.push({ version: now, at: Date.now() });
      deliveries.set(name, list);
    };
    response.on('finish', done);
    if (request.headers['if-none-match'] === etag) {
      return void response.writeHead(304, { etag }).end();
    }
    response.writeHead(200, { ...type, etag }).end(text);
  }

  const server = createServer((request, response) => {
    response.on('error', () => {});
    answer(request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    deliveries,
    shown,
    version,
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
