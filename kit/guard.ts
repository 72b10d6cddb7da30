import { createHash, hash, timingSafeEqual } from 'node:crypto';

/** SHA-256 as lowercase hex: how tokens are kept at rest and looked up. */
export function sha256(value: string | Uint8Array): string {
  return hash('sha256', value);
}

/** Past so many octets the way to another thread costs less than the hash. */
const AT_ONCE = 64 * 1024;

/** As `sha256`, but what takes long does not hold up this thread. */
export async function sha256Later(value: Uint8Array): Promise<string> {
  if (value.length <= AT_ONCE) return sha256(value);
  const digest = await crypto.subtle.digest('SHA-256', value as Uint8Array<ArrayBuffer>);
  return Buffer.from(digest).toString('hex');
}

/** Equality of two secrets in time that tells neither content nor length. */
export function equalSecret(a: string | Uint8Array, b: string | Uint8Array): boolean {
  const digest = (value: string | Uint8Array) => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** The token of `Authorization: Bearer …` (RFC 6750), or undefined. Untrusted input. */
export function bearer(header: string | null | undefined): string | undefined {
  return header?.match(/^Bearer +([\w.~+/-]{1,8192}=*) *$/i)?.[1];
}

/** User and password of `Authorization: Basic …` (RFC 7617), or undefined. Untrusted input. */
export function basic(
  header: string | null | undefined,
): { user: string; password: string } | undefined {
  const encoded = header?.match(/^Basic +([A-Za-z0-9+/]{1,8192}=*) *$/i)?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

export interface RateLimit {
  /** Spends one point of `key`; `retryAfter` in seconds when none is left. */
  take(key: string): { ok: boolean; retryAfter: number };
  /** Whether `key` has points left, without spending one. */
  peek(key: string): { ok: boolean; retryAfter: number };
}

export interface RateLimitOptions {
  points: number;
  perMs: number;
  /** Keys remembered at most (default 10,000): the longest untouched go first. */
  maxKeys?: number;
  now?: () => number;
}

/** A token bucket a key: `points` at once, refilled evenly over `perMs`. Memory is bounded. */
export function rateLimit(options: RateLimitOptions): RateLimit {
  const { points, perMs, maxKeys = 10_000, now = Date.now } = options;
  const buckets = new Map<string, { left: number; at: number }>();

  function current(key: string): { left: number; at: number } {
    const t = now();
    const bucket = buckets.get(key);
    if (!bucket) return { left: points, at: t };
    const refill = Math.max(0, t - bucket.at) * points / perMs;
    return { left: Math.min(points, bucket.left + refill), at: t };
  }
  function answer(left: number) {
    const retryAfter = left >= 1 ? 0 : Math.ceil((1 - left) * perMs / points / 1000);
    return { ok: left >= 1, retryAfter };
  }
  return {
    peek: (key) => answer(current(key).left),
    take(key) {
      const bucket = current(key);
      const result = answer(bucket.left);
      if (result.ok) bucket.left -= 1;
      buckets.delete(key);
      buckets.set(key, bucket);
      if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value!);
      return result;
    },
  };
}
