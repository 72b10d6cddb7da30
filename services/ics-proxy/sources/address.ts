import ipaddr from 'ipaddr.js';
import { Fault } from './fault.ts';

/**
 * What a source may reach beyond public addresses. `true`: loopback, private, carrier-grade NAT and
 * unique-local; NOT link-local, where clouds keep their metadata service. A list: these CIDRs alone.
 */
export type Grant = boolean | readonly string[];

type Address = ipaddr.IPv4 | ipaddr.IPv6;

const WIDE_GRANT = new Set(['loopback', 'private', 'carrierGradeNat', 'uniqueLocal']);
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3');
const COMPATIBLE_V6 = ipaddr.IPv6.parseCIDR('::/96');
const NAT64_LOCAL = ipaddr.IPv6.parseCIDR('64:ff9b:1::/48');

export type Decision = { allowed: true } | { allowed: false; why: string };

/**
 * Whether a source may connect to `literal`, an address as a resolver gives it (untrusted).
 * Public unicast is allowed; all else only by grant. Addresses that carry an IPv4 address inside
 * (mapped, NAT64, 6to4, Teredo) are judged by what they carry.
 */
export function judge(literal: string, grant: Grant): Decision {
  const text = literal.replace(/^\[|\]$/g, '');
  if (!ipaddr.isValid(text)) return { allowed: false, why: 'address is malformed' };
  const address = ipaddr.parse(text);
  // Every address it stands for has to pass: itself where it is no wrapper, else all inside.
  for (const inner of unwrap(address)) {
    const range = rangeOf(inner);
    if (range !== 'unicast' && !granted(inner, range, grant)) {
      return { allowed: false, why: `address is ${WORDS[range] ?? 'reserved'}` };
    }
  }
  return { allowed: true };
}

const WORDS: Record<string, string> = {
  loopback: 'loopback',
  private: 'private',
  linkLocal: 'link-local',
  carrierGradeNat: 'carrier-grade NAT',
  uniqueLocal: 'unique-local',
  multicast: 'multicast',
  broadcast: 'broadcast',
  unspecified: 'unspecified',
};

function rangeOf(address: Address): string {
  const range = address.range();
  if (address.kind() === 'ipv4') return range;
  const v6 = address as ipaddr.IPv6;
  return range === 'unicast' && !v6.match(GLOBAL_V6) ? 'reserved' : range;
}

function unwrap(address: Address): Address[] {
  if (address.kind() === 'ipv4') return [address];
  const v6 = address as ipaddr.IPv6;
  const bytes = v6.toByteArray();
  const at = (offset: number, flip = 0) =>
    new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ flip));
  switch (v6.range()) {
    case 'ipv4Mapped':
    case 'rfc6145':
      return [at(12)];
    case 'rfc6052':
      return v6.match(NAT64_LOCAL) ? [v6, at(12)] : [at(12)];
    case '6to4':
      return [at(2)];
    case 'teredo': // the server's address, and the client's with its bits flipped (RFC 4380, 4)
      return [at(4), at(12, 0xff)];
    case 'loopback':
    case 'unspecified':
      return [v6];
  }
  return v6.match(COMPATIBLE_V6) ? [at(12)] : [v6];
}

function granted(address: Address, range: string, grant: Grant): boolean {
  if (typeof grant === 'boolean') return grant && WIDE_GRANT.has(range);
  return grant.some((cidr) => {
    const [network, bits] = ipaddr.parseCIDR(cidr);
    return network.kind() === address.kind() && address.match([network, bits] as never);
  });
}

/** `10.0.0.0/8` or `fd00::/8`; a single address without a prefix length is not taken. */
export function isCidr(text: string): boolean {
  return ipaddr.isValidCIDR(text);
}

export interface Resolved {
  address: string;
  family: 4 | 6;
}

/** Every address of a host name, in the order to try them. */
export type Lookup = (hostname: string) => Promise<Resolved[]>;

/**
 * The literal addresses a connection to `url` may be made to; the caller connects to these and
 * never asks the resolver again. ONE refused address refuses the host: an answer that mixes public
 * and private addresses is how rebinding looks. Throws Fault, stalled when refused.
 */
export async function admit(url: URL, grant: Grant, lookup: Lookup): Promise<Resolved[]> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host === '') throw new Fault('host name is empty', { stalled: true });
  const literal = ipaddr.isValid(host);
  const found: Resolved[] = literal
    ? [{ address: host, family: host.includes(':') ? 6 : 4 }]
    : (await lookup(host)).slice(0, 16);
  if (found.length === 0) throw new Fault('host name is unknown');
  for (const { address } of found) {
    const decision = judge(address, grant);
    if (!decision.allowed) {
      throw new Fault(`${decision.why}; allow it with allowPrivate`, { stalled: true });
    }
  }
  return found;
}
