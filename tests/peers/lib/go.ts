/** Programs built from the Go module proxy: recipe folder (go.mod, go.sum) in, binaries in the cache out. */
import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInto, built, recipeHash } from './cache.ts';
import { findProgram, run, runOk } from './run.ts';
import type { Build, BuildOptions } from './peer.ts';

export interface GoRecipe {
  name: string;
  /** The folder with go.mod and go.sum (and our own Go files, where there are any). */
  folder: string;
  /** Import path, or `.` for the recipe's own main package. */
  package: string;
  binary: string;
  /** `-X` definitions: the version a program calls itself. */
  defines?: Record<string, string>;
  tags?: string[];
  cgo?: boolean;
  /** The module below `folder` to build in, where the recipe has several. */
  module?: string;
  /** Part of the hash; change it when `after` changes. */
  afterKey?: string;
  /** Called in the module folder when the binary is there, to add what else the peer needs. */
  after?: (context: { module: string; out: string; env: Record<string, string> }) => Promise<void>;
}

/** The build of one Go program. Resumable: what was compiled stays in Go's own build cache. */
export function goBuild(recipe: GoRecipe): Build {
  const hash = recipeHash(recipe.folder, [
    recipe.package,
    recipe.binary,
    recipe.defines ?? {},
    recipe.tags ?? [],
    recipe.module ?? '',
    recipe.afterKey ?? '',
  ]);
  return {
    tools: recipe.cgo ? ['go', 'gcc'] : ['go'],
    key: `${recipe.name}-${hash}`,
    folder: () => built(recipe.name, hash),
    make: (options) => buildInto(recipe.name, hash, (out) => compile(recipe, out, options)),
  };
}

async function compile(recipe: GoRecipe, out: string, options: BuildOptions): Promise<void> {
  const go = findProgram('go');
  if (!go) throw new Error(`Cannot build ${recipe.name}: go is not on PATH (https://go.dev/dl)`);
  const env = { CGO_ENABLED: recipe.cgo ? '1' : '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' };
  const copy = mkdtempSync(join(tmpdir(), `hackspace-${recipe.name}-`));
  try {
    cpSync(recipe.folder, copy, { recursive: true });
    const module = join(copy, recipe.module ?? '.');
    const defines = Object.entries(recipe.defines ?? {}).map(([k, v]) => ` -X ${k}=${v}`).join('');
    const said: string[] = [];
    let downloads = 0, compiled = 0;
    const began = Date.now();
    const ran = await run('nice', [
      ...['-n', '10', go, 'build', '-v', '-trimpath', '-mod=readonly'],
      ...(recipe.tags ? ['-tags', recipe.tags.join(' ')] : []),
      ...['-ldflags', `-s -w${defines}`, '-o', join(out, 'bin', recipe.binary), recipe.package],
    ], {
      cwd: module,
      env,
      timeoutMs: options.timeoutMs ?? 3600_000,
      ...(options.signal ? { signal: options.signal } : {}),
      onLine(line) {
        if (line.startsWith('go: downloading ')) downloads++;
        else if (/^[\w.~/-]+$/.test(line)) compiled++;
        else said.push(line);
        const seconds = Math.round((Date.now() - began) / 1000);
        options.progress(
          `${downloads} modules fetched, ${compiled} packages compiled, ${seconds} s`,
        );
      },
    });
    if (ran.code !== 0) {
      throw new Error(
        `Cannot build ${recipe.name}: go build exited with ${ran.code}\n${
          said.slice(-15).join('\n')
        }`,
      );
    }
    await recipe.after?.({ module, out, env });
    // Kept beside the binary, so that a cache folder tells what it was made of.
    for (const name of ['go.mod', 'go.sum']) {
      if (existsSync(join(module, name))) copyFileSync(join(module, name), join(out, name));
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The folder of a module's source in Go's module cache. */
export async function moduleFolder(
  module: string,
  path: string,
  env: Record<string, string>,
): Promise<string> {
  const out = await runOk('go', ['list', '-m', '-f', '{{.Dir}}', path], { cwd: module, env });
  const folder = out.trim();
  if (!existsSync(folder)) throw new Error(`Cannot find the source of ${path}: not downloaded`);
  return folder;
}

/** The version a go.mod requires of a module, without the `v`. */
export function requiredVersion(goMod: string, path: string): string | undefined {
  const text = readFileSync(goMod, 'utf8');
  const line = text.split('\n').map((each) => each.trim().replace(/^require /, ''))
    .find((each) => each.startsWith(`${path} v`));
  return line?.split(' ')[1]?.slice(1);
}
