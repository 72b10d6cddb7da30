import type { Hono } from 'hono';
import { type ClientResponse, hc } from 'hono/client';
import { AppError } from './errors.ts';
import type { Secret } from './secret.ts';

export interface ClientOptions {
  /** How messages call the other side: `ics-proxy`, `the unsealer`. */
  name: string;
  url: string;
  token?: Secret | undefined;
  /** For one call, its body included, in milliseconds (default 10,000). */
  timeoutMs?: number;
  /** Largest answer that is read, in bytes (default 1 MiB). */
  maxBytes?: number;
}

/**
 * A client of one of our own APIs. `A` is the type of the service's app, so paths, bodies and answers are
 * those of its schema; it is imported as a type alone, nothing of the other service runs here. A time-out
 * and a cap on each call, no redirects, no retries. Path parameters go in encoded. Any status is an
 * answer; no answer throws AppError `unavailable` without the URL. What an answer holds is as the types
 * say only as long as both sides are of one version: check what matters.
 */
// deno-lint-ignore no-explicit-any -- as hono's own `hc` has it
export function apiClient<A extends Hono<any, any, any>>(
  options: ClientOptions,
): ReturnType<typeof hc<A>> {
  const { name, url, token, timeoutMs = 10_000, maxBytes = 1024 * 1024 } = options;
  return hc<A>(url, {
    headers: (): Record<string, string> => ({
      accept: 'application/json',
      ...(token ? { authorization: `Bearer ${token.reveal()}` } : {}),
    }),
    async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const response = await fetch(input, { ...init, signal, redirect: 'manual' });
        const text = await readCapped(response, maxBytes);
        const { status, headers } = response;
        return new Response(text === '' ? null : text, { status, headers });
      } catch (cause) {
        if (cause instanceof AppError) throw cause;
        const slow = signal.aborted ? 'it took too long' : 'it does not answer';
        throw new AppError('unavailable', `Cannot reach ${name}: ${slow}`, { cause });
      }
    },
  });
}

/** The body of a good answer. Throws AppError `unavailable` with what the service said instead. */
export async function bodyOf<R extends ClientResponse<unknown, number, string>>(
  attempt: string,
  asked: Promise<R>,
): Promise<Awaited<ReturnType<Extract<R, { ok: true }>['json']>>> {
  const answer = await asked;
  const body = await answer.json().catch(() => undefined);
  if (answer.ok) return body as never;
  const { detail } = (body ?? {}) as { detail?: unknown };
  const why = typeof detail === 'string' ? detail : `it answered ${answer.status}`;
  throw new AppError('unavailable', `Cannot ${attempt}: ${why}`);
}

/** A body as text. Throws AppError `unavailable` past `max` bytes, having read no more. */
export async function readCapped(response: Response, max: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > max) {
      await response.body?.cancel().catch(() => {});
      throw new AppError('unavailable', 'Cannot read an answer: it is too large');
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
