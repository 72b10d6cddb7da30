import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A program of the dev world: started as its own process, stopped by its pid. */
export interface Part {
  name: string;
  url: string;
  stop(): Promise<void>;
}

export interface PartOptions {
  name: string;
  /** Script and arguments for the same Node that runs this. */
  args: string[];
  url: string;
  /** A path that answers 2xx when the part can do its job. */
  readyPath: string;
  env?: Record<string, string>;
  /** Where its log lines go; dropped when absent. */
  log?: (line: string) => void;
  timeoutMs?: number;
}

const started: (() => Promise<void>)[] = [];

/** Ends whatever was started here, last first; also what is not ready yet. */
export async function stopParts(): Promise<void> {
  for (const stop of started.splice(0).reverse()) await stop();
}

/**
 * Starts one of the services as it runs in production and waits until it is ready.
 * Throws with the last lines it printed when it ends early or stays unready for 20 s.
 */
export async function startPart(options: PartOptions): Promise<Part> {
  const child = spawn(process.execPath, options.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      tail.push(line);
      if (tail.length > 20) tail.shift();
      options.log?.(`${options.name} ${line}`);
    });
  }
  // Not `exit`: its last words come after that.
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  let running = true;
  void ended.then(() => running = false);
  started.push(() => stop(child, ended));

  const deadline = Date.now() + (options.timeoutMs ?? 20_000);
  while (!await answers(options.url + options.readyPath)) {
    if (!running || Date.now() > deadline) {
      await stop(child, ended);
      const why = running ? 'it did not become ready in time' : 'it ended';
      throw new Error(`Cannot start ${options.name}: ${why}\n${tail.join('\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { name: options.name, url: options.url, stop: () => stop(child, ended) };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000), redirect: 'manual' });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(late);
}
