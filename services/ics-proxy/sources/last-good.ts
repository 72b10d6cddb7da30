import { AppError } from '@hackspace/kit/errors.ts';
import { sha256Later } from '@hackspace/kit/guard.ts';
import type { State } from '@hackspace/kit/state.ts';
import type { Source, Validators } from './source.ts';

/** The last calendar a source gave, whatever has gone wrong since. */
export interface LastGood {
  bytes: Uint8Array;
  validators: Validators;
  /** Epoch milliseconds at which these bytes arrived. */
  fetchedAt: number;
  /** Epoch milliseconds at which the upstream last confirmed them; `now - checkedAt` is the age. */
  checkedAt: number;
}

export type Refreshed =
  | {
    changed: true;
    good: LastGood;
    /** What the source left out, for people. */
    warnings: string[];
  }
  | { changed: false; fetchedAt: number; checkedAt: number };

export interface LastGoodStore {
  /** For the start. Undefined before the first success, or when what is kept is damaged. */
  load(key: string): Promise<LastGood | undefined>;
  /**
   * Asks the source and keeps what it gives before anyone is shown it. Throws what the source
   * throws, and what is kept stays as it was. One call a key at a time.
   */
  refresh(source: Source, key: string, signal: AbortSignal): Promise<Refreshed>;
}

interface Meta {
  v: 1;
  body: string;
  sha256: string;
  validators: Validators;
  fetchedAt: number;
  checkedAt: number;
}

/** A confirmation alone is written at most this often: after a crash the age may be off by it. */
const TOUCH_MS = 10 * 60_000;
const KEY = /^[a-z0-9][a-z0-9_-]{0,127}(\/[a-z0-9][a-z0-9_-]{0,127})?$/;

/**
 * Keeps the last good copies in `state`, for ever and across restarts. `last-good/<key>/meta` names
 * the body it belongs to, so that a crash leaves the old pair or the new one, never a mixture.
 * Keys are `feed/source`.
 */
export function lastGoodStore(state: State, now: () => number = Date.now): LastGoodStore {
  // Only the small half stays in memory; a body is read when a source needs its own back.
  const metas = new Map<string, { meta: Meta; writtenAt: number }>();
  const path = (key: string, part: string) => {
    if (!KEY.test(key)) throw new AppError('internal', 'Cannot keep last good copy: bad key');
    return `last-good/${key}/${part}`;
  };

  async function stored(key: string): Promise<Meta | undefined> {
    const raw = await state.get(path(key, 'meta'));
    try {
      const meta = raw && JSON.parse(new TextDecoder().decode(raw)) as Meta;
      return meta?.v === 1 && /^body-[0-9a-f]{16}$/.test(meta.body) ? meta : undefined;
    } catch {
      return undefined;
    }
  }

  async function load(key: string): Promise<LastGood | undefined> {
    const meta = metas.get(key)?.meta ?? await stored(key);
    const bytes = meta && await state.get(path(key, meta.body));
    if (!meta || !bytes || await sha256Later(bytes) !== meta.sha256) {
      metas.delete(key);
      return undefined;
    }
    if (!metas.has(key)) metas.set(key, { meta, writtenAt: meta.checkedAt });
    return good(meta, bytes);
  }

  async function write(key: string, meta: Meta): Promise<void> {
    await state.set(path(key, 'meta'), JSON.stringify(meta));
    metas.set(key, { meta, writtenAt: meta.checkedAt });
  }

  /** Validators may only be shown to the upstream while the body they belong to is at hand. */
  async function before(key: string): Promise<Meta | undefined> {
    if (!metas.has(key)) await load(key);
    return metas.get(key)?.meta;
  }

  return {
    load,
    async refresh(source, key, signal) {
      const old = await before(key);
      const result = await source.fetch(
        old?.validators,
        signal,
        async () => (await load(key))?.bytes,
      );
      const at = now();
      if (result.status === 'unchanged') {
        if (!old) {
          throw new AppError('internal', `Cannot fetch source ${source.id}: unchanged what?`);
        }
        const meta = { ...old, validators: result.validators, checkedAt: at };
        const same = JSON.stringify(meta.validators) === JSON.stringify(old.validators);
        const { writtenAt } = metas.get(key)!;
        metas.set(key, { meta, writtenAt });
        // Another replica may have moved on meanwhile: never point back at a body it deleted.
        const due = !same || at - writtenAt >= TOUCH_MS;
        if (due && (await stored(key))?.body === meta.body) await write(key, meta);
        return { changed: false, fetchedAt: meta.fetchedAt, checkedAt: at };
      }
      const { bytes, validators, warnings = [] } = result;
      const sha256 = validators.sha256 ?? await sha256Later(bytes);
      const body = `body-${sha256.slice(0, 16)}`;
      if (old?.body !== body) await state.set(path(key, body), bytes);
      const meta: Meta = { v: 1, body, sha256, validators, fetchedAt: at, checkedAt: at };
      await write(key, meta);
      if (old && old.body !== body) await state.delete(path(key, old.body));
      return { changed: true, good: good(meta, bytes), warnings };
    },
  };
}

function good({ validators, fetchedAt, checkedAt }: Meta, bytes: Uint8Array): LastGood {
  return { bytes, validators, fetchedAt, checkedAt };
}
