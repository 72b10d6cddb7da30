import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { State } from '@hackspace/kit/state.ts';
import type { View } from './tokens.ts';

export interface Published {
  /** When this content first went out: moves only when `etagBasis` does, across restarts too. */
  modified(feed: string, view: View, etagBasis: string): Promise<number>;
  /** Every feed that has gone out before, in this life or an earlier one. */
  feeds(): Promise<Set<string>>;
  close(): Promise<void>;
}

const KEY = 'published';
const log = getLogger(['ics-proxy', 'published']);

/** Remembers for each feed and view what went out last and since when; written a second behind. */
export function openPublished(state: State, now: () => number): Published {
  const entries = read(state);
  /** The same as JSON, made anew only where something changed: there may be thousands. */
  const texts = new Map<string, string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let written = Promise.resolve();

  async function write(): Promise<void> {
    timer = undefined;
    try {
      for (const [name, entry] of await entries) {
        if (!texts.has(name)) texts.set(name, `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
      }
      await state.set(KEY, `{${[...texts.values()].join(',')}}`);
    } catch (error) {
      log.error('publication times could not be written', { error: describe(error) });
    }
  }
  return {
    async modified(feed, view, etagBasis) {
      const name = `${feed}/${view}`;
      const map = await entries;
      const known = map.get(name);
      if (known?.etagBasis === etagBasis) return known.modified;
      const second = Math.floor(now() / 1000) * 1000;
      // HTTP dates have whole seconds: a second change within one must move the date all the same.
      const modified = known ? Math.max(second, known.modified + 1000) : second;
      map.set(name, { etagBasis, modified });
      texts.delete(name);
      timer ??= setTimeout(() => void (written = write()), 1000);
      return modified;
    },
    async feeds() {
      return new Set([...(await entries).keys()].map((name) => name.slice(0, name.indexOf('/'))));
    },
    async close() {
      if (timer !== undefined) {
        clearTimeout(timer);
        written = write();
      }
      await written;
    },
  };
}

async function read(
  state: State,
): Promise<Map<string, { etagBasis: string; modified: number }>> {
  try {
    const bytes = await state.get(KEY);
    const value = bytes ? JSON.parse(new TextDecoder().decode(bytes)) : {};
    return new Map(
      Object.entries(value as Record<string, { etagBasis: string; modified: number }>)
        .filter(([, e]) => typeof e?.etagBasis === 'string' && Number.isFinite(e.modified)),
    );
  } catch (error) {
    log.error('publication times could not be read', { error: describe(error) });
    return new Map();
  }
}
