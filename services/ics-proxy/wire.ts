import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FeedAnswer, FeedRequest } from './feed-http.ts';

/**
 * The hot path without node:http. Most requests of calendar programs are one small packet that asks
 * for one feed; parsing it, building message objects and checking the headers of the answer cost
 * node:http more than all the rest. What is such a packet, to the last byte of a narrow grammar, is
 * answered from prepared bytes; anything else, and all that follows on its connection, goes to the
 * HTTP server untouched. No second HTTP implementation: no bodies, no pipelining, no errors.
 */
export interface WireOptions {
  /** Answers what is right and ready; undefined hands the connection over. */
  quick(request: FeedRequest): FeedAnswer | undefined;
  /** Told the status of each answer. */
  count(status: number): void;
}

export interface WireRequest extends FeedRequest {
  method: 'GET' | 'HEAD';
}

const MAX_PACKET = 4096;
const IDLE = 65_000;
const REASON: Record<number, string> = { 200: 'OK', 304: 'Not Modified' };
/** Headers that change nothing about the answer, or that `quick` looks at. Others hand over. */
const HEADER = /([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e]*)\r\n/y;
const START =
  /(GET|HEAD) \/proxy\/([a-z0-9-]{1,63})\.ics(?:\?token=([0-9a-f]{64}))? HTTP\/1\.1\r\n/y;

/** Reads a packet that is exactly one simple request; undefined for any other. Untrusted input. */
export function readRequest(text: string): WireRequest | undefined {
  if (!text.endsWith('\r\n\r\n')) return undefined;
  START.lastIndex = 0;
  const start = START.exec(text);
  if (!start) return undefined;
  const request: WireRequest = {
    method: start[1] as 'GET' | 'HEAD',
    feed: start[2]!,
    query: start[3],
    address: '',
  };
  let hosts = 0;
  const end = text.length - 2;
  for (let at = START.lastIndex; at < end; at = HEADER.lastIndex) {
    HEADER.lastIndex = at;
    const header = HEADER.exec(text);
    if (!header) return undefined;
    const value = header[2]!;
    switch (header[1]!.toLowerCase()) {
      case 'host':
        hosts++;
        break;
      case 'accept-encoding':
        if (request.acceptEncoding !== undefined) return undefined;
        request.acceptEncoding = value;
        break;
      case 'authorization':
        if (request.authorization !== undefined) return undefined;
        request.authorization = value;
        break;
      case 'if-none-match':
        if (request.ifNoneMatch !== undefined) return undefined;
        request.ifNoneMatch = value;
        break;
      case 'if-modified-since':
        if (request.ifModifiedSince !== undefined) return undefined;
        request.ifModifiedSince = value;
        break;
      case 'connection':
        if (value.toLowerCase() !== 'keep-alive') return undefined;
        break;
      case 'content-length':
      case 'transfer-encoding':
      case 'upgrade':
      case 'expect':
      case 'te':
      case 'trailer':
      case 'range':
        return undefined;
    }
  }
  // The line that ends the headers must be the packet's last two octets.
  return hosts === 1 && HEADER.lastIndex === end ? request : undefined;
}

/**
 * Whole messages as they were sent within this second, by the header list they came from (each
 * document has its own lists, made once) and whether they hold the body: the date is all that changes.
 */
const messages = { plain: new Map<unknown, Buffer>(), full: new Map<unknown, Buffer>() };
let second = 0;
/** Octets of bodies in `messages`. */
let held = 0;

/** Bodies up to this size are kept with their head, as one buffer is cheaper to write than two. */
const JOIN = 64 * 1024;
const MAX_HELD = 4 * 1024 * 1024;

function message(answer: FeedAnswer, body: Uint8Array | undefined): Buffer {
  const kept = body === undefined ? messages.plain : messages.full;
  let bytes = kept.get(answer.headers);
  if (!bytes) {
    let text = `HTTP/1.1 ${answer.status} ${REASON[answer.status]}\r\n`;
    for (let i = 0; i < answer.headers.length; i += 2) {
      text += `${answer.headers[i]}: ${answer.headers[i + 1]}\r\n`;
    }
    text += `Date: ${new Date(second * 1000).toUTCString()}\r\n` +
      'Connection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\n';
    const head = Buffer.from(text, 'latin1');
    bytes = body === undefined ? head : Buffer.concat([head, body]);
    held += body?.length ?? 0;
    kept.set(answer.headers, bytes);
  }
  return bytes;
}

function freshen(): void {
  const now = Math.floor(Date.now() / 1000);
  if (now === second) return;
  second = now;
  held = 0;
  messages.plain.clear();
  messages.full.clear();
}

/**
 * Puts the wire before a server's own connection listener. Node only: elsewhere the HTTP server does
 * not take a socket over, and this does nothing.
 */
export function installWire(
  server: Server,
  { quick, count }: WireOptions,
): {
  /** Hands everything over from now on, and ends what is idle here after `drain` ms (default 0). */
  close(drain?: number): void;
} {
  const sockets = new Set<Socket>();
  let draining = false;
  const options: WireOptions = { count, quick: (request) => draining ? undefined : quick(request) };
  const [http] = server.listeners('connection') as ((socket: Socket) => void)[];
  if (!http || 'Bun' in globalThis || 'Deno' in globalThis) return { close() {} };
  server.off('connection', http);
  server.prependListener('connection', (socket: Socket) => {
    sockets.add(socket);
    attach(socket, options, () => {
      sockets.delete(socket);
      http.call(server, socket);
    });
    socket.on('close', () => sockets.delete(socket));
  });
  return {
    close(drain = 0) {
      draining = true;
      // Between two packets every connection here is idle; what is written still goes out.
      const end = () => {
        for (const socket of sockets) socket.destroySoon();
      };
      if (drain > 0) setTimeout(end, drain);
      else end();
    },
  };
}

function attach(socket: Socket, { quick, count }: WireOptions, handOver: () => void): void {
  const drop = () => void socket.destroy();
  const end = () => void socket.end();
  const drained = () => void socket.resume();

  function data(packet: Buffer): void {
    const request = packet.length <= MAX_PACKET
      ? readRequest(packet.toString('latin1'))
      : undefined;
    const answer = request && quick(request);
    if (!answer) return leave(packet);
    count(answer.status);
    const body = request.method === 'GET' ? answer.body : undefined;
    freshen();
    const room = held < MAX_HELD || messages.full.has(answer.headers);
    if (body === undefined || (body.length <= JOIN && room)) {
      socket.write(message(answer, body));
    } else {
      socket.cork();
      socket.write(message(answer, undefined));
      socket.write(body);
      socket.uncork();
    }
    // A subscriber that asks but does not read is not read from either.
    if (socket.writableNeedDrain) {
      socket.pause();
      socket.once('drain', drained);
    }
  }
  function leave(packet: Buffer): void {
    socket.off('data', data).off('timeout', drop).off('error', drop).off('end', end);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(packet);
    handOver();
    socket.resume();
  }
  socket.setNoDelay(true);
  socket.setTimeout(IDLE);
  socket.on('data', data).on('timeout', drop).on('error', drop).on('end', end);
}
