import { readCapped } from '@hackspace/kit/client.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import ky, { type KyInstance } from 'ky';

export interface JsonClientOptions {
  /** How messages call the other side: `Keycloak`, `the forge`. */
  name: string;
  url: string;
  headers?: () => Record<string, string> | Promise<Record<string, string>>;
  /** Largest answer that is read (default 4 MiB). */
  maxBytes?: number;
  /** For one call, its body included (default 10,000). */
  timeoutMs?: number;
}

export interface JsonAnswer {
  status: number;
  /** The parsed body; undefined when it is not JSON. Untrusted: check it with a schema. */
  json: unknown;
}

export interface JsonClient {
  get(path: string, headers?: Record<string, string>): Promise<JsonAnswer>;
  /** A plain object goes as JSON, URLSearchParams as a form, a string as it is. */
  post(
    path: string,
    body: object | URLSearchParams | string,
    headers?: Record<string, string>,
  ): Promise<JsonAnswer>;
}

/**
 * Calls to one HTTP API: a time-out and a size cap on each, no redirects, no retries of its own.
 * Any status is an answer; what is no answer throws AppError `unavailable` without the URL.
 */
export function jsonClient(options: JsonClientOptions): JsonClient {
  const client: KyInstance = ky.create({
    retry: 0,
    throwHttpErrors: false,
    redirect: 'manual',
    timeout: false,
  });
  const base = options.url.replace(/\/+$/, '');
  async function call(path: string, init: Record<string, unknown>): Promise<JsonAnswer> {
    const signal = AbortSignal.timeout(options.timeoutMs ?? 10_000);
    try {
      const headers = {
        accept: 'application/json',
        ...await options.headers?.(),
        ...(init.headers as Record<string, string> | undefined),
      };
      const url = path === '' ? base : `${base}/${path}`;
      const response = await client(url, { ...init, headers, signal });
      const text = await readCapped(response, options.maxBytes ?? 4 * 1024 * 1024);
      return { status: response.status, json: parseJson(text) };
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      const slow = signal.aborted ? 'it took too long' : 'it does not answer';
      throw new AppError('unavailable', `Cannot reach ${options.name}: ${slow}`, { cause });
    }
  }
  return {
    get: (path, headers = {}) => call(path, { method: 'get', headers }),
    post: (path, body, headers = {}) => {
      if (body instanceof URLSearchParams || typeof body === 'string') {
        return call(path, { method: 'post', body, headers });
      }
      return call(path, { method: 'post', json: body, headers });
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
