/** Which process is which: a pid alone may have been given to another program since. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** A process, told apart from a later one with the same pid by when it started. */
export interface ProcessId {
  pid: number;
  /** Opaque; equal for the same process only. */
  started: string;
  /** Ends by SIGTERM, given time. */
  gentle?: boolean;
}

/** The start of a living process; undefined when it is gone, or a zombie that only waits to be reaped. */
export function startOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      // pid (comm) state ppid ... 22nd field: start time in ticks since boot. comm may hold anything.
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  const ps = spawnSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const line = ps.stdout?.trim();
  return !line || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
}

export function identify(pid: number): ProcessId | undefined {
  const started = startOf(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(id: ProcessId): boolean {
  return startOf(id.pid) === id.started;
}

/**
 * The processes whose end makes what we started an orphan: this one and, in a forked vitest worker, the
 * runner that forked it (a worker outlives a runner that was killed outright).
 */
export function owners(): ProcessId[] {
  const forked = process.env.VITEST !== undefined && isMainThread;
  return [process.pid, ...(forked ? [process.ppid] : [])]
    .map(identify)
    .filter((id) => id !== undefined);
}

export async function waitUntilGone(id: ProcessId, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (isAlive(id)) {
    if (Date.now() > deadline) return false;
    await new Promise((done) => setTimeout(done, 15));
  }
  return true;
}
