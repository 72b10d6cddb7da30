/** One command from start to end, with its output; no shell. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string | undefined>;
  stdin?: string;
  /** Default 60,000 milliseconds; then SIGKILL and a rejection. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Each line of standard error as it comes. */
  onLine?: (line: string) => void;
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs to the end; any exit code is a result. Rejects when it cannot start, is aborted or takes too long. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<Ran> {
  const { cwd, env, stdin, timeoutMs = 60_000, signal, onLine } = options;
  return new Promise((done, fail) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const end = () => {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // over already
      }
    };
    let why = '';
    const timer = setTimeout(() => {
      why = `no end after ${timeoutMs / 1000} s`;
      end();
    }, timeoutMs);
    const abort = () => {
      why = 'stopped';
      end();
    };
    signal?.addEventListener('abort', abort, { once: true });
    let stdout = '', stderr = '', line = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => stdout += text);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (!onLine) return;
      const lines = (line + text).split('\n');
      line = lines.pop()!;
      for (const each of lines) onLine(each);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
    child.once('error', (error) => {
      clearTimeout(timer);
      fail(new Error(`Cannot run ${command}: ${error.message}`, { cause: error }));
    });
    child.once('close', (code, killedBy) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      if (why) fail(new Error(`Cannot finish ${command} ${args[0] ?? ''}: ${why}`));
      else done({ code: code ?? (killedBy ? 128 : 1), stdout, stderr });
    });
  });
}

/** Standard output of a command that must succeed. */
export async function runOk(
  command: string,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) {
    const said = (stderr || stdout).trim().split('\n').slice(-15).join('\n');
    throw new Error(`Cannot run ${command} ${args.slice(0, 4).join(' ')}: exit ${code}: ${said}`);
  }
  return stdout;
}

/** The path of a program, on PATH or where Debian puts servers. */
export function findProgram(name: string): string | undefined {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/opt/homebrew/bin',
  ];
  for (const folder of folders) {
    if (!folder) continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // not here
    }
  }
  return undefined;
}
