/** A peer that is one command-line program: `run` for any exit code, `ok` for what must succeed. */
import { join } from 'node:path';
import type { Build, Peer } from './peer.ts';
import { type Ran, run, runOk, type RunOptions } from './run.ts';

export interface Tool {
  /** Path of the program. */
  readonly path: string;
  run(args: string[], options?: RunOptions): Promise<Ran>;
  ok(args: string[], options?: RunOptions): Promise<string>;
}

/** The program `binary` of a finished build; throws with the command that brings it when it is not there. */
export function tool(peer: Peer, build: Build, binary: string): Tool {
  const folder = build.folder();
  if (!folder) throw new Error(`Cannot run ${binary}: ${peer.missing()}; ${peer.command}`);
  const path = join(folder, 'bin', binary);
  return {
    path,
    run: (args, options) => run(path, args, options),
    ok: (args, options) => runOk(path, args, options),
  };
}
