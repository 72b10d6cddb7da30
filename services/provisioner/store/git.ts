import { AppError } from '@hackspace/kit/errors.ts';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Commit, LogEntry, Person } from './store.ts';

const TIMEOUT = 60_000;
const MAX_OUTPUT = 256 * 1024 * 1024;

export interface RunOptions {
  input?: string | Buffer;
  env?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface GitResult {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/**
 * The git program on one bare repository: no config but ours, no hooks, no prompts, no pager; what
 * it writes is synced before it ends. Needs git 2.36 or newer.
 */
export class Git {
  readonly dir: string;
  readonly #env: Record<string, string | undefined>;
  #reader: Reader | undefined;
  /** The last commit that we signed, and so need not look at. */
  #signed: string | undefined;

  constructor(dir: string, config: Record<string, string> = {}, env: Record<string, string> = {}) {
    this.dir = dir;
    const settings = Object.entries({
      'core.fsync': 'all',
      'core.fsyncMethod': 'batch',
      'core.hooksPath': '/dev/null',
      'gc.auto': '0',
      // A claim is one pack, not twenty files each synced; ids and hashes do not compress anyway.
      'fastimport.unpackLimit': '1',
      'transfer.unpackLimit': '1',
      'core.compression': '1',
      'transfer.fsckObjects': 'true',
      ...config,
    });
    this.#env = {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      GIT_DIR: dir,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      LC_ALL: 'C',
      GIT_CONFIG_COUNT: String(settings.length),
      ...env,
    };
    for (const [i, [key, value]] of settings.entries()) {
      this.#env[`GIT_CONFIG_KEY_${i}`] = key;
      this.#env[`GIT_CONFIG_VALUE_${i}`] = value;
    }
  }

  /** Runs to the end whatever the exit code. Throws AppError `unavailable` when it cannot. */
  run(
    args: string[],
    options: RunOptions = {},
  ): Promise<GitResult> {
    return new Promise((resolve, reject) => {
      const child = this.#spawn(args, options.env, options.signal);
      const out: Buffer[] = [];
      let size = 0;
      let stderr = '';
      const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? TIMEOUT);
      const fail = (why: string, cause?: unknown) => {
        clearTimeout(timer);
        child.kill('SIGKILL');
        reject(new AppError('unavailable', `Cannot run git ${args[0]}: ${why}`, { cause }));
      };
      child.on('error', (cause) => fail('the program does not start', cause));
      child.stdout.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_OUTPUT) fail('it printed too much');
        else out.push(chunk);
      });
      child.stderr.on('data', (chunk: Buffer) => {
        if (stderr.length < 8192) stderr += chunk.toString();
      });
      child.on('close', (code) => {
        if (code === null) return fail('it was ended by a signal or took too long');
        clearTimeout(timer);
        resolve({ code, stdout: Buffer.concat(out), stderr: stderr.trim() });
      });
      child.stdin.on('error', () => {}); // it ended early: its exit code tells
      child.stdin.end(options.input ?? '');
    });
  }

  /** `run` that must exit 0. */
  async ok(args: string[], options: RunOptions = {}): Promise<Buffer> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code === 0) return stdout;
    const why = stderr.split('\n').filter((line) => !line.startsWith('hint:')).at(-1) ?? '';
    throw new AppError('unavailable', `Cannot run git ${args[0]}: ${why || `exit code ${code}`}`);
  }

  #spawn(
    args: string[],
    env: Record<string, string> = {},
    signal?: AbortSignal,
  ): ChildProcessWithoutNullStreams {
    return spawn('git', args, {
      stdio: 'pipe',
      env: { ...this.#env, ...env },
      ...(signal ? { signal } : {}),
    });
  }

  /** The id and kind behind a name, through one long-lived `cat-file`. */
  async info(name: string): Promise<{ id: string; type: string } | undefined> {
    return await this.#read('info', name);
  }

  async contents(name: string): Promise<Buffer | undefined> {
    return (await this.#read('contents', name))?.bytes;
  }

  async #read(command: 'info' | 'contents', name: string): Promise<Answer | undefined> {
    if (/[\n\0]/.test(name)) return undefined;
    for (let attempt = 0;; attempt++) {
      if (!this.#reader?.alive) {
        this.#reader = new Reader(this.#spawn(['cat-file', '--batch-command']));
      }
      try {
        return await this.#reader.ask(command, name);
      } catch (error) {
        if (attempt > 0) throw error;
      }
    }
  }

  async list(revision: string, folder: string): Promise<Map<string, string>> {
    const out = await this.ok(['ls-tree', '-r', '-z', '--full-tree', revision, '--', `${folder}/`]);
    const found = new Map<string, string>();
    for (const line of out.toString('utf8').split('\0')) {
      const match = /^\d+ blob ([0-9a-f]+)\t(.*)$/s.exec(line);
      if (match) found.set(match[2]!, match[1]!);
    }
    return found;
  }

  /**
   * Writes a chain of commits on `parent` without moving any ref, and returns their ids. Flux checks
   * the newest signature alone, and ours would vouch for all that lies below it: so nothing is signed
   * on top of a commit whose signer is not known. Throws AppError `unavailable` then.
   */
  async write(
    parent: string | undefined,
    commits: readonly Commit[],
    committer: Person,
    signed: boolean,
  ): Promise<string[]> {
    if (signed && parent && parent !== this.#signed) {
      if ((await this.run(['verify-commit', parent])).code !== 0) {
        throw new AppError(
          'unavailable',
          'Cannot write to the tenants repo: its newest commit is signed by nobody whom we know',
        );
      }
    }
    const ids = await this.#import(parent, commits, committer);
    if (!signed) return ids;
    const chain: string[] = [];
    for (const [i, commit] of commits.entries()) {
      const previous = chain.at(-1) ?? parent;
      const out = await this.ok(
        ['commit-tree', '-S', ...(previous ? ['-p', previous] : []), `${ids[i]}^{tree}`],
        {
          input: commit.message,
          env: {
            GIT_AUTHOR_NAME: commit.author.name,
            GIT_AUTHOR_EMAIL: commit.author.email,
            GIT_AUTHOR_DATE: `${commit.time} +0000`,
            GIT_COMMITTER_NAME: committer.name,
            GIT_COMMITTER_EMAIL: committer.email,
            GIT_COMMITTER_DATE: `${commit.time} +0000`,
          },
        },
      );
      chain.push(out.toString().trim());
    }
    this.#signed = chain.at(-1);
    return chain;
  }

  async #import(
    parent: string | undefined,
    commits: readonly Commit[],
    committer: Person,
  ): Promise<string[]> {
    const branch = 'refs/provisioner/new';
    const parts: Buffer[] = [];
    const line = (text: string) => parts.push(Buffer.from(text + '\n'));
    const data = (bytes: Uint8Array) => {
      line(`data ${bytes.length}`);
      parts.push(Buffer.from(bytes), Buffer.from('\n'));
    };
    for (const [i, commit] of commits.entries()) {
      line(`commit ${branch}`);
      line(`mark :${i + 1}`);
      line(`author ${commit.author.name} <${commit.author.email}> ${commit.time} +0000`);
      line(`committer ${committer.name} <${committer.email}> ${commit.time} +0000`);
      data(Buffer.from(commit.message));
      if (i > 0) line(`from :${i}`);
      else if (parent) line(`from ${parent}`);
      for (const { path, bytes } of commit.files) {
        if (bytes === null) line(`D ${path}`);
        else {
          line(`M 100644 inline ${path}`);
          data(bytes);
        }
      }
      line('');
    }
    for (const i of commits.keys()) line(`get-mark :${i + 1}`);
    // Forgets the branch again: fast-import then writes objects and no ref at all.
    line(`reset ${branch}`);
    line('');
    line('done');
    const out = await this.ok(['fast-import', '--quiet', '--done', '--date-format=raw'], {
      input: Buffer.concat(parts),
    });
    return out.toString().trim().split('\n');
  }

  async log(revision: string, path: string, limit: number): Promise<LogEntry[]> {
    const out = await this.ok([
      'log',
      `-n${limit}`,
      '--format=%H%x00%an%x00%ct%x00%s%x00%(trailers:only,unfold)%x1e',
      revision,
      '--',
      path,
    ]);
    return out.toString().split('\x1e').map((entry) => entry.trim()).filter(Boolean).map(
      (entry) => {
        const [commit, author, time, subject, trailers] = entry.split('\0');
        return {
          commit: commit!,
          author: author!,
          time: new Date(Number(time) * 1000).toISOString(),
          subject: subject!,
          trailers: parseTrailers(trailers ?? ''),
        };
      },
    );
  }

  close(): void {
    this.#reader?.end();
  }
}

