import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError, describe } from './errors.ts';
import { getLogger } from './log.ts';

const log = getLogger(['kit', 'serve']);
// Imported as a module it would load `fetch` and what is behind it: a quarter of a small service's start.
const { createServer } = process.getBuiltinModule('node:http');

/** Milliseconds between the open port and the loading of the app. */
const LATER = 50;

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

export interface Served {
  url: string;
  port: number;
  server: Server;
  /** Settles when the app is there; rejects when it cannot be loaded. */
  loaded: Promise<void>;
  /**
   * For `drain` goes on serving, but `/readyz` says no and each answer ends its connection; then stops
   * accepting, lets running requests finish until `graceMs` (8 s) in all are over, and closes.
   */
  close(graceMs?: number): Promise<void>;
}

export interface ServedApp {
  fetch: (request: Request, env?: never) => Response | Promise<Response>;
}

export interface ServeOptions {
  host: string;
  port: number;
  /** Milliseconds between the wish to stop and the closed door (default 0): see `Served.close`. */
  drain?: number;
  /**
   * Sees each request before the app: answers it and returns true, or returns false and leaves it
   * untouched. For answers that are ready as bytes; whatever it serves must equal what the app serves.
   */
  fast?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Its name, by which `/healthz` answers while the app is being loaded. */
  service?: string;
}

/**
 * Serves a Hono app through node:http, alike on Node, Deno and Bun. Port 0 picks a free one. An app that is
 * given as a function is loaded once the port is open: what `fast` cannot answer waits for it.
 */
export async function serve(
  app: ServedApp | (() => Promise<ServedApp>),
  options: ServeOptions,
): Promise<Served> {
  const { fast, drain = 0, service } = options;
  let draining = false;
  let listener: Listener = (request, response) => {
    if (service && request.method === 'GET' && request.url === '/healthz') {
      return alive(service, response);
    }
    loaded.then(() => listener(request, response), () => response.destroy());
  };
  async function load(): Promise<void> {
    // Who waited for the port is answered first: what follows holds the thread.
    if (typeof app === 'function') await pause(LATER);
    const { getRequestListener } = await import('@hono/node-server');
    const { fetch } = typeof app === 'function' ? await app() : app;
    // The globals stay the platform's own.
    listener = getRequestListener(fetch as (request: Request) => Response | Promise<Response>, {
      overrideGlobalObjects: false,
    });
  }
  const server = createServer({
    // A slow-loris subscriber gets 10 s for its headers and 30 s for a whole request.
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
  }, (request, response) => {
    if (draining) {
      response.setHeader('Connection', 'close');
      if (request.url === '/readyz') return notReady(response);
    }
    if (!fast?.(request, response)) listener(request, response);
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const { port } = await open(server, options);
  const loaded = load();
  // Who started it is told; here it only must not count as unhandled.
  loaded.catch(() => {});
  if (typeof app !== 'function') await loaded;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}`,
    port,
    server,
    loaded,
    async close(graceMs = 8000) {
      draining = true;
      const open = Math.min(drain, graceMs);
      if (open > 0) await new Promise((done) => setTimeout(done, open));
      await close(server, sockets, graceMs - open);
    },
  };
}

function open(server: Server, { host, port }: ServeOptions): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const reason = (cause as NodeJS.ErrnoException).code ?? describe(cause);
      reject(
        new AppError('unavailable', `Cannot listen on ${host}:${port}: ${reason}`, { cause }),
      );
    });
    server.listen(port, host, () => resolve(server.address() as AddressInfo));
  });
}

function alive(service: string, response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify({ status: 'ok', service }));
}

function notReady(response: ServerResponse): void {
  response.writeHead(503, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ ready: false, reasons: ['the service is stopping'] }));
}

function close(server: Server, sockets: Set<Socket>, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    const idle = setInterval(() => server.closeIdleConnections?.(), 50);
    server.close(() => {
      clearTimeout(timer);
      clearInterval(idle);
      resolve();
    });
    server.closeIdleConnections?.();
  });
}

/**
 * The life of a `main.ts`: starts, logs where it listens, and on SIGTERM or SIGINT closes within
 * 10 s and exits 0. A failed start prints its reason to standard error and exits 1.
 */
export async function runUntilSignal(
  name: string,
  start: () => Promise<{ url?: string; loaded?: Promise<void>; close(): Promise<void> }>,
): Promise<void> {
  const fail = (error: unknown): never => {
    process.stderr.write(`${name}: ${describe(error)}\n`);
    process.exit(1);
  };
  const running = await start().catch(fail);
  running.loaded?.catch(fail);
  log.info('listening', { name, url: running.url ?? '' });
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info('stopping', { name, signal });
    const late = setTimeout(() => process.exit(1), 10_000);
    running.close().then(() => {
      clearTimeout(late);
      log.info('stopped', { name });
      process.exit(0);
    }, fail);
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}
