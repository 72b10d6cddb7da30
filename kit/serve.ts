import { createAdaptorServer } from '@hono/node-server';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AppError, describe } from './errors.ts';
import { getLogger } from './log.ts';

const log = getLogger(['kit', 'serve']);

export interface Served {
  url: string;
  port: number;
  server: Server;
  /**
   * For `drain` goes on serving, but `/readyz` says no and each answer ends its connection; then stops
   * accepting, lets running requests finish until `graceMs` (8 s) in all are over, and closes.
   */
  close(graceMs?: number): Promise<void>;
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
}

/** Serves a Hono app through node:http, alike on Node, Deno and Bun. Port 0 picks a free one. */
export function serve(
  app: { fetch: (request: Request, env?: never) => Response | Promise<Response> },
  options: ServeOptions,
): Promise<Served> {
  const server = createAdaptorServer({
    fetch: app.fetch as (request: Request) => Response | Promise<Response>,
    // The globals stay the platform's own.
    overrideGlobalObjects: false,
    serverOptions: {
      // A slow-loris subscriber gets 10 s for its headers and 30 s for a whole request.
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16_384,
    },
  }) as Server;
  const [listener] = server.listeners('request') as [
    (request: IncomingMessage, response: ServerResponse) => void,
  ];
  const { fast, drain = 0 } = options;
  let draining = false;
  server.removeAllListeners('request');
  server.on('request', (request, response) => {
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
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const reason = (cause as NodeJS.ErrnoException).code ?? describe(cause);
      const where = `${options.host}:${options.port}`;
      reject(new AppError('unavailable', `Cannot listen on ${where}: ${reason}`, { cause }));
    });
    server.listen(options.port, options.host, () => {
      const { port } = server.address() as AddressInfo;
      const host = options.host.includes(':') ? `[${options.host}]` : options.host;
      resolve({
        url: `http://${host}:${port}`,
        port,
        server,
        async close(graceMs = 8000) {
          draining = true;
          const open = Math.min(drain, graceMs);
          if (open > 0) await new Promise((done) => setTimeout(done, open));
          await close(server, sockets, graceMs - open);
        },
      });
    });
  });
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
  start: () => Promise<{ url?: string; close(): Promise<void> }>,
): Promise<void> {
  let running;
  try {
    running = await start();
  } catch (error) {
    process.stderr.write(`${name}: ${describe(error)}\n`);
    process.exit(1);
  }
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
    }, (error) => {
      process.stderr.write(`${name}: ${describe(error)}\n`);
      process.exit(1);
    });
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}
