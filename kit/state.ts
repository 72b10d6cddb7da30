import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError, describe } from './errors.ts';
import { gate } from './gate.ts';
import { getLogger } from './log.ts';
import { readSecret } from './secret.ts';

const log = getLogger(['kit', 'state']);

// Half the cost of fs/promises, which shows where thousands of small values are read and written.
const open = promisify(fs.open);
const close = promisify(fs.close);
const fsync = promisify(fs.fsync);
const readFile = promisify(fs.readFile);
const writeFile = promisify(fs.writeFile);
const rename = promisify(fs.rename);
const unlink = promisify(fs.unlink);
const link = promisify(fs.link);
const stat = promisify(fs.stat);

/** Small values that outlive the process. Keys are `a/b/c`, parts of `[A-Za-z0-9._-]`. */
export interface State {
  get(key: string): Promise<Uint8Array | undefined>;
  /** Atomic: a reader and a crash see the old value or the new one, whole. */
  set(key: string, value: Uint8Array | string): Promise<void>;
  /**
   * Sets what is not there and tells whether it did: of several processes that try, one does. What is
   * older than `forMs` counts as not there, so that one that was killed does not keep others out for ever.
   */
  add(key: string, value: Uint8Array | string, forMs: number): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** Keys below `prefix/`, sorted. */
  list(prefix: string): Promise<string[]>;
  close(): Promise<void>;
}

/** The `state` key of a config: a directory, or Redis/Valkey when there are replicas. */
export function stateConfig() {
  return z.union([
    z.string().min(1).meta({ description: 'A directory, or a redis:// or rediss:// URL' }),
    z.strictObject({
      url: z.string().regex(/^rediss?:\/\//, 'must be a redis:// or rediss:// URL'),
      passwordFile: z.string().optional(),
      prefix: z.string().regex(/^[\w-]+$/).optional(),
    }),
  ]);
}
export type StateConfig = z.output<ReturnType<typeof stateConfig>>;

/** Opens the state named by the config. Throws AppError `unavailable` when it cannot be written. */
export async function openState(config: StateConfig): Promise<State> {
  if (typeof config === 'string') {
    if (!/^rediss?:\/\//.test(config)) return await openDirectory(config);
    return await openRedis({ url: config });
  }
  return await openRedis(config);
}

const PART = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

function checkKey(key: string): string {
  if (key.length > 600 || !key.split('/').every((part) => PART.test(part))) {
    throw new AppError('internal', 'Cannot use state key: a part is empty, too long or ill-formed');
  }
  return key;
}

/**
 * A directory, one file a key: written to a temporary file, synced, renamed, and the folder synced,
 * so that power loss leaves the old value or the new one.
 */
export async function openDirectory(root: string): Promise<State> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new AppError('unavailable', `Cannot open state directory ${root}`, { cause });
  }
  // Writes of one key follow one another; different keys go side by side, but not so many that all of
  // what they have to say comes back to this thread in one turn.
  const writing = gate(4);
  const tails = new Map<string, Promise<unknown>>();
  function inOrder<T>(key: string, work: () => Promise<T>): Promise<T> {
    const run = (tails.get(key) ?? Promise.resolve()).then(work, work);
    const tail = run.catch(() => {}).finally(() => {
      if (tails.get(key) === tail) tails.delete(key);
    });
    tails.set(key, tail);
    return run;
  }
  async function write(
    key: string,
    value: Uint8Array | string,
    put: typeof rename = rename,
  ): Promise<void> {
    const path = join(root, checkKey(key));
    const folder = dirname(path);
    const temporary = `${path}.${randomBytes(6).toString('hex')}~`;
    const create = () => open(temporary, 'wx', 0o600);
    try {
      const file = await create().catch(async (cause) => {
        if (!isMissing(cause)) throw cause;
        await mkdir(folder, { recursive: true, mode: 0o700 });
        return await create();
      });
      try {
        await writeFile(file, value);
        await fsync(file);
      } finally {
        await close(file);
      }
      await put(temporary, path);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => {});
      const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
      throw new AppError('unavailable', `Cannot write state ${key}: ${reason}`, { cause });
    }
    await syncFolder(folder);
  }
  async function add(key: string, value: Uint8Array | string, forMs: number): Promise<boolean> {
    let added = true;
    // A link, unlike a rename, never takes the place of a file.
    await write(key, value, async (temporary, path) => {
      const old = await stat(path).catch(() => undefined);
      // Two that find the same stale one in this very moment both come through.
      if (old && Date.now() - old.mtimeMs >= forMs) await unlink(path).catch(() => {});
      try {
        await link(temporary, path);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
        added = false;
      }
      await unlink(temporary);
    });
    return added;
  }
  return {
    async get(key) {
      try {
        const { buffer, byteOffset, length } = await readFile(join(root, checkKey(key)));
        return new Uint8Array(buffer, byteOffset, length);
      } catch (cause) {
        if (isMissing(cause)) return undefined;
        if (cause instanceof AppError) throw cause;
        throw new AppError('unavailable', `Cannot read state ${key}`, { cause });
      }
    },
    set: (key, value) => inOrder(key, () => writing(() => write(key, value))),
    add: (key, value, forMs) => inOrder(key, () => add(key, value, forMs)),
    delete: (key) =>
      inOrder(key, () =>
        unlink(join(root, checkKey(key))).catch((cause) => {
          if (!isMissing(cause)) throw new AppError('unavailable', `Cannot delete state ${key}`);
        })),
    async list(prefix) {
      const found: string[] = [];
      await walk(root, checkKey(prefix), found);
      return found.sort();
    },
    async close() {
      await Promise.allSettled(tails.values());
    },
  };
}

