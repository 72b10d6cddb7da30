/** talosctl as a child process: never with a secret in its arguments, never without a time-out. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AppError } from '@hackspace/kit/errors.ts';

const exec = promisify(execFile);

export type Talosctl = (args: string[], doing: string) => Promise<string>;

/** `path`: the program, or its name on PATH. The function gives what it printed; a failure throws `invalid` with its words. */
export function talosctlAt(path: string): Talosctl {
  return async (args, doing) => {
    try {
      const { stdout } = await exec(path, args, { timeout: 60_000, maxBuffer: 16 << 20 });
      return stdout;
    } catch (error) {
      const { code, stderr, message } = error as Error & { code?: unknown; stderr?: string };
      if (code === 'ENOENT') {
        throw new AppError(
          'unavailable',
          `Cannot ${doing}: there is no ${path}; set TALOSCTL to where it is`,
        );
      }
      const said = `${stderr || message}`.trim().slice(0, 2000);
      throw new AppError('invalid', `Cannot ${doing}: talosctl says ${said}`);
    }
  };
}
