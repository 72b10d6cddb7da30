/**
 * A SIMULATOR of OpenBao's unsealing, named one: not OpenBao. For benches of many clusters and for a
 * demonstration on one machine. `simulator.contract.ts` holds it against the real server.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface SimulatorOptions {
  nodes: number;
  threshold?: number;
  shares?: number;
  /** PEM; the certificate must carry every name the nodes are asked for. */
  cert: string;
  key: string;
  /** Milliseconds from a start until a node listens; 150 as measured of the real one. */
  startMs?: number;
}

export interface SimulatedNode {
  readonly id: string;
  readonly url: string;
  sealed(): boolean;
  /** Resolves when it listens, sealed. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Milliseconds from the last `start` to the moment it was unsealed. */
  openedAfter(): number | undefined;
}

export interface Simulator {
  readonly nodes: SimulatedNode[];
  readonly clusterId: string;
  /** Hex. */
  readonly keys: string[];
  stop(): Promise<void>;
}

interface Core {
  threshold: number;
  shares: number;
  clusterId: string;
  keys: Set<string>;
  options: SimulatorOptions;
}

/** Starts `nodes` nodes of one cluster on free ports of loopback, sealed. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { threshold = 3, shares = 5 } = options;
  const keys = Array.from({ length: shares }, () => randomBytes(33).toString('hex'));
  const core = { threshold, shares, clusterId: randomUUID(), keys: new Set(keys), options };
  const nodes = await Promise.all(
    Array.from({ length: options.nodes }, async (_, n) => {
      const node = new Node(`sim-${n}`, core);
      await node.start();
      return node;
    }),
  );
  return {
    nodes,
    clusterId: core.clusterId,
    keys,
    stop: async () => void await Promise.all(nodes.map((node) => node.stop())),
  };
}

class Node implements SimulatedNode {
  readonly id: string;
  #port = 0;
  #server: Server | undefined;
  #sockets = new Set<Socket>();
  #sealed = true;
  #parts: string[] = [];
  #nonce = '';
  #started = 0;
  #opened: number | undefined;
  readonly #core: Core;

  constructor(id: string, core: Core) {
    this.id = id;
    this.#core = core;
  }

  get url() {
    return `https://127.0.0.1:${this.#port}`;
  }
  sealed() {
    return this.#sealed;
  }
  openedAfter() {
    return this.#opened === undefined ? undefined : this.#opened - this.#started;
  }

  async start(): Promise<void> {
    this.#started = performance.now();
    this.#opened = undefined;
    this.#sealed = true;
    this.#forget();
    const { cert, key, startMs = 150 } = this.#core.options;
    await new Promise((resolve) => setTimeout(resolve, startMs));
    const server = createServer(
      { cert, key },
      (request, response) => this.#serve(request, response),
    );
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => server ? server.close(resolve) : resolve(undefined));
  }

  #forget() {
    this.#parts = [];
    this.#nonce = '';
  }

  #status() {
    const { threshold, shares, clusterId } = this.#core;
    return {
      type: 'shamir',
      initialized: true,
      sealed: this.#sealed,
      t: threshold,
      n: shares,
      progress: this.#parts.length,
      nonce: this.#nonce,
      version: 'simulator',
      build_date: '1970-01-01T00:00:00Z',
      migration: false,
      recovery_seal: false,
      storage_type: 'simulator',
      ...(this.#sealed ? {} : { cluster_name: 'simulated', cluster_id: clusterId }),
    };
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const answer = (status: number, body: unknown) => {
      const text = JSON.stringify(body) + '\n';
      response.writeHead(status, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
      });
      response.end(text);
    };
    const path = request.url?.split('?')[0];
    if (path === '/v1/sys/seal-status' && request.method === 'GET') {
      return answer(200, this.#status());
    }
    if (path === '/v1/sys/health') return answer(this.#sealed ? 503 : 200, this.#status());
    if (path !== '/v1/sys/unseal') return answer(this.#sealed ? 503 : 404, { errors: [] });
    if (request.method !== 'POST' && request.method !== 'PUT') return answer(405, { errors: [] });
    const parts: Uint8Array[] = [];
    request.on('data', (part: Uint8Array) => parts.push(part));
    request.on('end', () => {
      const [status, body] = this.#unseal(Buffer.concat(parts).toString());
      answer(status, body);
    });
  }

  #unseal(text: string): [number, unknown] {
    const refuse = (reason: string): [number, unknown] => [400, { errors: [reason] }];
    let body: { key?: unknown; reset?: unknown };
    try {
      body = JSON.parse(text);
    } catch {
      return refuse('failed to parse JSON input: unexpected EOF');
    }
    if (body.reset === true) {
      if (!this.#sealed) return refuse('vault is unsealed');
      this.#forget();
      return [200, this.#status()];
    }
    if (typeof body.key !== 'string' || body.key === '') {
      return refuse("'key' must be specified in request body as JSON, or 'reset' set to true");
    }
    const hex = /^([0-9a-f]{2})+$/i.test(body.key);
    const share = Buffer.from(body.key, hex ? 'hex' : 'base64');
    if (!hex && !/^[A-Za-z0-9+/]+=*$/.test(body.key) || share.length < 16) {
      return refuse("'key' must be a valid hex or base64 string");
    }
    if (share.length > 33) return refuse('invalid key: key is longer than maximum 33 bytes');
    if (!this.#sealed) return [200, this.#status()];
    const part = share.toString('hex');
    if (!this.#parts.includes(part)) {
      this.#nonce ||= randomUUID();
      this.#parts.push(part);
    }
    if (this.#parts.length < this.#core.threshold) return [200, this.#status()];
    const right = this.#parts.every((each) => this.#core.keys.has(each));
    this.#forget();
    if (!right) {
      return refuse(
        'unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: ' +
          'cipher: message authentication failed',
      );
    }
    this.#sealed = false;
    this.#opened = performance.now();
    return [200, this.#status()];
  }
}
