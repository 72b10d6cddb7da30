import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { compactDecrypt, CompactEncrypt } from 'jose';
import { equalSecret, sha256 } from '@hackspace/kit/guard.ts';
import type { Secret } from '@hackspace/kit/config.ts';
import type { State } from '@hackspace/kit/state.ts';

/** A logged-in browser. Lives on the server; the browser holds only a random id. */
export interface Session {
  /** What @hono/oidc-auth would have kept in its cookie: claims and the refresh token, signed. */
  jwt: string;
  issuer: string;
  subject: string;
  /** Keycloak's session id, for back-channel logout. */
  sid?: string;
  /** Epoch milliseconds: the session ends whatever happens. */
  expires: number;
}

export interface Sessions {
  /** Stores the session under a new random id (256 bits, base64url) and returns the id. */
  create(session: Session): Promise<string>;
  get(id: string): Promise<Session | undefined>;
  /** Replaces what is stored; does nothing when the session has ended meanwhile. */
  update(id: string, session: Session): Promise<void>;
  end(id: string): Promise<void>;
  /** Ends all sessions that match, as a back-channel logout asks; returns how many. */
  endAll(match: { issuer: string; subject?: string; sid?: string }): Promise<number>;
  readonly size: number;
}

export interface SessionsOptions {
  state: State;
  /** Sessions at rest are encrypted with a key derived from this. */
  secret: Secret;
  /** At most this many in all (default 10,000) and a subject (default 20): the oldest end first. */
  max?: number;
  maxPerSubject?: number;
  now?: () => number;
}

const ID = /^[\w-]{43}$/;

/**
 * Sessions in `state`, JWEs named by the SHA-256 of their id: a restart logs nobody out, a stolen disk
 * logs nobody in, and replicas on one state have the same sessions. What is in memory only counts them.
 */
export async function openSessions(options: SessionsOptions): Promise<Sessions> {
  const { state, max = 10_000, maxPerSubject = 20, now = Date.now } = options;
  const key = new Uint8Array(
    hkdfSync('sha256', options.secret.bytes(), '', 'hackspace provisioner sessions', 32),
  );
  // Insertion order is age: the first is the oldest.
  const live = new Map<string, Session>();
  for (const path of await state.list('sessions')) {
    const session = await open(await state.get(path));
    if (session && session.expires > now()) live.set(path.slice('sessions/'.length), session);
    else await state.delete(path);
  }

  async function open(bytes: Uint8Array | undefined): Promise<Session | undefined> {
    if (!bytes) return undefined;
    try {
      const { plaintext } = await compactDecrypt(new TextDecoder().decode(bytes), key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      return JSON.parse(new TextDecoder().decode(plaintext));
    } catch {
      return undefined; // sealed by an older secret, or damaged: that browser logs in again
    }
  }

  async function keep(name: string, session: Session): Promise<void> {
    live.set(name, session);
    const sealed = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(session)))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(key);
    if (live.has(name)) await state.set(`sessions/${name}`, sealed);
  }

  async function drop(name: string): Promise<void> {
    live.delete(name);
    await state.delete(`sessions/${name}`);
  }

  async function makeRoom(session: Session): Promise<void> {
    const own = [...live].filter(([, s]) =>
      s.subject === session.subject && s.issuer === session.issuer
    );
    const gone = own.slice(0, Math.max(0, own.length - maxPerSubject + 1)).map(([name]) => name);
    for (const [name, s] of live) {
      if (s.expires <= now()) gone.push(name);
      else if (live.size - gone.length >= max) gone.push(name);
      else break;
    }
    for (const name of new Set(gone)) await drop(name);
  }

  const named = (id: string) => ID.test(id) ? sha256(id) : undefined;
  return {
    async create(session) {
      await makeRoom(session);
      const id = randomBytes(32).toString('base64url');
      await keep(sha256(id), session);
      return id;
    },
    async get(id) {
      const name = named(id);
      const session = name && await open(await state.get(`sessions/${name}`));
      if (!session) {
        if (name) live.delete(name);
        return undefined;
      }
      if (session.expires > now()) {
        live.set(name, session);
        return session;
      }
      await drop(name);
      return undefined;
    },
    async update(id, session) {
      const name = named(id);
      if (name && await state.get(`sessions/${name}`)) await keep(name, session);
    },
    async end(id) {
      const name = named(id);
      if (name) await drop(name);
    },
    async endAll(match) {
      for (const path of await state.list('sessions')) {
        const name = path.slice('sessions/'.length);
        const session = live.has(name) ? undefined : await open(await state.get(path));
        if (session) live.set(name, session);
      }
      const names = [...live].filter(([, s]) =>
        s.issuer === match.issuer &&
        (match.sid === undefined || s.sid === match.sid) &&
        (match.subject === undefined || s.subject === match.subject) &&
        (match.sid !== undefined || match.subject !== undefined)
      ).map(([name]) => name);
      for (const name of names) await drop(name);
      return names.length;
    },
    get size() {
      return live.size;
    },
  };
}

/** One-time tickets (login attempts, parked forms) bound to a browser, bounded in number and age. */
export interface Tickets<T> {
  put(browser: string, value: T, id?: string): string;
  /** Takes the ticket out: it works once, and only for the browser it was given to. */
  take(browser: string | undefined, id: string | undefined): T | undefined;
}

export function createTickets<T>(maxAgeMs: number, max = 2000, now = Date.now): Tickets<T> {
  const held = new Map<string, { browser: string; value: T; at: number }>();
  return {
    put(browser, value, id = randomBytes(24).toString('base64url')) {
      for (const [key, ticket] of held) {
        if (now() - ticket.at <= maxAgeMs && held.size < max) break;
        held.delete(key);
      }
      held.set(id, { browser: hash(browser), value, at: now() });
      return id;
    },
    take(browser, id) {
      const ticket = id === undefined ? undefined : held.get(id);
      if (!ticket || browser === undefined || !equalSecret(hash(browser), ticket.browser)) {
        return undefined;
      }
      held.delete(id!);
      return now() - ticket.at <= maxAgeMs ? ticket.value : undefined;
    },
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
