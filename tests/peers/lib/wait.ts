/** Waiting for something to come true, with a time limit and a reason when it does not. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface WaitOptions {
  /** Default 30,000 milliseconds. */
  ms?: number;
  /** Between two tries; default 50 milliseconds. */
  everyMs?: number;
  /** Added to the error when time is up. */
  explain?: () => string;
}

/** Polls until `test` is true. A rejection of `test` ends the wait with that error. */
export async function waitFor(
  what: string,
  test: () => Promise<boolean> | boolean,
  { ms = 30_000, everyMs = 50, explain }: WaitOptions = {},
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await test())) {
    if (Date.now() > deadline) {
      throw new Error(
        `Waited ${ms / 1000} s for ${what}, in vain${explain ? `\n${explain()}` : ''}`,
      );
    }
    await new Promise((done) => setTimeout(done, everyMs));
  }
}

/** The last lines of a file, from its last 64 KiB. */
export function tail(path: string, lines: number): string {
  try {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      const bytes = Buffer.alloc(Math.min(size, 65_536));
      readSync(file, bytes, 0, bytes.length, size - bytes.length);
      return bytes.toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } finally {
      closeSync(file);
    }
  } catch {
    return '(no log)';
  }
}
