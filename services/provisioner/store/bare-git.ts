import { AppError } from '@hackspace/kit/errors.ts';
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Git } from './git.ts';
import { type Backend, cleanPerson, type Person, RaceLost } from './store.ts';
import { tidier } from './tidy.ts';
import { Trees } from './trees.ts';

export interface GitOptions {
  /** The folder of the bare repository; made when it is missing. */
  dir: string;
  branch: string;
  committer: Person;
  /** An OpenSSH private key: every commit is signed with it. */
  signingKeyFile?: string | undefined;
  /** Public keys beside our own on whose commits we build, as in `authorized_keys`. */
  signersFile?: string | undefined;
}

const execute = promisify(execFile);
/** A lock older than this belongs to a git that was killed: `update-ref` holds one for ms. */
const STALE_LOCK_MS = 10_000;

export async function openBareRepository(
  options: GitOptions,
  config: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<Git> {
  try {
    await mkdir(options.dir, { recursive: true, mode: 0o750 });
  } catch (cause) {
    throw new AppError('unavailable', `Cannot open repository ${options.dir}`, { cause });
  }
  const signing = options.signingKeyFile ? await signers(options, options.signingKeyFile) : {};
  const git = new Git(options.dir, { ...signing, ...config }, env);
  if ((await git.run(['rev-parse', '--git-dir'])).code !== 0) {
    await git.ok(['init', '--quiet', '--bare', `--initial-branch=${options.branch}`, options.dir]);
  }
  return git;
}

/** Git's settings to sign by `keyFile`, and to know its commits and those of `signersFile` again. */
async function signers(options: GitOptions, keyFile: string): Promise<Record<string, string>> {
  const known = join(options.dir, 'provisioner-signers');
  try {
    const { stdout: own } = await execute('ssh-keygen', ['-y', '-f', keyFile], { timeout: 10_000 });
    const others = options.signersFile ? await readFile(options.signersFile, 'utf8') : '';
    const keys = `${own}\n${others}`.split('\n').filter((line) => /^(ssh|ecdsa|sk)-/.test(line));
    await writeFile(known, keys.map((key) => `* namespaces="git" ${key}\n`).join(''));
  } catch (cause) {
    throw new AppError('unavailable', `Cannot use signing key ${keyFile}`, { cause });
  }
  return {
    'gpg.format': 'ssh',
    'user.signingKey': keyFile,
    'gpg.ssh.allowedSignersFile': known,
  };
}

/**
 * The embedded default: a bare repository on disk, without a work tree. Several processes on one
 * disk may write: `update-ref` with the old value decides.
 */
export async function bareGit(options: GitOptions): Promise<Backend> {
  const git = await openBareRepository(options);
  const ref = `refs/heads/${options.branch}`;
  const committer = cleanPerson(options.committer);
  const tidy = tidier(git);
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
      tidy.published();
      return ids;
    },
    log: async (path, limit) => (await git.info(ref)) ? await git.log(ref, path, limit) : [],
    async close() {
      await tidy.close();
      git.close();
    },
  };
}

/** The reading half of a Backend, for every store that has a repository on disk. */
export function readers(git: Git): Pick<Backend, 'stat' | 'blob' | 'list'> {
  const trees = new Trees((name) => git.contents(name));
  return {
    async stat(revision, paths) {
      const found = new Map<string, string>();
      for (const path of paths) {
        const id = await trees.find(revision, path);
        if (id) found.set(path, id);
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
