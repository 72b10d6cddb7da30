/** For tests: listeners that pose as a node and keep every byte they are sent. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { openDirectory } from '@hackspace/kit/state.ts';
import { type Authority, type Certificate, createAuthority } from '../../tests/peers/lib/tls.ts';
import { createAlerts } from './alerts.ts';
import { openHold } from './hold.ts';
import { startCluster } from './loop.ts';
import { unsealMetrics } from './metrics.ts';
import { connectNode } from './openbao.ts';
import { holdShare } from './shares.ts';

export const CLUSTER = '9b1c6ad3-0000-0000-0000-000000000001';
export const SAN = 'bao-0.test';

const STATUS = {
  type: 'shamir',
  initialized: true,
  sealed: true,
  t: 3,
  n: 5,
  progress: 0,
  nonce: '',
  version: '2.4.0',
  migration: false,
  recovery_seal: false,
};

/** How it answers: `GET` and `POST` alike, or apart. Undefined: it never answers. */
export interface Act {
  certificate?: 'ours' | 'wrong-ca' | 'wrong-san' | 'wildcard' | 'name-only' | 'other-key';
  plain?: boolean;
  get?: (socket: Socket) => void;
  post?: (socket: Socket) => void;
}

export const json = (over: object, status = '200 OK', headers = '') => (socket: Socket) => {
  const body = JSON.stringify({ ...STATUS, ...over });
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n${headers}`;
  socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
};

/** Endless: as much as the other side takes. */
const flood = (socket: Socket) => {
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n');
  const chunk = Buffer.alloc(65_536, 0x20);
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
};

const drip = (socket: Socket) => {
  socket.write('HTTP/1.1 200 OK\r\nX-Slow: ');
  const timer = setInterval(() => void socket.write('a'), 20);
  socket.once('close', () => clearInterval(timer));
};

export const ACTS: Record<string, Act> = {
  'wrong CA': { certificate: 'wrong-ca', get: json({}) },
  'right CA, wrong SAN': { certificate: 'wrong-san', get: json({}) },
  'right CA, a wildcard SAN': { certificate: 'wildcard', get: json({}) },
  'right CA, the name as common name only': { certificate: 'name-only', get: json({}) },
  'right CA, right SAN, another key than the pinned one': {
    certificate: 'other-key',
    get: json({}),
  },
  'plain HTTP': { plain: true, get: json({}) },
  'redirect 307': { get: json({}, '307 Temporary Redirect', 'Location: https://127.0.0.1:1/\r\n') },
  'redirect 301 with a status as body': {
    get: json({}, '301 Moved', 'Location: /v1/sys/seal-status\r\n'),
  },
  'another threshold': { get: json({ t: 2 }) },
  'another number of shares': { get: json({ n: 6 }) },
  'uninitialised': { get: json({ initialized: false, t: 0, n: 0 }) },
  'migrating': { get: json({ migration: true }) },
  'recovery keys wanted': { get: json({ recovery_seal: true }) },
  'a static seal': { get: json({ type: 'static' }) },
  'an answer of 1 GB': { get: flood },
  'slow-loris': { get: drip },
  'silence': {},
  'hangs up': { get: (socket) => void socket.destroy() },
  'not HTTP': { get: (socket) => void socket.write(randomBytes(2000)) },
  'not JSON': {
    get: (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n<>'),
  },
  'JSON of other shape': { get: json({ sealed: 'yes' }) },
  'a header of 1 MB': {
    get: (socket) => void socket.write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(1e6)}\r\n\r\n`),
  },
};

export interface Impostor {
  url: string;
  /** Connections taken. */
  tries(): number;
  /** Everything received, in the clear where TLS came to stand. */
  received(): Buffer;
  close(): Promise<void>;
}

