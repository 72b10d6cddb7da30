/** A lock file between processes, given up by itself when its holder is dead. */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { identify, isAlive, type ProcessId } from './owner.ts';

/** Takes the lock at once, or returns undefined when a living process holds it. */
export function tryClaim(path: string): Disposable | undefined {
  mkdirSync(dirname(path), { recursive: true });
  const mine = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  // Written beside and linked: a lock that is there is never half written.
  writeFileSync(mine, JSON.stringify(identify(process.pid)));
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        linkSync(mine, path);
        return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        if (holderLives(path)) return undefined;
        rmSync(path, { force: true });
      }
    }
    return undefined;
  } finally {
    rmSync(mine, { force: true });
  }
}

function holderLives(path: string): boolean {
  try {
    return isAlive(JSON.parse(readFileSync(path, 'utf8')) as ProcessId);
  } catch {
    return false;
  }
}

/** Waits for the lock, for as long as its holder lives. */
export async function claim(path: string): Promise<AsyncDisposable> {
  for (;;) {
    const held = tryClaim(path);
    if (held) {
      return { [Symbol.asyncDispose]: () => Promise.resolve(held[Symbol.dispose]()) };
    }
    await new Promise((done) => setTimeout(done, 200));
  }
}
