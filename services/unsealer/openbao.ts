/** The three calls of OpenBao's API that unsealing needs. What it answers is untrusted input. */
import { z } from 'zod';
import { AppError } from '@hackspace/kit/errors.ts';
import type { Observation, SealStatus } from './decide.ts';
import { type Answer, createPinned, type PinnedOptions, TransportError } from './pinned.ts';
import type { HeldShare } from './shares.ts';

/** What came of a share: the new status, or why it was refused. */
export type Sent =
  | { kind: 'answered'; seal: SealStatus; connection: number }
  /** The server said no; all shares of the set are gone. */
  | { kind: 'refused'; reason: string }
  | Exclude<Observation, { kind: 'answered' }>;

export interface BaoNode {
  look(): Promise<Observation>;
  /** `gate` throws to stop the send at the last moment, after the server proved who it is. */
  send(share: HeldShare, gate: () => void): Promise<Sent>;
  reset(gate: () => void): Promise<Sent>;
  close(): void;
}

const STATUS = z.object({
  type: z.string().max(64),
  initialized: z.boolean(),
  sealed: z.boolean(),
  t: z.number().int().min(0).max(255),
  n: z.number().int().min(0).max(255),
  progress: z.number().int().min(0).max(255),
  nonce: z.string().max(128).default(''),
  version: z.string().max(64).default(''),
  migration: z.boolean().default(false),
  recovery_seal: z.boolean().default(false),
  cluster_id: z.string().max(128).optional(),
});
const ERRORS = z.object({ errors: z.array(z.string()) });

/** Refusals whose texts we know; anything else of the server's is not repeated. */
const REFUSALS: [RegExp, string][] = [
  [/failed to decrypt keys|compute combined key|duplicate part/, 'the set held a wrong share'],
  [/not initialized/, 'not initialised'],
  [/migration/, 'a seal migration is pending'],
  [/must be a valid hex|longer than maximum|shorter than minimum/, 'the share is ill-formed'],
  [/is unsealed/, 'it is unsealed'],
];

export function connectNode(options: PinnedOptions): BaoNode {
  const pinned = createPinned(options);
  const json = { 'Content-Type': 'application/json' };

  async function post(body: Uint8Array, gate: () => void): Promise<Sent> {
    try {
      const path = '/v1/sys/unseal';
      // The last share of a first join takes up to about 2 s.
      const ask = { method: 'POST', path, headers: json, body, gate, timeout: 10_000 };
      const answer = await pinned.ask(ask);
      if (answer.status === 400 || answer.status === 500) {
        return { kind: 'refused', reason: refusalOf(answer) };
      }
      return read(answer);
    } catch (error) {
      return trouble(error);
    }
  }

  return {
    async look() {
      try {
        return read(await pinned.ask({ method: 'GET', path: '/v1/sys/seal-status' }));
      } catch (error) {
        return trouble(error);
      }
    },
    send: (share, gate) =>
      share.use(async (clear) => {
        const body = shareBody(clear);
        try {
          return await post(body, gate);
        } finally {
          body.fill(0);
        }
      }),
    reset: (gate) => post(new TextEncoder().encode('{"reset":true}'), gate),
    close: () => pinned.close(),
  };
}

/** `{"key":"<hex>"}` as bytes: a string could not be zeroed. */
export function shareBody(share: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode('{"key":"');
  // Of its own memory, not of a pool that others share.
  const body = new Uint8Array(head.length + share.length * 2 + 2);
  body.set(head);
  let at = head.length;
  for (const byte of share) {
    for (const digit of [byte >> 4, byte & 15]) body[at++] = digit + (digit < 10 ? 0x30 : 0x57);
  }
  body.set([0x22, 0x7d], at);
  return body;
}

function read(answer: Answer): Extract<Observation, { kind: 'answered' | 'nonsense' }> {
  if (answer.status >= 300 && answer.status < 400) {
    return { kind: 'nonsense', reason: `it answered ${answer.status}, a redirect: not followed` };
  }
  if (answer.status !== 200) return { kind: 'nonsense', reason: `it answered ${answer.status}` };
  const result = STATUS.safeParse(parse(answer.body));
  if (!result.success) return { kind: 'nonsense', reason: 'its answer is not a seal status' };
  const { cluster_id, recovery_seal, ...rest } = result.data;
  const seal = { ...rest, recoverySeal: recovery_seal, clusterId: cluster_id };
  return { kind: 'answered', seal, connection: answer.connection };
}

function refusalOf(answer: Answer): string {
  const result = ERRORS.safeParse(parse(answer.body));
  const text = result.success ? result.data.errors.join(' ') : '';
  const known = REFUSALS.find(([pattern]) => pattern.test(text))?.[1];
  return known ?? `it answered ${answer.status}`;
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

function trouble(error: unknown): Exclude<Observation, { kind: 'answered' }> {
  if (error instanceof TransportError) return { kind: error.kind, reason: error.message };
  if (error instanceof AppError) throw error;
  // The error itself is not passed on: what it carries is not ours to know.
  return { kind: 'down', reason: 'the request failed' };
}
