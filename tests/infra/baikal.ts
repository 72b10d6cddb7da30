/** sabre/dav over a folder laid out as Baikal's: `Specific/db/db.sqlite` and `config/`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { here } from '../peers/lib/here.ts';
import { ask } from '../peers/lib/http.ts';
import { findProgram, run } from '../peers/lib/run.ts';
import { type Child, openSandbox } from '../peers/lib/sandbox.ts';

export interface Source extends AsyncDisposable {
  readonly folder: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** By curl, whose Digest is not ours. */
  request(method: string, path: string, body?: string): Promise<string>;
  /** Every event's text, sorted; empty without the calendar. */
  events(): Promise<string[]>;
}

export async function startSource(): Promise<Source> {
  const sandbox = await openSandbox('baikal');
  const baikal = join(sandbox.folder, 'baikal');
  const port = await sandbox.port();
  const url = `http://127.0.0.1:${port}`;
  const account = ['--digest', '-u', 'ada:calendar-test'];
  let child: Child | undefined;
  const request = async (method: string, path: string, body?: string) => {
    const data = body === undefined
      ? []
      : ['--data-binary', '@-', '-H', 'content-type: text/calendar'];
    const args = ['-s', '-w', '\n%{http_code}', ...account, '-X', method, ...data, url + path];
    const { stdout } = await run('curl', args, body === undefined ? {} : { stdin: body });
    return stdout;
  };
  return {
    folder: sandbox.folder,
    request: async (method, path, body) => {
      const answer = await request(method, path, body);
      if (!/\n2\d\d$/.test(answer)) throw new Error(`Cannot ${method} ${path}: ${answer}`);
      return answer;
    },
    async events() {
      const list = await request('PROPFIND', '/calendars/ada/evenings/');
      const paths = [...list.matchAll(/<d:href>([^<]+\.ics)<\/d:href>/g)].map(([, path]) => path!);
      const texts = await Promise.all(paths.map((path) => request('GET', path)));
      return texts.map((text) => text.replace(/\n\d{3}$/, '')).sort();
    },
    async start() {
      mkdirSync(join(baikal, 'Specific/db'), { recursive: true });
      mkdirSync(join(baikal, 'config'), { recursive: true });
      writeFileSync(join(baikal, 'config/baikal.yaml'), 'system: {timezone: UTC}\n');
      const script = here(import.meta, '../peers/sabre/server.php');
      child = await sandbox.spawn('php', findProgram('php')!, ['-S', `127.0.0.1:${port}`, script], {
        cwd: sandbox.folder,
        env: {
          SABRE_DB: join(baikal, 'Specific/db/db.sqlite'),
          SABRE_USER: 'ada',
          SABRE_PASSWORD: 'calendar-test',
        },
        ready: () =>
          ask(`${url}/`, { timeoutMs: 2_000 }).then((a) => a.status === 401, () => false),
      });
    },
    async stop() {
      await child?.stop();
    },
    [Symbol.asyncDispose]: () => sandbox.end(),
  };
}
