import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '@hackspace/kit/errors.ts';
import { sha256 } from '@hackspace/kit/guard.ts';
import type { State } from '@hackspace/kit/state.ts';

export type View = 'full' | 'busy';

/** What is kept of a subscriber's token: never the token, only its SHA-256 (in the key). */
export interface TokenRecord {
  /** Public name: the first 16 hex digits of the hash. Tells nothing about the token. */
  readonly id: string;
  readonly feed: string;
  readonly label: string;
  readonly view: View;
  /** Epoch milliseconds. */
  readonly created: number;
  /** Epoch milliseconds; absent: for ever. */
  readonly expires?: number;
  /** The id of the token that takes over, while both work; and the other way round. */
  readonly replacedBy?: string;
  readonly replaces?: string;
}

export interface ListedToken extends TokenRecord {
  readonly lastUsed?: number;
  readonly expired: boolean;
}

export interface NewToken {
  feed: string;
  label: string;
  view: View;
  expires?: number | undefined;
}

export interface Tokens {
  /** The live record of a presented token, by the hash of it. Untrusted input; no I/O. */
  find(token: string): TokenRecord | undefined;
  /** As `find`, after reading this one token's record again: sees what another process just wrote. */
  refetch(token: string): Promise<TokenRecord | undefined>;
  /** Remembers that a token was used now; written down within a minute. */
  touch(record: TokenRecord): void;
  list(feed?: string): ListedToken[];
  /** The token itself is in this answer and nowhere else. */
  create(input: NewToken): Promise<{ token: string; record: TokenRecord }>;
  /** Throws AppError `not_found`. */
  revoke(id: string): Promise<void>;
  /** A new token like the old one; the old one works for `overlapMs` more. Throws `not_found`. */
  rotate(id: string, overlapMs: number): Promise<{ token: string; record: TokenRecord }>;
  /** Reads the state anew if another process changed it. */
  sync(): Promise<void>;
  /** Called with the feeds whose tokens changed. */
  onChange(listener: (feeds: Set<string>) => void): void;
  close(): Promise<void>;
}

export interface TokensOptions {
  now?: () => number;
  /** How often another process's changes are looked for (default 200 ms; 0: never). */
  pollMs?: number;
  /** How often last-used times are written (default 60 s). */
  flushMs?: number;
  /** Told when the state cannot be read or written in the background. */
  onError?: (error: unknown) => void;
}

/** A label is for people: one line of up to 100 characters. */
export const LABEL = /^\P{Cc}{1,100}$/u;

const REVISION = 'token-revision';
const USES = 'token-uses';
const SNAPSHOT = 'token-snapshot';
const TOKEN = /^[0-9a-f]{64}$/;

/**
 * Subscribers' tokens on the shared state: one record a token under `tokens/<sha256>`, so that the
 * server and the command line never overwrite each other. A revision key tells of changes; last-used
 * times live apart, under `token-uses`, since only servers write them.
 */
