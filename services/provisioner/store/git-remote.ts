import { AppError } from '@hackspace/kit/errors.ts';
import { readSecret } from '@hackspace/kit/config.ts';
import { type GitOptions, openBareRepository, readers } from './bare-git.ts';
import { type Backend, cleanPerson, RaceLost } from './store.ts';
import { tidier } from './tidy.ts';

export interface RemoteOptions extends GitOptions {
  /** `https://…`, `ssh://…`; `http://` on loopback only. Without user and password. */
  url: string;
  /** For https: a user and the file of their password or token. */
  username?: string | undefined;
  tokenFile?: string | undefined;
  /** For ssh: a private key, and the host keys that are accepted. */
  sshKeyFile?: string | undefined;
  knownHostsFile?: string | undefined;
}

/** What git says when somebody else was faster, on this side or on the server's. */
const LOST =
  /stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref|already exists|incorrect old value/i;

/** How old the local copy may be for reading, in ms; a write that loses the race always fetches. */
const FRESH_MS = 3000;

/**
 * Any git server, by pushing: a local copy to read from, and a push without force, which the server
 * itself compares and swaps.
 */
export async function gitRemote(options: RemoteOptions): Promise<Backend> {
  const url = new URL(options.url);
  const local = url.hostname === '127.0.0.1' || url.hostname === '[::1]';
  if (
    !(url.protocol === 'https:' || url.protocol === 'ssh:' || (url.protocol === 'http:' && local))
  ) {
    throw new AppError('invalid', 'Cannot use the tenants repo: its URL must be https or ssh');
  }
  if (url.password || (url.username && url.protocol !== 'ssh:')) {
    throw new AppError('invalid', 'Cannot use the tenants repo: its URL must hold no credentials');
  }
  const git = await openBareRepository(options, {
    'protocol.allow': 'never',
    [`protocol.${url.protocol.slice(0, -1)}.allow`]: 'always',
    'http.followRedirects': 'false',
    'http.lowSpeedLimit': '100',
    'http.lowSpeedTime': '20',
    ...await credentials(options),
  }, ssh(options));
  const ref = `refs/heads/${options.branch}`;
  const committer = cleanPerson(options.committer);
  const tidy = tidier(git);
  let fetched = -Infinity;

  // One at a time: two fetches, or a fetch and a push, fight for the local ref, and the slower one
  // would put it back.
  let turn: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work, work);
    turn = done.catch(() => {});
    return done;
  }
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** A fetch that begins after this call: one for all that ask before it does. */
  function fetchAnew(): Promise<void> {
    return next ??= inTurn(() => {
      next = undefined;
      running = fetch().finally(() => running = undefined);
      return running;
    });
  }
  async function fetchIfOld(): Promise<void> {
    if (performance.now() - fetched > FRESH_MS) await (running ?? fetchAnew());
  }

  async function fetch(): Promise<void> {
    const { code, stderr } = await git.run([
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      options.url,
      `+${ref}:${ref}`,
    ]);
    if (code !== 0 && !/couldn't find remote ref/i.test(stderr)) {
      throw refusal('fetch from', stderr);
    }
    fetched = performance.now();
  }

  return {
    ...readers(git),
    maxBatch: 100,
    async head(fresh) {
      await (fresh ? fetchAnew() : fetchIfOld());
      return (await git.info(ref))?.id;
    },
    publish: (parent, commits) =>
      inTurn(async () => {
        const ids = await git.write(
          parent,
          commits,
          committer,
          options.signingKeyFile !== undefined,
        );
        const head = ids.at(-1)!;
        // The lease makes a push onto an empty branch compare as well.
        const { code, stdout, stderr } = await git.run([
          'push',
          '--quiet',
          '--porcelain',
          `--force-with-lease=${ref}:${parent ?? ''}`,
          options.url,
          `${head}:${ref}`,
        ]);
        if (code !== 0) {
          fetched = -Infinity;
          // With --porcelain the reason of each ref is on standard output.
          const said = `${stdout}\n${stderr}`;
          if (LOST.test(said)) throw new RaceLost(said);
          throw refusal('push to', said);
        }
        await git.ok(['update-ref', ref, head]);
        fetched = performance.now();
        tidy.published();
        return ids;
      }),
    async log(path, limit) {
      await fetchIfOld();
      return (await git.info(ref)) ? await git.log(ref, path, limit) : [];
    },
    async close() {
      await tidy.close();
      git.close();
    },
  };
}

/** The server's own words may hold the URL, so only the kind of refusal is told. */
function refusal(attempt: string, stderr: string): AppError {
  if (/host key verification failed/i.test(stderr)) {
    const why = 'the host key is not the known one';
    return new AppError('forbidden', `Cannot ${attempt} the tenants repo: ${why}`);
  }
  const denied = /authentication|authoriz|permission denied|\b40[13]\b|could not read username/i;
  if (denied.test(stderr)) {
    return new AppError(
      'forbidden',
      `Cannot ${attempt} the tenants repo: the credential is refused`,
    );
  }
  if (/hook declined|protected/i.test(stderr)) {
    return new AppError('forbidden', `Cannot ${attempt} the tenants repo: the server forbids it`);
  }
  const cause = new Error(stderr.slice(0, 500));
  return new AppError('unavailable', `Cannot ${attempt} the tenants repo`, { cause });
}

async function credentials(options: RemoteOptions): Promise<Record<string, string>> {
  if (!options.tokenFile) return {};
  const token = (await readSecret(options.tokenFile)).reveal();
  const pair = Buffer.from(`${options.username ?? 'git'}:${token}`).toString('base64');
  // By environment, not by argument: other users of the machine cannot read it.
  return { 'http.extraHeader': `Authorization: Basic ${pair}` };
}

function ssh(options: RemoteOptions): Record<string, string> {
  if (!options.sshKeyFile) return {};
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const known = options.knownHostsFile ?? '/etc/ssh/ssh_known_hosts';
  const settings = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    'ConnectTimeout=10',
    'ServerAliveInterval=5',
    `UserKnownHostsFile=${known}`,
  ];
  const words = ['ssh', '-F', '/dev/null', '-i', quote(options.sshKeyFile)];
  return {
    GIT_SSH_COMMAND: [...words, ...settings.flatMap((s) => ['-o', quote(s)])].join(' '),
  };
}
