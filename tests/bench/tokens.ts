import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '@hackspace/kit/guard.ts';
import { openState } from '@hackspace/kit/state.ts';
import { openTokens, type Tokens } from '../../services/ics-proxy/tokens.ts';
import { startRedis } from '../peers/redis.ts';
import { type Bench, percentile, round } from './lib/measure.ts';

/**
 * What many subscribers cost where requests do not go: opening the tokens, making one more, and another
 * replica's learning of it; on a folder and on Redis.
 */
export const bench: Bench = async (report, note, quick) => {
  const sizes = quick ? [100, 1000] : [1000, 10_000, 100_000];
  const emit = (name: string, us: number, unit: string) =>
    report({
      bench: 'tokens',
      case: name,
      us: round(us),
      unit,
      peer: null,
      them: null,
      ratio: null,
    });
  for (const size of sizes) {
    const folder = mkdtempSync(join(tmpdir(), 'tokens-bench-'));
    await using redis = await startRedis();
    for (
      const [where, url] of [['a folder', join(folder, 'state')], ['Redis', redis.url]] as const
    ) {
      const what = `${size} tokens on ${where}`;
      const state = await openState(url);
      if (where === 'a folder') await mkdir(join(url, 'tokens'));
      await fill(
        size,
        where === 'Redis' ? state.set : (key, text) => writeFile(join(url, key), text),
      );
      const first = await timed(() => openTokens(state, { pollMs: 50 }));
      emit(`${what}: open, from nothing`, first.ms, 'ms');
      await first.value.close();
      const [one, other] = [await openState(url), await openState(url)];
      const here = await timed(() => openTokens(one, { pollMs: 50 }));
      emit(`${what}: open again, from the snapshot`, here.ms, 'ms');
      const there = await openTokens(other, { pollMs: 50 });
      const made: number[] = [];
      const seen: number[] = [];
      for (let i = 0; i < (quick ? 3 : 5); i++) {
        const { ms, value } = await timed(() =>
          here.value.create({ feed: 'space', label: `new ${i}`, view: 'full' })
        );
        made.push(ms);
        const began = performance.now();
        // As a request at the other replica does that presents what it has not heard of.
        if (!await there.refetch(value.token)) {
          throw new Error('the other replica does not know it');
        }
        seen.push(performance.now() - began);
      }
      emit(`${what}: make one more, p50`, percentile(made, 50), 'ms');
      emit(`${what}: a request at another replica with it, p50`, percentile(seen, 50), 'ms');
      for (const each of [here.value, there] as Tokens[]) await each.close();
      for (const each of [state, one, other]) await each.close();
    }
    rmSync(folder, { recursive: true, force: true });
  }
  note(`load of the machine at the end: ${loadavg()[0]!.toFixed(1)}`);
};

/** Records as `create` writes them, without the change told after each, and on disk without a sync. */
async function fill(size: number, set: (key: string, text: string) => Promise<void>) {
  const lane = async (from: number) => {
    for (let i = from; i < size; i += 64) {
      const record = { feed: 'space', label: `subscriber ${i}`, view: 'full', created: Date.now() };
      await set(`tokens/${sha256(randomBytes(32))}`, JSON.stringify(record));
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, i) => lane(i)));
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const began = performance.now();
  const value = await work();
  return { ms: performance.now() - began, value };
}
