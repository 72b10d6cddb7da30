import { BlockList, isIP } from 'node:net';
import { basic, bearer, type RateLimit, rateLimit, sha256 } from '@hackspace/kit/guard.ts';
import { looksLikeToken, type TokenRecord, type Tokens } from './tokens.ts';

/** What a request shows of its sender. All of it untrusted but `peer`. */
export interface Credentials {
  /** `?token=`, if there. */
  query?: string | undefined;
  authorization?: string | undefined;
}

/** The presented token: query first, then Bearer, then the password of Basic; `''` when none. */
export function presentedToken(credentials: Credentials): string {
  const { query, authorization } = credentials;
  if (query !== undefined) return query;
  if (authorization === undefined) return '';
  return bearer(authorization) ?? basic(authorization)?.password ?? '';
}

export type Admission =
  | { ok: true; record: TokenRecord }
  /** Wrong in some way that is not told; `retryAfter` in seconds when tried too often. */
  | { ok: false; retryAfter?: number };

export interface Access {
  /** No I/O: the record of a token that is good for this feed right now. */
  quick(feed: string, token: string): TokenRecord | undefined;
  /**
   * As `quick`, but looks into the state for what another process just wrote, and counts failures by
   * address and by token. Every kind of wrong takes the same steps: hash, look up, read, count.
   */
  admit(feed: string, token: string, address: string): Promise<Admission>;
}

export interface AccessOptions {
  tokens: Tokens;
  hasFeed: (id: string) => boolean;
  perAddress?: RateLimit;
  perToken?: RateLimit;
}

const NO_TOKEN = '0'.repeat(64);

/**
 * A right token always passes, however many wrong ones came from its address: guessing 256 bits is
 * hopeless, and importers such as Google's share their addresses among all their users.
 */
export function createAccess(options: AccessOptions): Access {
  const { tokens, hasFeed } = options;
  const perAddress = options.perAddress ?? rateLimit({ points: 60, perMs: 60_000 });
  const perToken = options.perToken ?? rateLimit({ points: 20, perMs: 600_000 });

  function good(record: TokenRecord | undefined, feed: string): record is TokenRecord {
    return record !== undefined && record.feed === feed && hasFeed(feed);
  }
  return {
    quick(feed, token) {
      const record = tokens.find(token);
      return good(record, feed) ? record : undefined;
    },
    async admit(feed, token, address) {
      // What cannot be a token is looked up all the same, as one that nobody has.
      const asked = looksLikeToken(token) ? token : NO_TOKEN;
      const known = tokens.find(asked);
      if (good(known, feed)) return { ok: true, record: known };
      const group = addressGroup(address);
      const byAddress = perAddress.take(group);
      // What is no token at all belongs to whoever sent it, not to everyone who sends none.
      const byToken = perToken.take(asked === token ? sha256(token) : `${group} none`);
      if (!byAddress.ok || !byToken.ok) {
        return { ok: false, retryAfter: Math.max(byAddress.retryAfter, byToken.retryAfter, 1) };
      }
      const fresh = await tokens.refetch(asked);
      return good(fresh, feed) ? { ok: true, record: fresh } : { ok: false };
    },
  };
}

/** An IPv6 customer has a whole /64: it counts as one address. */
function addressGroup(address: string): string {
  if (isIP(address) !== 6) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail === undefined ? [] : tail.split(':').filter(Boolean);
  const full = [...left, ...Array(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return full.slice(0, 4).join(':');
}

export type TrustedProxies = BlockList;

/** CIDRs of the reverse proxies whose `X-Forwarded-For` is believed. */
export function trustedProxies(cidrs: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return list;
}

/** The nearest address that is not a trusted proxy's: from the right of `X-Forwarded-For`. */
export function clientAddress(
  peer: string | undefined,
  forwarded: string | undefined,
  trusted: TrustedProxies,
): string {
  const isTrusted = (address: string) =>
    isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  let address = peer ?? 'unknown';
  if (forwarded === undefined || !isTrusted(address)) return address;
  for (const hop of forwarded.slice(-1000).split(',').reverse()) {
    const next = hop.trim();
    if (isIP(next) === 0) return address;
    address = next;
    if (!isTrusted(address)) return address;
  }
  return address;
}
