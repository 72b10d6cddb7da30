/**
 * What every peer runs in: a folder, reserved ports and child processes that end together. Whatever is
 * started here is written down before it runs, so that the next run can sweep it if this one is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { removeFolder } from './folder.ts';
import { logFolder } from './logs.ts';
import { identify, isAlive, type ProcessId, waitUntilGone } from './owner.ts';
import { type ReservedPort, reservePort } from './ports.ts';
import { stateFolder } from './state.ts';
import { forget, record, sweep } from './sweep.ts';
import { tail, waitFor } from './wait.ts';

export interface SpawnOptions {
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Polled until true; the start fails when the process ends before that, or after `readyMs`. */
  ready?: () => Promise<boolean>;
  /** Default 60,000 milliseconds. */
  readyMs?: number;
  /** It has processes of its own to end: SIGTERM and 20 s before SIGKILL, in a sweep too. */
  gentle?: boolean;
  /** Written to standard input, which is then closed. */
  stdin?: string;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Standard output and standard error, appended across restarts. */
  readonly log: string;
  running(): boolean;
  /** Ends the process: `signal` (default SIGTERM), then SIGKILL after `graceMs` (default 5,000). */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again with the same arguments and waits until it is ready. */
  start(): Promise<void>;
}

export interface Sandbox extends AsyncDisposable {
  readonly name: string;
  readonly folder: string;
  port(): Promise<number>;
  spawn(name: string, command: string, args: string[], options?: SpawnOptions): Promise<Child>;
  /** Containers in this engine bear the label `containerLabel`=folder; a sweep removes them. */
  useEngine(host: string | undefined): void;
  /** Called, last first, when the sandbox ends, before its processes do. */
  onEnd(end: () => unknown): void;
  /** Ends it all; twice is once. */
  end(): Promise<void>;
}

let swept = false;
const open = new Set<Sandbox>();

/** Ends whatever this process has open, also what is still being started: for a Ctrl-C. */
export async function endSandboxes(): Promise<void> {
  await Promise.allSettled([...open].map((each) => each.end()));
}

/** Opens a sandbox; the first of a process sweeps what dead runs left behind. */
export async function openSandbox(name: string): Promise<Sandbox> {
  if (!swept) {
    swept = true;
    await sweep();
  }
  const folders = join(stateFolder(), 'run');
  mkdirSync(folders, { recursive: true });
  const folder = mkdtempSync(join(folders, `${name}-`));
  let engine: string | undefined;
  const write = () =>
    record({
      folder,
      children: children.map((each) => each.id).filter((id) => id !== undefined),
      ...(engine ? { engine } : {}),
    });
  const children: Started[] = [];
  const ports: ReservedPort[] = [];
  const ends: (() => unknown)[] = [];
  write();
  let ended: Promise<void> | undefined;

  const endAll = async () => {
    open.delete(sandbox);
    const failures: unknown[] = [];
    for (const each of ends.reverse()) {
      try {
        await each();
      } catch (error) {
        failures.push(error);
      }
    }
    // The data goes with them, so there is nothing to shut down in order.
    await Promise.all(children.map((child) => child.end()));
    for (const port of ports) port[Symbol.dispose]();
    if (removeFolder(folder)) forget(folder);
    if (failures.length > 0) throw failures[0];
  };

  const sandbox: Sandbox = {
    name,
    folder,
    async port() {
      const reserved = await reservePort();
      ports.push(reserved);
      return reserved.port;
    },
    async spawn(childName, command, args, options = {}) {
      if (ended) throw new Error(`Cannot start ${childName}: ${name} was ended`);
      const log = join(logFolder(), `${folder.split('/').at(-1)}-${childName}.log`);
      const child = new Started(childName, log, command, args, options, write);
      children.push(child);
      await child.start();
      return child;
    },
    useEngine(host) {
      engine = host ?? 'default';
      write();
    },
    onEnd: (each) => void ends.push(each),
    end: () => (ended ??= endAll()),
    [Symbol.asyncDispose]: () => (ended ??= endAll()),
  };
  open.add(sandbox);
  return sandbox;
}

class Started implements Child {
  readonly name: string;
  readonly log: string;
  id: ProcessId | undefined;
  #process: ChildProcess | undefined;
  readonly #command: string;
  readonly #args: string[];
  readonly #options: SpawnOptions;
  readonly #changed: () => void;

  constructor(
    name: string,
    log: string,
    command: string,
    args: string[],
    options: SpawnOptions,
    changed: () => void,
  ) {
    this.name = name;
    this.log = log;
    this.#command = command;
    this.#args = args;
    this.#options = options;
    this.#changed = changed;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  running(): boolean {
    return this.id !== undefined && isAlive(this.id);
  }

  async start(): Promise<void> {
    if (this.running()) throw new Error(`Cannot start ${this.name}: it is running`);
    const { env, cwd, ready, readyMs = 60_000, stdin } = this.#options;
    const log = openSync(this.log, 'a');
    const child = spawn(this.#command, this.#args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [stdin === undefined ? 'ignore' : 'pipe', log, log],
      // A process group of its own: Ctrl-C in the terminal is ours to handle, and children of children end too.
      detached: true,
    });
    closeSync(log);
    const failed = new Promise<Error>((done) => child.once('error', done));
    if (child.pid === undefined) {
      throw new Error(`Cannot start ${this.name}: ${(await failed).message}`);
    }
    child.unref();
    this.#process = child;
    this.id = identify(child.pid) ?? { pid: child.pid, started: 'gone' };
    if (this.#options.gentle) this.id.gentle = true;
    this.#changed();
    if (stdin !== undefined) child.stdin?.end(stdin);
    if (!ready) return;
    await waitFor(`${this.name} to be ready`, async () => {
      if (!this.running()) {
        throw new Error(`Cannot start ${this.name}: it ended at once\n${tail(this.log, 20)}`);
      }
      return await ready();
    }, { ms: readyMs, explain: () => tail(this.log, 20) });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<void> {
    if (!this.id || !this.running()) return;
    signalGroup(this.id.pid, signal);
    if (!(await waitUntilGone(this.id, graceMs))) signalGroup(this.id.pid, 'SIGKILL');
    if (!(await waitUntilGone(this.id, 10_000))) {
      throw new Error(`Cannot stop ${this.name}: process ${this.id.pid} outlived SIGKILL by 10 s`);
    }
    this.#changed();
  }

  kill(): Promise<void> {
    return this.stop('SIGKILL');
  }

  end(): Promise<void> {
    return this.#options.gentle ? this.stop('SIGTERM', 20_000) : this.kill();
  }
}

/** The whole group where there is one: kc.sh is a shell with Java as its child. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch {
      // gone, or no group of that number
    }
  }
}
