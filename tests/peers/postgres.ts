/** PostgreSQL of the system, with a password and checksums as in manifests/core. */
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemPeer } from './lib/peer.ts';
import { findProgram, run, runOk } from './lib/run.ts';
import { type Child, openSandbox } from './lib/sandbox.ts';

/** Where `initdb` and the others lie: Debian keeps them beside the library, by major version. */
function programs(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  const path = newest ? join(debian, newest, 'bin/initdb') : findProgram('initdb');
  return path && existsSync(path) ? dirname(realpathSync(path)) : undefined;
}

export const postgres = systemPeer({
  name: 'postgres',
  had: 'Debian package (its own major version: manifests/core pins another)',
  command: 'apt-get install --no-install-recommends postgresql',
  find: programs,
});

export interface Postgres extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The folder of pg_dump, pg_restore, createdb, psql. */
  readonly programs: string;
  /** Major version: `15`. */
  readonly version: string;
  readonly process: Child;
  /** Rows of one statement: fields parted by `|`, in `database` (default the user's). */
  sql(statement: string, database?: string): Promise<string>;
  /** Stops it, takes every byte away, and makes it anew as on its first day. */
  wipe(): Promise<void>;
  stop(): Promise<void>;
}

/** One role, superuser as POSTGRES_USER is in the image, and its database of the same name. */
export async function startPostgres(user: string): Promise<Postgres> {
  const bin = programs();
  if (!bin) throw new Error(`Cannot start PostgreSQL: ${postgres.missing()}; ${postgres.command}`);
  const sandbox = await openSandbox('postgres');
  try {
    const password = `${user}-database-test`;
    const port = await sandbox.port();
    // It refuses root, and the sandbox's folder is its owner's alone.
    const folder = mkdtempSync(join(tmpdir(), 'hackspace-postgres-'));
    sandbox.onEnd(() => rmSync(folder, { recursive: true, force: true }));
    const root = process.getuid?.() === 0;
    const nobody = 65534;
    const as = (...words: string[]): [string, string[]] =>
      root
        ? ['setpriv', [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', ...words]]
        : [words[0]!, words.slice(1)];
    const data = join(folder, 'data');
    const word = join(folder, 'password');
    writeFileSync(word, password, { mode: 0o600 });
    if (root) { for (const each of [folder, word]) chownSync(each, nobody, nobody); }
    const env = { PGPASSWORD: password, HOME: folder };
    const init = async () => {
      mkdirSync(data, { mode: 0o700 });
      if (root) chownSync(data, nobody, nobody);
      await runOk(
        ...as(
          ...[join(bin, 'initdb'), '--no-sync', '--auth=scram-sha-256', `--username=${user}`],
          ...['--encoding=UTF8', '--lc-collate=C', '--lc-ctype=C', '--data-checksums'],
          ...[`--pwfile=${word}`, '-D', data],
        ),
        { env, cwd: folder },
      );
    };
    const at = ['--host=127.0.0.1', `--port=${port}`, `--username=${user}`];
    const sql = async (statement: string, database = user) => {
      const args = ['-XAt', '-v', 'ON_ERROR_STOP=1', ...at, `--dbname=${database}`];
      const out = await runOk(join(bin, 'psql'), [...args, '-c', statement], { env });
      return out.trimEnd();
    };
    await init();
    const child = await sandbox.spawn(
      'postgres',
      ...as(
        ...[join(bin, 'postgres'), '-D', data, '-c', 'listen_addresses=127.0.0.1'],
        ...['-c', `port=${port}`, '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
      ),
      {
        cwd: folder,
        env,
        ready: () =>
          run(join(bin, 'pg_isready'), ['--quiet', ...at], { env }).then((r) => r.code === 0),
      },
    );
    await sql(`create database "${user}"`, 'postgres');
    return {
      port,
      user,
      password,
      programs: bin,
      version: (await sql('show server_version')).split('.')[0]!,
      process: child,
      sql,
      async wipe() {
        await child.stop('SIGINT');
        rmSync(data, { recursive: true });
        await init();
        await child.start();
        await sql(`create database "${user}"`, 'postgres');
      },
      stop: () => sandbox.end(),
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}