async function walk(root: string, at: string, found: string[]): Promise<void> {
  let entries;
  try {
    entries = await readdir(join(root, at), { withFileTypes: true });
  } catch (cause) {
    if (isMissing(cause)) return;
    throw new AppError('unavailable', `Cannot list state ${at}`, { cause });
  }
  for (const entry of entries) {
    if (entry.isDirectory()) await walk(root, `${at}/${entry.name}`, found);
    else if (!entry.name.endsWith('~')) found.push(`${at}/${entry.name}`);
  }
}

function isMissing(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await fsync(handle);
    } finally {
      await close(handle);
    }
  } catch {
    // Not every platform lets a folder be opened; the rename itself is atomic all the same.
  }
}

async function openRedis(
  config: { url: string; passwordFile?: string | undefined; prefix?: string | undefined },
): Promise<State> {
  const { createStorage } = await import('unstorage');
  const { default: redis } = await import('unstorage/drivers/redis');
  const password = config.passwordFile
    ? (await readSecret(config.passwordFile)).reveal()
    : undefined;
  const base = config.prefix ?? 'hackspace';
  const driver = redis({
    url: config.url,
    base,
    connectTimeout: 5000,
    commandTimeout: 5000,
    maxRetriesPerRequest: 2,
    // Ten a round trip, as is Redis' default, makes a long list slow.
    scanCount: 1000,
    ...(password === undefined ? {} : { password }),
  });
  // Without a listener the client prints what happens to its connection past the log.
  driver.getInstance?.().on(
    'error',
    (error: unknown) => log.warning('connection to Redis', { error: describe(error) }),
  );
  const storage = createStorage({ driver });
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw new AppError('unavailable', `Cannot ${what} in Redis`, { cause });
    }
  };
  const name = (key: string) => checkKey(key).replaceAll('/', ':');
  await attempt('read the state', () => storage.hasItem('probe'));
  return {
    async get(key) {
      const value = await attempt(`read state ${key}`, () => storage.getItemRaw(name(key)));
      if (value === null || value === undefined) return undefined;
      return typeof value === 'string' ? new TextEncoder().encode(value) : new Uint8Array(value);
    },
    async set(key, value) {
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
      await attempt(`write state ${key}`, () => storage.setItemRaw(name(key), bytes));
    },
    async add(key, value, forMs) {
      const bytes = Buffer.from(value as string);
      const client = driver.getInstance!();
      const said = await attempt(
        `write state ${key}`,
        () => client.set(`${base}:${name(key)}`, bytes, 'PX', Math.max(1, Math.ceil(forMs)), 'NX'),
      );
      return said === 'OK';
    },
    delete: (key) => attempt(`delete state ${key}`, () => storage.removeItem(name(key))),
    async list(prefix) {
      const keys = await attempt(`list state ${prefix}`, () => storage.getKeys(name(prefix)));
      // SCAN may tell a key twice.
      return [...new Set(keys)].map((key) => key.replaceAll(':', '/')).sort();
    },
    close: () => storage.dispose(),
  };
}
