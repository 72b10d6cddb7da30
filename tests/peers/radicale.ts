/** Radicale, the real CalDAV server: users with passwords (Basic), or open to all. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, type Ask, ask } from './lib/http.ts';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';
import { openSandbox } from './lib/sandbox.ts';

export const radicale = systemPeer({
  name: 'radicale',
  had: 'Debian package',
  command: 'apt-get install radicale',
  find: () => findProgram('radicale'),
});

export interface RadicaleOptions {
  /** Passwords by user name; each user owns `/NAME/`. Default: ada, lovelace. */
  users?: Record<string, string>;
}

export interface Radicale extends AsyncDisposable {
  readonly url: string;
  readonly log: string;
  /** A request as `user`, with a password known from the options. */
  as(user: string, path: string, options?: Ask): Promise<Answer>;
  /** MKCALENDAR; returns the URL of the calendar. */
  createCalendar(user: string, name: string): Promise<string>;
  put(user: string, path: string, ics: string): Promise<void>;
  delete(user: string, path: string): Promise<void>;
  /** Makes the server forget every sync token it gave out, as an expired history does. */
  forgetSyncTokens(user: string, name: string): void;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRadicale(options: RadicaleOptions = {}): Promise<Radicale> {
  const users = options.users ?? { ada: 'lovelace' };
  const program = findProgram('radicale');
  if (!program) throw new Error(`Cannot start Radicale: not on PATH; ${radicale.command}`);
  const sandbox = await openSandbox('radicale');
  try {
    const { folder } = sandbox;
    const port = await sandbox.port();
    const url = `http://127.0.0.1:${port}`;
    const data = join(folder, 'data');
    mkdirSync(data);
    const passwords = Object.entries(users).map(([name, word]) => `${name}:${word}\n`).join('');
    writeFileSync(join(folder, 'users'), passwords, { mode: 0o600 });
    writeFileSync(
      join(folder, 'config'),
      `[server]
hosts = 127.0.0.1:${port}
[auth]
type = htpasswd
htpasswd_filename = ${join(folder, 'users')}
htpasswd_encryption = plain
delay = 0
[rights]
type = owner_only
[storage]
filesystem_folder = ${data}
[logging]
level = warning
`,
    );
    const child = await sandbox.spawn('radicale', program, ['-C', join(folder, 'config')], {
      ready: () => ask(`${url}/.web/`, { timeoutMs: 2_000 }).then(() => true, () => false),
    });
    const as = (user: string, path: string, request: Ask = {}) => {
      const basic = Buffer.from(`${user}:${users[user]}`).toString('base64');
      const headers = { authorization: `Basic ${basic}`, ...request.headers };
      // a big calendar takes it seconds on a busy machine
      return ask(url + path, { timeoutMs: 60_000, ...request, headers });
    };
    const must = async (what: string, answer: Promise<Answer>) => {
      const { status } = await answer;
      if (status >= 300) throw new Error(`Cannot ${what}: Radicale answered ${status}`);
    };
    return {
      url,
      log: child.log,
      as,
      async createCalendar(user, name) {
        await must('create calendar', as(user, `/${user}/${name}/`, { method: 'MKCALENDAR' }));
        return `${url}/${user}/${name}/`;
      },
      put: (user, path, ics) =>
        must(
          'put event',
          as(user, path, {
            method: 'PUT',
            headers: { 'content-type': 'text/calendar' },
            body: ics,
          }),
        ),
      delete: (user, path) => must('delete event', as(user, path, { method: 'DELETE' })),
      forgetSyncTokens(user, name) {
        const calendar = join(data, 'collection-root', user, name, '.Radicale.cache');
        rmSync(join(calendar, 'sync-token'), { recursive: true, force: true });
      },
      async restart() {
        await child.stop();
        await child.start();
      },
      stop: () => child.stop(),
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}
