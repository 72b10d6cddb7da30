import { createHash, randomBytes } from 'node:crypto';
import type { Secret } from '@hackspace/kit/config.ts';
import type { Credentials } from './auth.ts';
import { Fault } from './fault.ts';

/** A challenge's scheme, in lower case, and its parameters. */
export interface Challenge {
  scheme: string;
  params: Map<string, string>;
}

/**
 * The challenges of `WWW-Authenticate` (RFC 9110, 11.6.1), in one pass. Untrusted: what does not
 * fit the grammar is skipped.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const token = /[\w!#$%&'*+.^`|~-]+/y;
  const text = header.slice(0, 16_384);
  let at = 0;
  const skip = (set: string) => {
    while (at < text.length && set.includes(text[at]!)) at++;
  };
  const read = () => {
    token.lastIndex = at;
    const found = token.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  while (at < text.length) {
    skip(' \t,');
    const name = read();
    if (name === undefined) {
      at++;
      continue;
    }
    const afterName = at;
    skip(' \t');
    if (text[at] !== '=' || challenges.length === 0) {
      at = afterName;
      challenges.push({ scheme: name.toLowerCase(), params: new Map() });
      continue;
    }
    at++;
    skip(' \t');
    challenges.at(-1)!.params.set(name.toLowerCase(), text[at] === '"' ? quoted() : read() ?? '');
  }
  return challenges;

  function quoted(): string {
    const parts: string[] = [];
    for (at++; at < text.length && text[at] !== '"'; at++) {
      if (text[at] === '\\') at++;
      parts.push(text[at] ?? '');
    }
    at++;
    return parts.join('');
  }
}

interface Session {
  realm: string;
  nonce: string;
  opaque: string | undefined;
  /** As the server wrote it; absent when it named none. */
  algorithm: string | undefined;
  hash: 'sha256' | 'md5';
  session: boolean;
  qop: boolean;
  userhash: boolean;
  /** The server said `charset=UTF-8`. */
  utf8: boolean;
  count: number;
  accepted: boolean;
  cnonce: string;
}

const HASHES: Record<string, Session['hash']> = { 'MD5': 'md5', 'SHA-256': 'sha256' };
const STRENGTH = ['md5', 'sha256'];

/**
 * Digest access authentication (RFC 7616; RFC 2069 servers without qop too). The strongest algorithm
 * offered is used; a server that offers Basic beside or instead of it never gets the password.
 */
export function createDigest(
  username: string,
  password: Secret,
  newCnonce: () => string = () => randomBytes(16).toString('hex'),
): Credentials {
  let session: Session | undefined;

  return {
    header(method, url) {
      if (!session) return undefined;
      session.count++;
      return authorize(session, username, password.reveal(), method, url.pathname + url.search);
    },
    challenged(header) {
      const offers = parseChallenges(header ?? '');
      const best = strongest(offers);
      if (!best) {
        const basic = offers.some((offer) => offer.scheme === 'basic');
        throw new Fault(
          basic
            ? 'server offers Basic only, and the config says digest'
            : 'server offers no Digest that can be answered',
          { stalled: true },
        );
      }
      const stale = best.params.get('stale')?.toLowerCase() === 'true';
      // A nonce that was never accepted and is not too old: it is the credentials that are wrong.
      // One that was accepted before may have been forgotten by a server that does not say stale.
      if (session && !session.accepted && !stale) {
        session = undefined;
        return false;
      }
      session = open(best, newCnonce());
      return true;
    },
    accepted(info) {
      const line = Array.isArray(info) ? info.join(', ') : info;
      if (!session) return;
      session.accepted = true;
      const next = parseChallenges(`info ${line ?? ''}`)[0]?.params.get('nextnonce');
      if (next) session = { ...session, nonce: next, count: 0, cnonce: newCnonce() };
    },
  };
}

function strongest(offers: Challenge[]): Challenge | undefined {
  return offers
    .filter((offer) => offer.scheme === 'digest' && usable(offer))
    .sort((a, b) => STRENGTH.indexOf(hashOf(b)!) - STRENGTH.indexOf(hashOf(a)!))[0];
}

function usable({ params }: Challenge): boolean {
  const qop = params.get('qop');
  return Boolean(params.get('nonce')) && params.has('realm') &&
    hashOf({ scheme: 'digest', params }) !== undefined &&
    (qop === undefined || qop.split(',').some((word) => word.trim().toLowerCase() === 'auth'));
}

function hashOf({ params }: Challenge): Session['hash'] | undefined {
  const name = (params.get('algorithm') ?? 'MD5').toUpperCase().replace(/-SESS$/, '');
  return Object.hasOwn(HASHES, name) ? HASHES[name] : undefined;
}

function open(challenge: Challenge, cnonce: string): Session {
  const { params } = challenge;
  const algorithm = params.get('algorithm');
  return {
    realm: params.get('realm')!,
    nonce: params.get('nonce')!,
    opaque: params.get('opaque'),
    algorithm,
    hash: hashOf(challenge)!,
    session: /-sess$/i.test(algorithm ?? ''),
    qop: params.has('qop'),
    userhash: params.get('userhash')?.toLowerCase() === 'true',
    utf8: params.get('charset')?.toUpperCase() === 'UTF-8',
    count: 0,
    accepted: false,
    cnonce,
  };
}

function authorize(
  s: Session,
  username: string,
  password: string,
  method: string,
  uri: string,
): string {
  const H = (text: string) => createHash(s.hash).update(text).digest('hex');
  const nc = s.count.toString(16).padStart(8, '0');
  const realm = Buffer.from(s.realm, 'latin1').toString('utf8'); // headers arrive as Latin-1
  const login = H(`${username}:${realm}:${password}`);
  const a1 = s.session ? H(`${login}:${s.nonce}:${s.cnonce}`) : login;
  const a2 = H(`${method}:${uri}`);
  const response = s.qop
    ? H(`${a1}:${s.nonce}:${nc}:${s.cnonce}:auth:${a2}`)
    : H(`${a1}:${s.nonce}:${a2}`);
  const name = s.userhash ? H(`${username}:${realm}`) : username;
  const fields = [
    encodeName(name, s.utf8),
    `realm=${quote(s.realm)}`,
    `nonce=${quote(s.nonce)}`,
    `uri=${quote(uri)}`,
    `response="${response}"`,
  ];
  if (s.algorithm !== undefined) fields.push(`algorithm=${s.algorithm.replace(/[^\w-]/g, '')}`);
  if (s.opaque !== undefined) fields.push(`opaque=${quote(s.opaque)}`);
  if (s.qop) fields.push('qop=auth', `nc=${nc}`);
  if (s.qop || s.session) fields.push(`cnonce=${quote(s.cnonce)}`);
  if (s.userhash) fields.push('userhash=true');
  return `Digest ${fields.join(', ')}`;
}

/**
 * RFC 7616, 3.4: a name outside ASCII travels as `username*` (RFC 8187) to a server that says UTF-8;
 * older ones, Apache httpd among them, know only the bytes themselves.
 */
function encodeName(name: string, utf8: boolean): string {
  if (/^[\x20-\x7e]*$/.test(name) || !utf8) {
    return `username=${quote(Buffer.from(name).toString('latin1'))}`;
  }
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `username*=UTF-8''${encoded}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replace(/[\r\n]/g, '')}"`;
}
