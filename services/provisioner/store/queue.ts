import { AppError, describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import {
  type Backend,
  blobId,
  type Change,
  cleanPerson,
  type Commit,
  type Committed,
  type Edit,
  messageOf,
  RaceLost,
  type Snapshot,
  type Store,
} from './store.ts';

const log = getLogger(['provisioner', 'store']);

export interface StoreOptions {
  /** Changes that may wait at once; more are refused with a time to come back (default 2,000). */
  maxWaiting?: number;
  /** How long one change may take, lost races included, in ms (default 30,000). */
  deadlineMs?: number;
  now?: () => number;
  /** Called with the new head after each publish. */
  onPublish?: (revision: string) => void;
}

interface Waiting {
  change: Change<unknown>;
  deadline: number;
  resolve(committed: Committed<unknown>): void;
  reject(error: unknown): void;
}

/** What became of one change of a batch, told only when the batch is published. */
type Outcome =
  | { commit: number | undefined; result: unknown }
  | { error: unknown };

/**
 * One writer per process and branch: waiting changes are decided one after another on the same
 * revision and published together, each as a commit of its own. Between processes the backend's
 * compare-and-swap decides; the loser reads again and decides again.
 */
export function openStore(backend: Backend, options: StoreOptions = {}): Store {
  const now = options.now ?? Date.now;
  const waiting: Waiting[] = [];
  const cache = new BlobCache(backend);
  let running: Promise<void> | undefined;
  let closed = false;

  async function drain(): Promise<void> {
    let alone = 0;
    for (let tries = 0; waiting.length > 0;) {
      const size = alone > 0 ? 1 : backend.maxBatch;
      const batch = waiting.splice(0, size);
      try {
        await attempt(batch, tries > 0);
        tries = 0;
        alone = Math.max(0, alone - 1);
      } catch (error) {
        tries++;
        const race = error instanceof RaceLost;
        if (!race) log.warn('publish failed', { error: describe(error), changes: batch.length });
        // One change that the other side refuses must not take its neighbours with it.
        if (!race && batch.length > 1) alone = batch.length;
        const final = error instanceof AppError && error.code !== 'unavailable' &&
          batch.length === 1;
        const again = batch.filter((w) => !final && now() < w.deadline && (race || tries < 4));
        for (const w of batch) if (!again.includes(w)) w.reject(final ? error : gaveUp(error));
        waiting.unshift(...again);
        if (again.length === 0) tries = 0;
        else await pause(Math.min(2000, 5 * 2 ** Math.min(tries, 8)) * (0.5 + Math.random()));
      }
    }
  }

  async function attempt(batch: Waiting[], fresh: boolean): Promise<void> {
    const head = await backend.head(fresh);
    const overlay = new Map<string, Uint8Array | null>();
    const snapshot = snapshotOf(cache, head, overlay);
    const commits: Commit[] = [];
    const outcomes: Outcome[] = [];
    for (const { change } of batch) {
      let edit: Edit<unknown>;
      try {
        edit = await change.edit(snapshot);
      } catch (error) {
        if (isBackendError(error)) throw error;
        outcomes.push({ error });
        continue;
      }
      const files = await differing(cache, head, overlay, edit.files);
      if (files.length === 0) {
        outcomes.push({ commit: undefined, result: edit.result });
        continue;
      }
      commits.push({
        author: cleanPerson(change.author),
        message: messageOf(edit),
        time: Math.floor(now() / 1000),
        files,
      });
      for (const { path, bytes } of files) overlay.set(path, bytes);
      outcomes.push({ commit: commits.length - 1, result: edit.result });
    }
    const ids = commits.length > 0 ? await backend.publish(head, commits) : [];
    // Refusals too wait until here: they may rest on what a neighbour in the batch wrote.
    for (const [i, outcome] of outcomes.entries()) {
      if ('error' in outcome) batch[i]!.reject(outcome.error);
      else {
        const commit = outcome.commit === undefined ? undefined : ids[outcome.commit];
        batch[i]!.resolve({ commit, result: outcome.result });
      }
    }
    if (ids.length > 0) options.onPublish?.(ids.at(-1)!);
  }

  function start(): void {
    running ??= pause(0).then(drain).finally(() => {
      running = undefined;
      // Something may have come after the last look and before this.
      if (waiting.length > 0) start();
    });
  }

  return {
    commit<T>(change: Change<T>): Promise<Committed<T>> {
      if (closed) return Promise.reject(new AppError('unavailable', 'Cannot write: shutting down'));
      if (waiting.length >= (options.maxWaiting ?? 2000)) {
        const busy = 'Cannot write to the tenants repo: too many changes are waiting';
        return Promise.reject(new AppError('unavailable', busy, { retryAfter: 5 }));
      }
      return new Promise((resolve, reject) => {
        const deadline = now() + (options.deadlineMs ?? 30_000);
        waiting.push({
          change: change as Change<unknown>,
          deadline,
          resolve: resolve as (committed: Committed<unknown>) => void,
          reject,
        });
        // A turn later, so that what arrives together is published together.
        start();
      });
    },
    async snapshot() {
      return snapshotOf(cache, await backend.head(false), new Map());
    },
    log: (path, limit) => backend.log(path, limit),
    async close() {
      closed = true;
      while (running) await running;
      await backend.close();
    },
  };
}

function gaveUp(cause: unknown): AppError {
  const why = cause instanceof RaceLost ? 'too many others are writing' : 'it does not answer well';
  return new AppError('unavailable', `Cannot write to the tenants repo: ${why}`, {
    cause,
    retryAfter: 10,
  });
}

/** Errors of reading the repo say nothing about the change that was reading. */
function isBackendError(error: unknown): boolean {
  return error instanceof RaceLost || (error instanceof AppError && error.code === 'unavailable');
}

async function differing(
  cache: BlobCache,
  head: string | undefined,
  overlay: Map<string, Uint8Array | null>,
  files: ReadonlyMap<string, Uint8Array | null>,
): Promise<Commit['files']> {
  const unknown = [...files.keys()].filter((path) => !overlay.has(path));
  const there = head === undefined ? new Map<string, string>() : await cache.stat(head, unknown);
  const changed: Commit['files'] = [];
  for (const [path, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    checkPath(path);
    const written = overlay.get(path);
    const replaces = written ? blobId(written) : overlay.has(path) ? undefined : there.get(path);
    if ((bytes === null ? undefined : blobId(bytes)) !== replaces) {
      changed.push({ path, bytes, replaces });
    }
  }
  return changed;
}

/** Nothing but `a/b/c` of harmless letters reaches a repository; git's own names never. */
function checkPath(path: string): void {
  const good = path.length <= 300 &&
    path.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(part));
  if (!good) throw new AppError('internal', 'Cannot write a file: its path is not one of ours');
}

function snapshotOf(
  cache: BlobCache,
  revision: string | undefined,
  overlay: Map<string, Uint8Array | null>,
): Snapshot {
  return {
    revision,
    async read(path) {
      const written = overlay.get(path);
      if (written !== undefined) return written ?? undefined;
      if (revision === undefined) return undefined;
      return await cache.read(revision, path);
    },
    async list(folder) {
      const found = new Set(revision === undefined ? [] : await cache.list(revision, folder));
      for (const [path, bytes] of overlay) {
        if (!path.startsWith(`${folder}/`)) continue;
        if (bytes === null) found.delete(path);
        else found.add(path);
      }
      return [...found].sort();
    },
  };
}

/** Blobs never change under their id: small ones are kept, the longest unused go first. */
class BlobCache {
  readonly #backend: Backend;
  readonly #blobs = new Map<string, Uint8Array>();
  #listed: { revision: string; folder: string; ids: Map<string, string> } | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  stat(revision: string, paths: readonly string[]): Promise<Map<string, string>> {
    if (paths.length === 0) return Promise.resolve(new Map());
    return this.#backend.stat(revision, paths);
  }

  async read(revision: string, path: string): Promise<Uint8Array | undefined> {
    const listed = this.#listed;
    const id = listed?.revision === revision && path.startsWith(`${listed.folder}/`)
      ? listed.ids.get(path)
      : (await this.#backend.stat(revision, [path])).get(path);
    if (id === undefined) return undefined;
    const kept = this.#blobs.get(id);
    if (kept) return kept;
    const bytes = await this.#backend.blob(id, revision, path);
    if (bytes.length <= 4096) {
      this.#blobs.set(id, bytes);
      if (this.#blobs.size > 20_000) this.#blobs.delete(this.#blobs.keys().next().value!);
    }
    return bytes;
  }

  async list(revision: string, folder: string): Promise<string[]> {
    const kept = this.#listed;
    if (kept?.revision === revision && kept.folder === folder) return [...kept.ids.keys()];
    const ids = await this.#backend.list(revision, folder);
    // Only the list of everything is worth keeping: a sweep reads it blob by blob.
    if (!folder.includes('/')) this.#listed = { revision, folder, ids };
    return [...ids.keys()];
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