export async function openTokens(state: State, options: TokensOptions = {}): Promise<Tokens> {
  const { now = Date.now, pollMs = 200, flushMs = 60_000, onError = () => {} } = options;
  const records = new Map<string, TokenRecord>();
  const byId = new Map<string, string>();
  const uses = new Map<string, number>(await readUses(state));
  const listeners: ((feeds: Set<string>) => void)[] = [];
  let revision = await readText(state, REVISION);
  /** Hashes this process revoked. */
  const revoked = new Set<string>();
  /** Hashes learnt since the last listing began, which need not show them; and those written here. */
  const learnt = new Set<string>();
  const written = new Set<string>();
  /** Counts changes made by this process. */
  let writes = 0;
  /** Whether our revision may have covered another process's. */
  let behind = false;
  let loading: Promise<unknown> = Promise.resolve();
  let usesDirty = false;
  let snapshotDue = false;

  function put(hash: string, record: TokenRecord): boolean {
    // A read that began before the revocation must not bring the token back.
    if (revoked.has(hash)) return false;
    records.set(hash, record);
    byId.set(record.id, hash);
    learnt.add(hash);
    snapshotDue = true;
    return true;
  }
  function drop(hash: string): void {
    const record = records.get(hash);
    if (!record) return;
    records.delete(hash);
    byId.delete(record.id);
    uses.delete(record.id);
    snapshotDue = true;
  }
  async function read(hash: string): Promise<TokenRecord | undefined> {
    const text = await readText(state, `tokens/${hash}`);
    return text === undefined ? undefined : parseRecord(hash, text);
  }
  async function write(hash: string, record: TokenRecord): Promise<void> {
    const { id: _, ...rest } = record;
    writes++;
    await state.set(`tokens/${hash}`, JSON.stringify(rest));
    put(hash, record);
    written.add(hash);
    writes++;
  }
  async function changed(...feeds: string[]): Promise<void> {
    revision = randomBytes(8).toString('hex');
    await state.set(REVISION, revision);
    behind = true;
    tell(new Set(feeds));
  }
  function tell(feeds: Set<string>): void {
    if (feeds.size > 0) { for (const listener of listeners) listener(feeds); }
  }
  function live(record: TokenRecord | undefined): TokenRecord | undefined {
    if (record?.expires !== undefined && record.expires <= now()) return undefined;
    return record;
  }
  /**
   * Takes in what other processes did. Records change in three ways only: one is added, one is
   * removed, or one is added that `replaces` another, whose expiry then moved.
   */
  async function load(): Promise<Set<string>> {
    const touched = new Set<string>();
    learnt.clear();
    written.clear();
    const present = new Set<string>();
    const unknown: string[] = [];
    await inSteps(await state.list('tokens'), (key) => {
      const hash = key.slice(key.lastIndexOf('/') + 1);
      present.add(hash);
      if (!records.has(hash) && TOKEN.test(hash)) unknown.push(hash);
    });
    await inSteps(records, ([hash, record]) => {
      if (present.has(hash) || learnt.has(hash)) return;
      drop(hash);
      touched.add(record.feed);
    });
    await eachOf(unknown, 64, async (hash) => {
      const record = await read(hash);
      if (!record || !put(hash, record)) return;
      touched.add(record.feed);
      const replaced = record.replaces === undefined ? undefined : byId.get(record.replaces);
      const old = replaced === undefined ? undefined : await read(replaced);
      if (old && !written.has(replaced!)) put(replaced!, old);
    });
    return touched;
  }
  async function sync(): Promise<void> {
    const seen = await readText(state, REVISION);
    if (seen === revision && !behind) return;
    revision = seen;
    behind = false;
    const run = loading.then(async () => tell(await load()));
    // What could not be read is tried again, and does not end the queue.
    loading = run.catch(() => behind = true);
    await run;
  }
  async function flush(): Promise<void> {
    if (snapshotDue && pollMs > 0) {
      snapshotDue = false;
      const texts: string[] = [];
      await inSteps(records, (entry) => void texts.push(JSON.stringify(entry)));
      await state.set(SNAPSHOT, `[${texts.join(',')}]`);
    }
    if (!usesDirty) return;
    usesDirty = false;
    const merged = new Map(await readUses(state));
    await inSteps(uses, ([id, at]) => void merged.set(id, Math.max(at, merged.get(id) ?? 0)));
    const texts: string[] = [];
    await inSteps(merged, ([id, at]) => {
      if (byId.has(id)) texts.push(`"${id}":${at}`);
    });
    await state.set(USES, `{${texts.join(',')}}`);
  }
  function hashOf(id: string): string {
    const hash = byId.get(id);
    if (hash === undefined) throw new AppError('not_found', `Cannot find token ${id.slice(0, 16)}`);
    return hash;
  }
  function mint(input: NewToken, replaces?: string) {
    const token = randomBytes(32).toString('hex');
    const hash = sha256(token);
    const record: TokenRecord = {
      id: hash.slice(0, 16),
      feed: input.feed,
      label: input.label,
      view: input.view,
      created: now(),
      ...(input.expires === undefined ? {} : { expires: input.expires }),
      ...(replaces === undefined ? {} : { replaces }),
    };
    return { token, hash, record };
  }

  // Records never change but in the three ways that `load` looks for: an old snapshot is made good by
  // it, and spares reading thousands of small files.
  for (const [hash, record] of await readSnapshot(state)) put(hash, record);
  snapshotDue = false;
  await load();
  let polling = false;
  const poll = pollMs > 0
    ? setInterval(() => {
      if (polling) return;
      polling = true;
      sync().catch(onError).finally(() => polling = false);
    }, pollMs)
    : undefined;
  const flusher = setInterval(() => void flush().catch(onError), flushMs);
  poll?.unref?.();
  flusher.unref?.();

  return {
    find: (token) => live(records.get(sha256(token))),
    async refetch(token) {
      const hash = sha256(token);
      const before = writes;
      const record = await read(hash);
      if (writes !== before) return live(records.get(hash));
      if (record) put(hash, record);
      else drop(hash);
      return live(records.get(hash));
    },
    touch(record) {
      uses.set(record.id, now());
      usesDirty = true;
    },
    list: (feed) =>
      [...records.values()]
        .filter((record) => feed === undefined || record.feed === feed)
        .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1))
        .map((record) => {
          const lastUsed = uses.get(record.id);
          const expired = live(record) === undefined;
          return { ...record, expired, ...(lastUsed === undefined ? {} : { lastUsed }) };
        }),
    async create(input) {
      const { token, hash, record } = mint(input);
      await write(hash, record);
      await changed(record.feed);
      return { token, record };
    },
    async revoke(id) {
      const hash = hashOf(id);
      const { feed } = records.get(hash)!;
      revoked.add(hash);
      drop(hash);
      writes++;
      await state.delete(`tokens/${hash}`);
      writes++;
      await changed(feed);
    },
    async rotate(id, overlapMs) {
      const hash = hashOf(id);
      const old = records.get(hash)!;
      if (!live(old)) throw new AppError('conflict', `Cannot rotate token ${id}: it has expired`);
      const made = mint({
        feed: old.feed,
        label: old.label,
        view: old.view,
        // The new one lives as long again as the old one was meant to.
        expires: old.expires === undefined ? undefined : now() + (old.expires - old.created),
      }, id);
      const expires = Math.min(old.expires ?? Infinity, now() + overlapMs);
      // The old one first: whoever sees the new one finds the expiry already moved.
      await write(hash, { ...old, expires, replacedBy: made.record.id });
      await write(made.hash, made.record);
      await changed(old.feed);
      return { token: made.token, record: made.record };
    },
    sync,
    onChange: (listener) => void listeners.push(listener),
    async close() {
      clearInterval(poll);
      clearInterval(flusher);
      await flush();
    },
  };
}

