import { AppError } from '@hackspace/kit/errors.ts';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Git } from './git.ts';
import { type Backend, cleanPerson, type Person, RaceLost } from './store.ts';

export interface GitOptions {
  /** The folder of the bare repository; made when it is missing. */
  dir: string;
  branch: string;
  committer: Person;
  /** An OpenSSH private key: every commit is signed with it. */
  signingKeyFile?: string | undefined;
}

/** A lock older than this belongs to a git that was killed: `update-ref` holds one for ms. */
const STALE_LOCK_MS = 10_000;
const GC_EVERY = 500;

export async function openBareRepository(
  options: GitOptions,
  config: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<Git> {
  const signing = options.signingKeyFile
    ? { 'gpg.format': 'ssh', 'user.signingKey': options.signingKeyFile }
    : {};
  try {
    await mkdir(options.dir, { recursive: true, mode: 0o750 });
  } catch (cause) {
    throw new AppError('unavailable', `Cannot open repository ${options.dir}`, { cause });
  }
  const git = new Git(options.dir, { ...signing, ...config }, env);
  if ((await git.run(['rev-parse', '--git-dir'])).code !== 0) {
    await git.ok(['init', '--quiet', '--bare', `--initial-branch=${options.branch}`, options.dir]);
  }
  return git;
}

/**
 * The embedded default: a bare repository on disk, without a work tree. Several processes on one
 * disk may write: `update-ref` with the old value decides.
 */
export async function bareGit(options: GitOptions): Promise<Backend> {
  const git = await openBareRepository(options);
  const ref = `refs/heads/${options.branch}`;
  const committer = cleanPerson(options.committer);
  let written = 0;
  return {
    ...readers(git),
    maxBatch: 200,
    head: async () => (await git.info(ref))?.id,
    async publish(parent, commits) {
      const ids = await git.write(parent, commits, committer, options.signingKeyFile !== undefined);
      const old = parent ?? '0'.repeat(40);
      const { code, stderr } = await git.run(['update-ref', ref, ids.at(-1)!, old]);
      if (code !== 0) {
        if (/cannot lock ref|unable to (create|resolve)/i.test(stderr)) {
          await dropStaleLock(join(options.dir, `${ref}.lock`));
          throw new RaceLost(stderr);
        }
        throw new AppError('unavailable', `Cannot move ${ref}: ${stderr}`);
      }
      if ((written += commits.length) >= GC_EVERY) {
        written = 0;
        void git.run(
          ['-c', 'gc.auto=2000', '-c', 'gc.autoDetach=false', 'gc', '--auto', '--quiet'],
          {
            timeoutMs: 600_000,
          },
        ).catch(() => {});
      }
      return ids;
    },
    log: async (path, limit) => (await git.info(ref)) ? await git.log(ref, path, limit) : [],
    async close() {
      git.close();
    },
  };
}

/** The reading half of a Backend, for every store that has a repository on disk. */
export function readers(git: Git): Pick<Backend, 'stat' | 'blob' | 'list'> {
  return {
    async stat(revision, paths) {
      const infos = await Promise.all(paths.map((path) => git.info(`${revision}:${path}`)));
      const found = new Map<string, string>();
      for (const [i, info] of infos.entries()) {
        if (info?.type === 'blob') found.set(paths[i]!, info.id);
      }
      return found;
    },
    async blob(id) {
      const bytes = await git.contents(id);
      if (!bytes) {
        throw new AppError('unavailable', 'Cannot read the repository: a blob is missing');
      }
      return new Uint8Array(bytes);
    },
    list: (revision, folder) => git.list(revision, folder),
  };
}

async function dropStaleLock(path: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > STALE_LOCK_MS) await rm(path, { force: true });
  } catch {
    // no lock: somebody else simply was faster
  }
}
