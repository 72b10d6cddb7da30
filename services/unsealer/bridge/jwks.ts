/**
 * Keeps the downstream cluster's signing keys pinned in the upstream's jwt auth. A key the
 * downstream no longer shows stays for `overlap`, so that tokens it signed live out their time.
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { StalledError } from '@hackspace/kit/errors.ts';
import type { State } from '@hackspace/kit/state.ts';
import { type Ends, insist } from './api.ts';

const JWKS = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(50) });
const SEEN = z.record(z.string(), z.number());
const CONFIG = z.object({
  data: z.looseObject({
    jwt_validation_pubkeys: z.array(z.string()).nullish(),
    bound_issuer: z.string().nullish(),
    default_role: z.string().nullish(),
    jwt_supported_algs: z.array(z.string()).nullish(),
    status: z.string().nullish(),
  }),
});

/** The downstream's public keys as PEM, sorted. Symmetric keys and ill-formed ones are refused. */
export function pemOf(jwks: unknown): string[] {
  const { keys } = JWKS.parse(jwks);
  return keys.map((key) => {
    if (!['RSA', 'EC', 'OKP'].includes(key.kty)) {
      throw new StalledError(`Cannot pin keys: one is of type ${key.kty}`);
    }
    const made = createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return made.export({ type: 'spki', format: 'pem' }) as string;
  }).sort();
}

/** PEM compares by content, not by line ends. */
export const plain = (pem: string) => pem.replaceAll(/\s+/g, '');

/** Which keys are to be pinned: those shown now, and those seen within the overlap. Pure. */
export function plan(
  shown: string[],
  pinned: string[],
  seen: Record<string, number>,
  overlap: number,
  now: number,
): { keys: string[]; seen: Record<string, number> } {
  const next: Record<string, number> = {};
  // What was pinned before us counts from now.
  for (const pem of pinned) next[plain(pem)] = seen[plain(pem)] ?? now;
  for (const pem of shown) next[plain(pem)] = now;
  const text = new Map([...pinned, ...shown].map((pem) => [plain(pem), pem.trim() + '\n']));
  // A clock set back must not age a key: whatever lies in the future was just seen.
  const alive = Object.entries(next).filter(([, at]) => now - Math.min(at, now) <= overlap);
  return {
    keys: alive.map(([id]) => text.get(id)!).sort(),
    seen: Object.fromEntries(alive.map(([id, at]) => [id, Math.min(at, now)])),
  };
}

export interface Pinned {
  changed: boolean;
  keys: number;
  /** How many of them the downstream no longer shows. */
  old: number;
}

/** One round. Throws StalledError when the downstream shows no key: nothing is ever unpinned by that. */
export async function syncKeys(ends: Ends, state: State, now = Date.now()): Promise<Pinned> {
  const { jwt } = ends.config;
  if (!jwt) throw new StalledError(`Cannot pin keys of ${ends.id}: it has no jwt`);
  const shown = pemOf(await insist(ends.downstream, 'GET', '/openid/v1/jwks'));
  if (shown.length === 0) throw new StalledError(`Cannot pin keys of ${ends.id}: it shows none`);
  const path = `/v1/auth/${jwt.mount}/config`;
  const current = await ends.upstream.ask('GET', path);
  const config = current.status === 200 ? CONFIG.parse(current.body).data : undefined;
  const pinned = config?.jwt_validation_pubkeys ?? [];
  const key = `bridges/${ends.id}/keys`;
  const kept = await state.get(key);
  const seen = kept ? SEEN.parse(JSON.parse(new TextDecoder().decode(kept))) : {};
  const next = plan(shown, pinned, seen, jwt.overlap, now);
  const set = (keys: string[]) => keys.map(plain).sort().join();
  const changed = set(pinned) !== set(next.keys) || config?.bound_issuer !== jwt.issuer;
  if (changed) {
    // Written whole: what a write leaves out is cleared.
    await insist(ends.upstream, 'POST', path, {
      jwt_validation_pubkeys: next.keys,
      bound_issuer: jwt.issuer,
      ...(config?.default_role ? { default_role: config.default_role } : {}),
      ...(config?.jwt_supported_algs?.length
        ? { jwt_supported_algs: config.jwt_supported_algs }
        : {}),
    });
  }
  await state.set(key, JSON.stringify(next.seen));
  const shownNow = new Set(shown.map(plain));
  const old = next.keys.filter((pem) => !shownNow.has(plain(pem))).length;
  return { changed, keys: next.keys.length, old };
}
