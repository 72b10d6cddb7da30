import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as zlib from 'node:zlib';

/** One small calendar, CRLF, as well-behaved upstreams send it. */
export const CALENDAR = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//hackspace//test//EN',
  'BEGIN:VEVENT',
  'UID:one@test',
  'DTSTAMP:20260101T000000Z',
  'DTSTART:20261201T180000Z',
  'SUMMARY:Soldering',
  'END:VEVENT',
  'END:VCALENDAR',
  '',
].join('\r\n');

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

const send =
  (body: string | Uint8Array, headers: Record<string, string> = {}): Behaviour => (_, response) => {
    response.writeHead(200, { 'content-type': 'text/calendar', ...headers });
    response.end(body);
  };
const status = (code: number, headers: Record<string, string> = {}): Behaviour => (_, response) => {
  response.writeHead(code, headers);
  response.end('no');
};

const LONG = CALENDAR.replace('Soldering', 'Soldering '.repeat(20_000));

/** What this upstream can do wrong (and, to tell the difference, right), by path. */
const BEHAVIOURS: Record<string, Behaviour> = {
  '/ok': send(CALENDAR),
  '/validators': (request, response) => {
    if (request.headers['if-none-match'] === '"v1"') {
      return status(304, { etag: '"v1"' })(request, response);
    }
    send(CALENDAR, { etag: '"v1"', 'last-modified': 'Mon, 23 Nov 2026 10:00:00 GMT' })(
      request,
      response,
    );
  },
  '/lower-case': send(CALENDAR.toLowerCase()),
  '/bom': send(`\uFEFF\n  ${CALENDAR}\n\n`),
  '/as-html': send(CALENDAR, { 'content-type': 'text/html' }),
  '/html': send('<!DOCTYPE html><p>BEGIN:VCALENDAR END:VCALENDAR</p>', {
    'content-type': 'text/calendar',
  }),
  '/xml': send('<?xml version="1.0"?><error/>'),
  '/text': send('Sign in to see this calendar'),
  '/empty': send(''),
  '/no-end': send(CALENDAR.slice(0, -20)),
  '/second-cut': send(CALENDAR + CALENDAR.slice(0, 60)),
  '/end-in-value': send(CALENDAR.slice(0, 60) + 'DESCRIPTION:END:VCALENDAR'),
  '/short': (_, response) => {
    response.writeHead(200, { 'content-length': String(CALENDAR.length + 100) });
    response.write(CALENDAR);
    setTimeout(() => response.destroy(), 20);
  },
  '/cut-chunks': (_, response) => {
    response.write(CALENDAR);
    setTimeout(() => response.destroy(), 20);
  },
  '/dies': (request) => void request.socket.destroy(),
  '/hangs': () => {},
  '/silent': (_, response) => void response.write(CALENDAR.slice(0, 40)),
  '/drip': (_, response) => {
    let at = 0;
    const timer = setInterval(() => response.write(CALENDAR[at++ % 40]), 50);
    response.on('close', () => clearInterval(timer));
  },
  '/endless': (_, response) => endless(response, Buffer.alloc(64 * 1024, 'X-A:b\r\n')),
  '/gzip': send(zlib.gzipSync(LONG), { 'content-encoding': 'gzip' }),
  '/deflate': send(zlib.deflateSync(LONG), { 'content-encoding': 'deflate' }),
  '/deflate-raw': send(zlib.deflateRawSync(LONG), { 'content-encoding': 'deflate' }),
  '/br': send(zlib.brotliCompressSync(LONG), { 'content-encoding': 'br' }),
  '/bad-gzip': send('this is no gzip', { 'content-encoding': 'gzip' }),
  '/cut-gzip': send(zlib.gzipSync(LONG).subarray(0, 200), { 'content-encoding': 'gzip' }),
  '/unknown-coding': send(CALENDAR, { 'content-encoding': 'rot13' }),
  '/bomb-gzip': (_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    const gzip = zlib.createGzip({ level: 9 });
    gzip.pipe(response);
    endless(gzip, Buffer.alloc(1024 * 1024));
    response.on('close', () => gzip.destroy());
  },
  '/bomb-br': send(bomb(), { 'content-encoding': 'br' }),
  '/loop': status(302, { location: '/loop' }),
  '/lost': status(302),
  '/401': status(401, { 'www-authenticate': 'Basic realm="x"' }),
  '/403': status(403),
  '/404': status(404),
  '/410': status(410),
  '/418': status(418),
  '/429': status(429, { 'retry-after': '120' }),
  '/503': status(503, { 'retry-after': new Date(Date.now() + 3600_000).toUTCString() }),
  '/204': (_, response) => void response.writeHead(204).end(),
  '/206': (_, response) => void response.writeHead(206).end(CALENDAR),
  '/304': status(304),
  '/fat-headers': send(CALENDAR, { 'x-fat': 'x'.repeat(200_000) }),
  '/basic': (request, response) => {
    const wanted = `Basic ${Buffer.from('ada:pa:ss').toString('base64')}`;
    if (request.headers.authorization !== wanted) {
      return status(401, { 'www-authenticate': 'Basic realm="x"' })(request, response);
    }
    send(CALENDAR)(request, response);
  },
  '/basic-only': status(401, { 'www-authenticate': 'Basic realm="x"' }),
};
if (typeof zlib.zstdCompressSync === 'function') {
  BEHAVIOURS['/zstd'] = send(zlib.zstdCompressSync(LONG), { 'content-encoding': 'zstd' });
}

/** 64 MiB of nothing in some fifty bytes. */
function bomb(): Uint8Array {
  return zlib.brotliCompressSync(Buffer.alloc(64 * 1024 * 1024), {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 },
  });
}

function endless(to: NodeJS.WritableStream, block: Uint8Array): void {
  let open = true;
  to.on('close', () => open = false);
  to.on('error', () => open = false);
  const more = () => {
    while (open && to.write(block));
    if (open) to.once('drain', () => setImmediate(more)); // the reader shares our loop
  };
  more();
}

export interface Upstream extends AsyncDisposable {
  origin: string;
  port: number;
  /** Every request so far: method, path and the headers it came with. */
  seen: { method: string; path: string; headers: IncomingMessage['headers'] }[];
  /** Connections accepted so far, requests or not. */
  connections(): number;
  /** Replaces what a path does. */
  set(path: string, behaviour: Behaviour): void;
}

/** An upstream of our own making, faulty on purpose; listens on loopback. */
export async function startFaultyUpstream(): Promise<Upstream> {
  const own: Record<string, Behaviour> = { ...BEHAVIOURS };
  const seen: Upstream['seen'] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    seen.push({ method: request.method ?? '', path, headers: request.headers });
    const to = new URL(path, 'http://x').searchParams.get('to');
    const redirect = to === null ? undefined : status(302, { location: to });
    (redirect ?? own[path] ?? status(404))(request, response);
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    seen,
    connections: () => connections,
    set: (path, behaviour) => void (own[path] = behaviour),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
