import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from './git.ts';

const log = getLogger(['provisioner', 'store']);

/** Each publish leaves a pack. So many may lie there, looked at after every sixteenth publish. */
const MOST_PACKS = 32;
const LOOK_EVERY = 16;
/** What no git can be writing any more, in ms. */
const LEFT_BEHIND = 3600_000;

/**
 * Keeps a repository that is only ever added to in few packs: small ones are folded into larger
 * ones, each object log n times in its life. And notes which commit changed which paths, without
 * which the log of one tenant compares the trees of every commit there is. Always in the
 * background; nothing that a reader or a writer needs ever goes.
 */
export function tidier(git: Git) {
  const packs = join(git.dir, 'objects/pack');
  const stopped = new AbortController();
  let publishes = 0;
  let running: Promise<void> | undefined;

  async function tidy(): Promise<void> {
    const files = await readdir(packs);
    if (files.filter((name) => name.endsWith('.pack')).length <= MOST_PACKS) return;
    for (const name of files.filter((name) => name.startsWith('tmp_') || name.endsWith('.keep'))) {
      const path = join(packs, name);
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > LEFT_BEHIND) await rm(path, { force: true });
    }
    const options = { timeoutMs: 600_000, signal: stopped.signal };
    await git.ok(['repack', '--quiet', '--geometric=2', '-d'], options);
    await git.ok(['commit-graph', 'write', '--reachable', '--split', '--changed-paths'], options);
  }

  return {
    published(): void {
      if (publishes++ % LOOK_EVERY !== 0) return;
      running ??= tidy().catch((error) => {
        if (!stopped.signal.aborted) log.warn('tidying failed', { error: describe(error) });
      }).finally(() => running = undefined);
    },
    async close(): Promise<void> {
      stopped.abort();
      await running;
    },
  };
}
