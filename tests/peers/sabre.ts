/** sabre/dav, the library under Baikal, with Digest: ctag and ETags, no sync-collection (Debian's is 1.8). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { here } from './lib/here.ts';
import { ask } from './lib/http.ts';
import { systemPeer } from './lib/peer.ts';
import { findProgram, run } from './lib/run.ts';
import { openSandbox } from './lib/sandbox.ts';

export const sabre = systemPeer({
  name: 'sabre',
  had: 'Debian package',
  command: 'apt-get install php-cli php-sqlite3 php-sabre-dav curl',
  find: () =>
    findProgram('php') && findProgram('curl') && existsSync('/usr/share/php/Sabre/autoload.php'),
});

export interface Sabre extends AsyncDisposable {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly log: string;
  /** MKCALENDAR; returns its path. */
  createCalendar(name: string): Promise<string>;
  put(path: string, ics: string): Promise<void>;
  delete(path: string): Promise<void>;
}

/** Changes are made by curl, whose Digest is not ours. */
export async function startSabre(): Promise<Sabre> {
  const user = 'ada';
  const password = 'sabre-s3cret';
  const php = findProgram('php');
  if (!php) throw new Error(`Cannot start sabre/dav: no php; ${sabre.command}`);
  const sandbox = await openSandbox('sabre');
  try {
    const port = await sandbox.port();
    const url = `http://127.0.0.1:${port}`;
    const script = here(import.meta, 'sabre/server.php');
    const child = await sandbox.spawn('php', php, ['-S', `127.0.0.1:${port}`, script], {
      cwd: sandbox.folder,
      env: {
        SABRE_DB: join(sandbox.folder, 'db.sqlite'),
        SABRE_USER: user,
        SABRE_PASSWORD: password,
      },
      ready: () => ask(`${url}/`, { timeoutMs: 2_000 }).then((a) => a.status === 401, () => false),
    });
    const curl = async (method: string, path: string, body?: string) => {
      const data = body === undefined
        ? []
        : ['--data-binary', '@-', '-H', 'content-type: text/calendar'];
      const ran = await run('curl', [
        ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--digest', '-u', `${user}:${password}`],
        ...['-X', method, ...data, url + path],
      ], body === undefined ? {} : { stdin: body });
      if (!/^2/.test(ran.stdout)) {
        throw new Error(`Cannot ${method} ${path}: sabre/dav answered ${ran.stdout}`);
      }
    };
    return {
      url,
      user,
      password,
      log: child.log,
      async createCalendar(name) {
        await curl('MKCALENDAR', `/calendars/${user}/${name}`);
        return `/calendars/${user}/${name}/`;
      },
      put: (path, ics) => curl('PUT', path, ics),
      delete: (path) => curl('DELETE', path),
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}
