/** sabre/dav over a folder laid out as Baikal's: `Specific/db/db.sqlite` and `config/`. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadIcsConfig } from '../../services/ics-proxy/config.ts';
import { startService } from '../../services/ics-proxy/service.ts';
import { here } from '../peers/lib/here.ts';
import { ask } from '../peers/lib/http.ts';
import { findProgram, run } from '../peers/lib/run.ts';
import { type Child, openSandbox } from '../peers/lib/sandbox.ts';
import { documentsOf } from './documents.ts';

export interface Source extends AsyncDisposable {
  readonly folder: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** By curl, whose Digest is not ours. */
  request(method: string, path: string, body?: string): Promise<string>;
  /** Every event's text, sorted; empty without the calendar. */
  events(): Promise<string[]>;
  /** The feed of an ics-proxy configured as in manifests/tenant, that has never fetched before. */
  feed(): Promise<string>;
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
    async feed() {
      const folder = mkdtempSync(join(sandbox.folder, 'proxy-'));
      const admin = 'admin-of-this-test-'.repeat(3);
      writeFileSync(join(folder, 'admin-token'), admin);
      writeFileSync(join(folder, 'caldav-password'), 'calendar-test');
      const shipped: string =
        documentsOf('manifests/tenant').map((e) => e.document).find((d) =>
          d.kind === 'ConfigMap' && d.metadata.name === 'ics-proxy'
        ).data['config.yaml'];
      const file = join(folder, 'config.yaml');
      writeFileSync(
        file,
        shipped.replace('host: 0.0.0.0, port: 8080', 'host: 127.0.0.1, port: 0')
          .replace(
            'http://baikal/dav.php/calendars/garden/default/',
            `${url}/calendars/ada/evenings/`,
          )
          .replace('username: garden', 'username: ada').replaceAll('/secrets/', `${folder}/`)
          .replace('state: /state', `state: ${folder}/state`),
      );
      const service = await startService(await loadIcsConfig(file), folder);
      try {
        const post = async (path: string, body: unknown) => {
          const headers = { authorization: `Bearer ${admin}` };
          const to = `${service.url}/api/feeds/calendar/${path}`;
          return (await ask(to, { method: 'POST', headers, body, timeoutMs: 60_000 })).json();
        };
        await post('refresh', {});
        const token = new URL((await post('tokens', { label: 'test' })).url).searchParams.get(
          'token',
        );
        const path = `${service.url}/proxy/calendar.ics?token=${token}`;
        const answer = await ask(path, { timeoutMs: 30_000 });
        if (answer.status !== 200) throw new Error(`Cannot get the feed: ${answer.text}`);
        return answer.text;
      } finally {
        await service.close();
      }
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