export function parseTrailers(text: string): Record<string, string> {
  const pairs = text.split('\n').map((line) => /^([A-Za-z][A-Za-z-]*): (.*)$/.exec(line));
  return Object.fromEntries(pairs.filter((m) => m !== null).map((m) => [m[1]!, m[2]!]));
}

interface Answer {
  id: string;
  type: string;
  bytes: Buffer | undefined;
}

/** One `cat-file --batch-command`: asked in order, answers in order. */
class Reader {
  alive = true;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #asked: {
    command: string;
    resolve(answer: Answer | undefined): void;
    reject(error: Error): void;
  }[] = [];
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = 0;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdout.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#size += chunk.length;
      if (this.#size >= this.#wanted) this.#parse();
    });
    child.stderr.resume();
    child.stdin.on('error', () => {});
    const ended = () => {
      this.alive = false;
      const error = new AppError('unavailable', 'Cannot read the repository: git cat-file ended');
      for (const { reject } of this.#asked.splice(0)) reject(error);
    };
    child.on('error', ended);
    child.on('close', ended);
  }

  ask(command: 'info' | 'contents', name: string): Promise<Answer | undefined> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ command, resolve, reject });
      this.#child.stdin.write(`${command} ${name}\n`);
    });
  }

  #parse(): void {
    let buffer = Buffer.concat(this.#chunks);
    this.#wanted = 0;
    while (this.#asked.length > 0) {
      const end = buffer.indexOf(10);
      if (end < 0) break;
      const head = buffer.subarray(0, end).toString();
      const match = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(head);
      let length = end + 1;
      let answer: Answer | undefined;
      if (match) {
        const size = Number(match[3]);
        const whole = this.#asked[0]!.command === 'contents';
        if (whole) length += size + 1;
        if (buffer.length < length) {
          this.#wanted = length;
          break;
        }
        const bytes = whole ? Buffer.from(buffer.subarray(end + 1, end + 1 + size)) : undefined;
        answer = { id: match[1]!, type: match[2]!, bytes };
      }
      buffer = buffer.subarray(length);
      this.#asked.shift()!.resolve(answer);
    }
    this.#chunks = buffer.length > 0 ? [buffer] : [];
    this.#size = buffer.length;
  }

  end(): void {
    this.#child.stdin.end();
  }
}
