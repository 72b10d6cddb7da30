/** Where built programs are kept: one folder a recipe, named after the recipe's hash, complete or not there. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { claim } from './claim.ts';

/** The user's cache folder of peers: `HACKSPACE_PEERS`, else below the XDG cache folder. */
export function cacheFolder(): string {
  const given = process.env.HACKSPACE_PEERS;
  if (given) return resolve(given);
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hackspace', 'peers');
}

/**
 * A hash over everything that decides what a build yields: the names and bytes of the recipe's files, and
 * `facts` (flags, package, platform). Another file, another flag: another folder.
 */
export function recipeHash(folder: string | undefined, facts: unknown): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([process.platform, process.arch, facts]));
  for (const file of folder ? filesBelow(folder) : []) {
    const bytes = readFileSync(file);
    hash.update(`\0${relative(folder!, file)}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex').slice(0, 16);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    });
}

/** The folder of a finished build, or undefined. */
export function built(name: string, hash: string): string | undefined {
  const folder = join(cacheFolder(), `${name}-${hash}`);
  return existsSync(folder) ? folder : undefined;
}

/**
 * Runs `make(folder)` in a fresh folder and moves it into place when it succeeded; a killed build leaves
 * nothing that looks finished. Two processes that want the same build take turns.
 */
export async function buildInto(
  name: string,
  hash: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  await using _turn = await claim(join(cache, `${name}-${hash}.lock`));
  const done = built(name, hash);
  if (done) return done;
  const folder = join(cache, `${name}-${hash}.part`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await make(folder);
  const final = join(cache, `${name}-${hash}`);
  renameSync(folder, final);
  return final;
}

/** Removes builds of recipes that are no longer current; returns their names and sizes in bytes. */
export function removeStale(current: ReadonlySet<string>): { name: string; bytes: number }[] {
  const cache = cacheFolder();
  if (!existsSync(cache)) return [];
  return readdirSync(cache)
    .filter((name) => /-[0-9a-f]{16}(\.part)?$/.test(name) && !current.has(name))
    .map((name) => {
      const folder = join(cache, name);
      const bytes = filesBelow(folder).reduce((sum, file) => sum + statSync(file).size, 0);
      rmSync(folder, { recursive: true, force: true });
      return { name, bytes };
    });
}