function parseRecord(hash: string, text: string): TokenRecord | undefined {
  try {
    const value = JSON.parse(text);
    if (typeof value.feed !== 'string' || (value.view !== 'full' && value.view !== 'busy')) {
      return undefined;
    }
    return { ...value, id: hash.slice(0, 16), label: String(value.label ?? '') };
  } catch {
    return undefined;
  }
}

async function readUses(state: State): Promise<[string, number][]> {
  try {
    const value = JSON.parse(await readText(state, USES) ?? '{}');
    return Object.entries(value).filter((e): e is [string, number] => typeof e[1] === 'number');
  } catch {
    return [];
  }
}

async function readSnapshot(state: State): Promise<[string, TokenRecord][]> {
  try {
    const value = JSON.parse(await readText(state, SNAPSHOT) ?? '[]') as [string, TokenRecord][];
    return value.filter(([hash, record]) => TOKEN.test(hash) && record.id === hash.slice(0, 16));
  } catch {
    return [];
  }
}

async function readText(state: State, key: string): Promise<string | undefined> {
  const bytes = await state.get(key);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/** Thousands of steps that do not hold up everybody else. */
async function inSteps<T>(items: Iterable<T>, step: (item: T) => void): Promise<void> {
  let n = 0;
  for (const item of items) {
    if (++n % 2000 === 0) await nextTurn();
    step(item);
  }
}

async function eachOf<T>(items: T[], width: number, work: (item: T) => Promise<void>) {
  let next = 0;
  const lane = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}

/** Whether a text has the form of a token; the length is public. */
export function looksLikeToken(text: string): boolean {
  return text.length === 64 && TOKEN.test(text);
}

export const iso = (at: number) => new Date(at).toISOString();

/** A token as JSON shows it: times in RFC 3339. */
export function showToken({ created, expires, lastUsed, ...rest }: ListedToken) {
  return {
    ...rest,
    created: iso(created),
    ...(expires === undefined ? {} : { expires: iso(expires) }),
    ...(lastUsed === undefined ? {} : { lastUsed: iso(lastUsed) }),
  };
}
