import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calendar, event } from './testing/world.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const CLI = fileURLToPath(new URL('cli.ts', import.meta.url));
const PASSWORD = 'upstream-password-hunter2';
const QUERY = 'secret-address-of-the-upstream';
const ADMIN = 'admin-token-'.repeat(4);

let folder: string;
let upstream: Server;
let service: ChildProcess;
let url = '';
let output = '';
const asked: string[] = [];

/** An upstream that wants Basic, and whose answers repeat what they were asked with. */
function startUpstream(): Promise<Server> {
  const server = createServer((request, response) => {
    const { url: path = '', headers } = request;
    asked.push(path);
    if (path.startsWith('/good')) {
      const { authorization = '' } = headers;
      const wanted = 'Basic ' + Buffer.from(`me:${PASSWORD}`).toString('base64');
      if (authorization !== wanted) {
        response.writeHead(401, { 'www-authenticate': 'Basic' }).end(authorization);
      } else response.end(calendar(event('one@a', ['SUMMARY:One'])));
    } else if (path.startsWith('/echo')) {
      response.writeHead(500, `no ${path}`).end(`${path} ${headers.authorization}`);
    } else if (path.startsWith('/redirect')) {
      response.writeHead(302, { location: `http://me:${PASSWORD}@127.0.0.1:1/?${QUERY}` }).end();
    } else request.socket.destroy();
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ics-process-'));
  upstream = await startUpstream();
  const at = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets/password'), PASSWORD + '\n');
  await writeFile(join(folder, 'secrets/admin'), ADMIN);
  const auth = { type: 'basic', username: 'me', passwordFile: 'secrets/password' };
  const source = (id: string, path: string) => ({
    id,
    url: `${at}/${path}?${QUERY}`,
    allowPrivate: true,
    auth,
    refresh: '5s',
  });
  await writeFile(
    join(folder, 'config.yaml'),
    JSON.stringify({
      listen: { port: 0 },
      publicUrl: 'http://cal.example',
      state: 'state',
      admin: { tokenFile: 'secrets/admin' },
      feeds: {
        space: {
          name: 'Space',
          sources: [
            source('good', 'good'),
            source('echo', 'echo'),
            source('redirect', 'redirect'),
            source('gone', 'gone'),
          ],
        },
      },
    }),
  );
  service = spawn(process.execPath, [MAIN, '--config', join(folder, 'config.yaml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  for (const stream of [service.stdout!, service.stderr!]) {
    stream.on('data', (chunk) => output += chunk);
  }
  for (const deadline = Date.now() + 15_000; url === '';) {
    url = /"url":"(http:[^"]+)"/.exec(output)?.[1] ?? '';
    if (Date.now() > deadline) throw new Error(`the service did not start: ${output}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}, 30_000);

afterAll(async () => {
  service?.kill('SIGKILL');
  upstream?.closeAllConnections();
  upstream?.close();
  await rm(folder, { recursive: true, force: true });
});

async function cli(...args: string[]): Promise<string> {
  const [first, second, ...rest] = args;
  const { stdout, stderr } = await run(process.execPath, [
    CLI,
    first!,
    ...(second === undefined ? [] : [second]),
    ...rest,
    '--config',
    join(folder, 'config.yaml'),
  ]);
  output += stderr;
  return stdout;
}
async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + 10_000;;) {
    const value = await what();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error('waited for 10 s in vain');
    await new Promise((done) => setTimeout(done, 30));
  }
}

test(
  'a busy life leaves no token and no credential in any output; the CLI acts on a running server',
  async () => {
    const local = (address: string) => url + address.trim().slice('http://cal.example'.length);
    const address = local(await cli('token', 'create', '--feed', 'space', '--label', 'phone'));
    const token = address.slice(-64);
    const text = await until(async () => {
      const response = await fetch(address);
      return response.status === 200 ? await response.text() : void await response.text();
    });
    expect(text).toContain('UID:one@a');

    const guess = 'f'.repeat(64);
    const attempts: [string, RequestInit?][] = [
      [`/proxy/space.ics?token=${guess}`],
      [`/proxy/${token}.ics?token=${token}`],
      [`/proxy/space?token=${token}&zone=${token}&from=${token}`],
      [`/proxy/space.json?token=${token}`],
      [`/${token}`],
      [`/api/feeds?token=${token}`],
      ['/proxy/space.ics', { headers: { authorization: `Bearer ${token}`, referer: address } }],
      ['/proxy/space.ics', { headers: { authorization: `Basic ${btoa('x:' + token)}` } }],
      ['/admin/login', {
        method: 'POST',
        body: new URLSearchParams({ token: ADMIN }),
        headers: { 'sec-fetch-site': 'same-origin' },
      }],
      ['/api/feeds/space/tokens', {
        method: 'POST',
        body: `{"label": "${token}", broken`,
        headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' },
      }],
      [`/proxy/space.ics?token=${token}${'x'.repeat(20_000)}`],
      [`/proxy/%E0%A4%A?token=${token}`],
    ];
    let answers = '';
    for (const [path, init] of attempts) {
      const response = await fetch(url + path, { redirect: 'manual', ...init });
      if (!path.includes(token)) {
        answers += [...response.headers].join('\n') + await response.text();
      } else await response.text();
    }
    const health = await (await fetch(`${url}/api/feeds`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    })).text();
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const checked = await cli('check');
    const listed = await cli('token', 'list');
    expect(JSON.parse(listed)).toMatchObject({ feed: 'space', label: 'phone', view: 'full' });

    const rotated = local(await cli('token', 'rotate', JSON.parse(listed).id, '--overlap', '1h'));
    expect((await fetch(rotated)).status).toBe(200);
    expect((await fetch(address)).status).toBe(200);
    await cli('token', 'revoke', JSON.parse(listed).id);
    expect((await fetch(address)).status).toBe(404);

    service.kill('SIGTERM');
    const code = await new Promise((done) => service.once('exit', done));
    expect(code).toBe(0);
    // The upstreams were asked, with the credentials, before this counts as proof.
    expect(asked.some((path) => path.startsWith('/good'))).toBe(true);
    expect(asked.some((path) => path.startsWith('/echo'))).toBe(true);
    expect(asked.some((path) => path.startsWith('/redirect'))).toBe(true);
    expect(output).toContain('source could not be fetched');
    const secrets = [
      token,
      rotated.slice(-64),
      guess,
      PASSWORD,
      QUERY,
      ADMIN,
      btoa(`me:${PASSWORD}`),
    ];
    for (const secret of secrets) {
      for (
        const [name, place] of Object.entries({ output, answers, health, metrics, checked, listed })
      ) {
        expect(place.includes(secret), `${name} holds ${secret.slice(0, 12)}…`).toBe(false);
      }
    }
    for (const name of await readdir(join(folder, 'state'), { recursive: true })) {
      const kept = name + await readFile(join(folder, 'state', name), 'utf8').catch(() => '');
      for (const secret of secrets) expect(kept.includes(secret), name).toBe(false);
    }
  },
  60_000,
);
