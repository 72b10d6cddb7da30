/** Requests to peers over node:http(s), for what fetch cannot do: an own CA, a client certificate, a raw answer. */
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  /** Objects are sent as JSON. */
  body?: unknown;
  ca?: string;
  cert?: string;
  key?: string;
  /** Server name for TLS, where it differs from the host. */
  servername?: string;
  /** Default 10,000 milliseconds, for the whole exchange. */
  timeoutMs?: number;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** Parsed on call; throws with the beginning of the text when it is no JSON. */
  // deno-lint-ignore no-explicit-any -- the shape is the peer's
  json(): any;
}

const MAX_BYTES = 32 * 1024 * 1024;

/** One request; any status is an answer. Rejects when there is none, or more than 32 MiB of it. */
export function ask(url: string, options: Ask = {}): Promise<Answer> {
  const { method = 'GET', timeoutMs = 10_000, ca, cert, key, servername } = options;
  const json = options.body !== undefined && typeof options.body !== 'string';
  const body = json ? JSON.stringify(options.body) : options.body as string | undefined;
  const headers = {
    ...(json ? { 'content-type': 'application/json' } : {}),
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...options.headers,
  };
  const target = new URL(url);
  const request = target.protocol === 'https:' ? secure : plain;
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((done, fail) => {
    const tls = { ca, cert, key, ...(servername ? { servername } : {}) };
    const asked = request(target, { method, headers, signal, agent: false, ...tls }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BYTES) asked.destroy(new Error(`Cannot read ${target.origin}: too long`));
      });
      response.on('error', fail);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        done({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => parse(text, `${method} ${target.pathname}`),
        });
      });
    });
    asked.on('error', fail);
    asked.end(body);
  });
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`Cannot read the answer to ${what}: no JSON: ${text.slice(0, 200)}`);
  }
}

/** The status, or 0 when nobody answers: for readiness polls. */
export async function statusOf(url: string, options: Ask = {}): Promise<number> {
  return await ask(url, { timeoutMs: 2_000, ...options }).then((answer) => answer.status, () => 0);
}
