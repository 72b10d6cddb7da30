/** Gitea, the real forge server: contents API with several files a commit, branch protection, webhooks. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { giteaBuild } from './gitea/build.ts';
import { type Answer, type Ask, ask, statusOf } from './lib/http.ts';
import { builtPeer } from './lib/peer.ts';
import { runOk } from './lib/run.ts';
import { type Child, openSandbox, type Sandbox } from './lib/sandbox.ts';
import type { Postgres } from './postgres.ts';

export const gitea = builtPeer({
  name: 'gitea',
  version: versions.tools.gitea,
  had: 'built from the Go module proxy (no web frontend assets); not Forgejo',
  builds: [giteaBuild],
});

export interface GiteaUser {
  readonly name: string;
  readonly password: string;
  readonly token: string;
}

export interface GiteaOptions {
  /** Default SQLite in its folder. */
  database?: Postgres;
}

export interface Gitea extends AsyncDisposable {
  readonly url: string;
  /** All that it keeps but for the database: repositories, attachments, its configuration. */
  readonly folder: string;
  /** The site admin, with a token for everything. */
  readonly admin: GiteaUser;
  readonly process: Child;
  /** A request to `/api/v1` + path, with a token (default the admin's; '' for none). */
  api(path: string, options?: Ask & { token?: string }): Promise<Answer>;
  /** `api` that insists on 2xx; undefined where there is no body. */
  // deno-lint-ignore no-explicit-any -- the shape is the server's
  call(path: string, options?: Ask & { token?: string }): Promise<any>;
  /** A user with a token of these scopes; default write:repository. */
  createUser(name: string, scopes?: string[]): Promise<GiteaUser>;
  /** A private repository of the admin, with a first commit on main; `writers` may push. */
  createRepository(name: string, writers?: GiteaUser[]): Promise<GiteaRepository>;
  stop(): Promise<void>;
}

export interface GiteaRepository {
  readonly owner: string;
  readonly name: string;
  /** For git, without credentials. */
  readonly cloneUrl: string;
}

export async function startGitea({ database }: GiteaOptions = {}): Promise<Gitea> {
  const folder = giteaBuild.folder();
  if (!folder) throw new Error(`Cannot start Gitea: ${gitea.missing()}; ${gitea.command}`);
  const sandbox = await openSandbox('gitea');
  try {
    const port = await sandbox.port();
    const url = `http://127.0.0.1:${port}`;
    const { program, config, env } = prepare(sandbox, folder, url, port, database);
    const cli = (...args: string[]) =>
      runOk(program, [...args, '--config', config, '--work-path', sandbox.folder], { env });
    await cli('migrate');
    const admin = { name: 'root-admin', password: 'gitea-test-password' };
    await cli(
      ...['admin', 'user', 'create', '--admin', '--must-change-password=false'],
      ...['--username', admin.name, '--password', admin.password, '--email', 'admin@gitea.test'],
    );
    const said = await cli(
      ...['admin', 'user', 'generate-access-token', '--raw', '--scopes', 'all'],
      ...['--username', admin.name, '--token-name', 'test'],
    );
    const token = said.trim().split('\n').at(-1)!;
    const args = ['web', '--config', config, '--work-path', sandbox.folder];
    const child = await sandbox.spawn('gitea', program, args, {
      env,
      ready: () => statusOf(`${url}/api/healthz`).then((status) => status === 200),
    });
    return new Running(url, sandbox.folder, { ...admin, token }, child, () => sandbox.end());
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

function prepare(
  sandbox: Sandbox,
  folder: string,
  url: string,
  port: number,
  database?: Postgres,
) {
  const config = join(sandbox.folder, 'app.ini');
  mkdirSync(join(sandbox.folder, 'data'));
  writeFileSync(
    config,
    `RUN_USER = ${userInfo().username}
RUN_MODE = prod
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = ${url}/
STATIC_ROOT_PATH = ${join(folder, 'static')}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
${
      database
        ? `DB_TYPE = postgres
HOST = 127.0.0.1:${database.port}
NAME = ${database.user}
USER = ${database.user}
PASSWD = ${database.password}`
        : `DB_TYPE = sqlite3
PATH = ${join(sandbox.folder, 'data/gitea.db')}
SQLITE_JOURNAL_MODE = WAL`
    }
[repository]
ROOT = ${join(sandbox.folder, 'repositories')}
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
SECRET_KEY = for-tests-only
PASSWORD_HASH_ALGO = pbkdf2_hi
[service]
DISABLE_REGISTRATION = true
REQUIRE_SIGNIN_VIEW = true
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
MODE = console
LEVEL = Warn
[actions]
ENABLED = false
[packages]
ENABLED = false
[cron]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
`,
    { mode: 0o600 },
  );
  const env = {
    HOME: sandbox.folder,
    GITEA_WORK_DIR: sandbox.folder,
    // It refuses root otherwise; where tests run as root they run in a container.
    GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT: 'true',
  };
  return { program: join(folder, 'bin', 'gitea'), config, env };
}

class Running implements Gitea {
  readonly url: string;
  readonly folder: string;
  readonly admin: GiteaUser;
  readonly process: Child;
  readonly #end: () => Promise<void>;

  constructor(
    url: string,
    folder: string,
    admin: GiteaUser,
    process: Child,
    end: () => Promise<void>,
  ) {
    this.url = url;
    this.folder = folder;
    this.admin = admin;
    this.process = process;
    this.#end = end;
  }

  api(path: string, { token = this.admin.token, ...options }: Ask & { token?: string } = {}) {
    const headers = { ...(token ? { authorization: `token ${token}` } : {}), ...options.headers };
    return ask(`${this.url}/api/v1${path}`, { timeoutMs: 20_000, ...options, headers });
  }
  async call(path: string, options: Ask & { token?: string } = {}) {
    const answer = await this.api(path, options);
    if (answer.status < 200 || answer.status > 299) {
      const what = `${options.method ?? 'GET'} ${path}`;
      throw new Error(`Cannot ${what} in Gitea: ${answer.status}: ${answer.text.slice(0, 300)}`);
    }
    return answer.text === '' ? undefined : answer.json();
  }
  async createUser(name: string, scopes = ['write:repository']): Promise<GiteaUser> {
    const password = `${name}-test-password`;
    const user = { username: name, password, email: `${name}@gitea.test` };
    const body = { ...user, must_change_password: false };
    await this.call('/admin/users', { method: 'POST', body });
    // Tokens are made with the password, not with another token.
    const headers = { authorization: `Basic ${btoa(`${name}:${password}`)}` };
    const made = await this.call(`/users/${name}/tokens`, {
      method: 'POST',
      token: '',
      headers,
      body: { name: 'test', scopes },
    });
    return { name, password, token: made.sha1 };
  }
  async createRepository(name: string, writers: GiteaUser[] = []): Promise<GiteaRepository> {
    const body = { name, private: true, auto_init: true, default_branch: 'main' };
    const made = await this.call('/user/repos', { method: 'POST', body });
    const owner = this.admin.name;
    for (const writer of writers) {
      const path = `/repos/${owner}/${name}/collaborators/${writer.name}`;
      await this.call(path, { method: 'PUT', body: { permission: 'write' } });
    }
    return { owner, name, cloneUrl: made.clone_url };
  }
  stop() {
    return this.#end();
  }
  [Symbol.asyncDispose]() {
    return this.#end();
  }
}