export interface Certificates {
  ca: string;
  ours: Certificate;
  by: Record<NonNullable<Act['certificate']>, Certificate>;
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = mkdtempSync(join(tmpdir(), 'impostor-'));
  const authority: Authority = await createAuthority(join(folder, 'ca'), 'ours');
  const foreign = await createAuthority(join(folder, 'foreign'), 'ours');
  const names = [`DNS:${SAN}`];
  const subject = `/CN=${SAN}`;
  const ours = await authority.issue('ours', { subject, sans: names });
  return {
    ca: authority.cert,
    ours,
    by: {
      ours,
      'wrong-ca': await foreign.issue('a', { subject, sans: names }),
      'wrong-san': await authority.issue('b', {
        subject,
        sans: ['DNS:bao-1.test', 'IP:127.0.0.1'],
      }),
      wildcard: await authority.issue('c', { subject, sans: ['DNS:*.test'] }),
      'name-only': await authority.issue('d', { subject }),
      'other-key': await authority.issue('e', { subject, sans: names }),
    },
  };
}

/** Listens on a free port of loopback and plays `act`. */
export async function startImpostor(act: Act, certificates: Certificates): Promise<Impostor> {
  const parts: Buffer[] = [];
  const sockets = new Set<Socket>();
  let tries = 0;
  const play = (socket: Socket) => {
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      parts.push(data);
      const text = data.toString('latin1');
      if (text.startsWith('GET ')) act.get?.(socket);
      else if (act.plain && !text.startsWith('POST ')) act.get?.(socket);
      else if (text.startsWith('POST ')) act.post?.(socket);
    });
  };
  const { cert, key } = certificates.by[act.certificate ?? 'ours'];
  const server: Server = act.plain ? createServer(play) : tls.createServer({ cert, key }, play);
  server.on('connection', (socket: Socket) => {
    tries++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${port}`,
    tries: () => tries,
    received: () => Buffer.concat(parts),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Every spelling in which a share could turn up. */
export function spellings(share: Uint8Array): Buffer[] {
  const raw = Buffer.from(share);
  const texts = [raw.toString('hex'), raw.toString('base64'), raw.toString('base64url')];
  const upper = raw.toString('hex').toUpperCase();
  return [
    raw,
    ...[...texts, upper].flatMap((text) => [Buffer.from(text), Buffer.from(text, 'utf16le')]),
  ];
}

export interface Attempt {
  share: Uint8Array;
  loop: ReturnType<typeof startCluster>;
  hold: Awaited<ReturnType<typeof openHold>>;
  alerts: ReturnType<typeof createAlerts>;
  stop(): Promise<void>;
}

/** A whole helper (loop, hold, pinned transport) of one share, eager, against these addresses. */
export async function startHelper(
  nodes: { id: string; url: string; spki?: string }[],
  ca: string,
  options: { idle?: number; connectTimeout?: number; san?: string } = {},
): Promise<Attempt> {
  const share = new Uint8Array(randomBytes(33));
  const state = await openDirectory(mkdtempSync(join(tmpdir(), 'impostor-state-')));
  const hold = await openHold({ state });
  const alerts = createAlerts({ helper: 'test', send: [] });
  const metrics = unsealMetrics(createMetrics('unsealer'));
  const loop = startCluster({
    id: 'vault',
    sealedTooLong: 3_600_000,
    shares: [holdShare(share.slice())],
    policy: {
      threshold: 3,
      shares: 5,
      clusterId: CLUSTER,
      coldStart: 'auto',
      poll: { idle: options.idle ?? 1, sealed: 1 },
      budget: { perHour: 1000, backoff: { first: 5, max: 50 } },
      progressTimeout: 500,
      held: 1,
    },
  }, { hold, alerts, metrics, elected: () => false });
  for (const { id, url, spki } of nodes) {
    loop.add({
      id,
      connect: (onClose) =>
        connectNode({ url, ca, spki, san: options.san ?? SAN, onClose, connectTimeout: 200 }),
    });
  }
  return { share, loop, hold, alerts, stop: () => loop.stop() };
}
