import { createServer, type IncomingMessage } from 'node:http';
import { mkdtempSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import { alertSender, createAlerts } from './alerts.ts';
import { until } from './testing.ts';

const lines: string[] = [];
setupLogging({ service: 'unsealer', level: 'debug', write: (line) => lines.push(line) });
const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
const tokenFile = join(folder, 'token');
writeFileSync(tokenFile, 'hook-token-secret\n');

interface Got {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}
let stop = () => {};
afterEach(() => stop());

/** A hook that keeps what it is told. */
async function hook(status = 200, location = ''): Promise<{ url: string; got: Got[] }> {
  const got: Got[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => body += part);
    request.on('end', () => {
      got.push({ method: request.method!, url: request.url!, headers: request.headers, body });
      response.writeHead(status, location ? { location } : {}).end('x');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stop = () => void server.close();
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got };
}

const MESSAGE = {
  key: 'sealed:a/b',
  title: 'a/b is sealed — 120 s',
  text: 'on hold',
  ended: false,
};

test('ntfy, Matrix and JSON, each in its own form', async () => {
  const { url, got } = await hook();
  await alertSender({ type: 'ntfy', url: `${url}/vault`, tokenFile })(MESSAGE);
  await alertSender({ type: 'matrix', url, tokenFile, room: '!room:space.example' })(MESSAGE);
  await alertSender({ type: 'json', url: `${url}/hook`, tokenFile })(MESSAGE);
  const [ntfy, matrix, json] = got as [Got, Got, Got];
  expect(ntfy).toMatchObject({ method: 'POST', url: '/vault', body: 'on hold' });
  const title = String(ntfy.headers.title).match(/^=\?UTF-8\?B\?(.*)\?=$/)![1]!;
  expect(Buffer.from(title, 'base64').toString()).toBe(MESSAGE.title);
  expect(matrix.method).toBe('PUT');
  expect(matrix.url).toMatch(
    /^\/_matrix\/client\/v3\/rooms\/!room%3Aspace\.example\/send\/m\.room\.message\/[\w-]{36}$/,
  );
  expect(JSON.parse(matrix.body)).toEqual({ msgtype: 'm.text', body: `${MESSAGE.title}\non hold` });
  expect(JSON.parse(json.body)).toEqual(MESSAGE);
  for (const each of got) expect(each.headers.authorization).toBe('Bearer hook-token-secret');
});

test('a condition is told once, again after an hour, and when it ends', () => {
  let now = 0;
  const told: string[] = [];
  const send = [(m: { title: string; ended: boolean }) => {
    told.push(`${m.ended ? 'end ' : ''}${m.title}`);
    return Promise.resolve();
  }];
  const alerts = createAlerts({ helper: 'h', send, now: () => now });
  for (let i = 0; i < 1000; i++) alerts.raise('k', { title: 'sealed', text: '' });
  now = 3_600_000;
  alerts.raise('k', { title: 'sealed', text: '' });
  alerts.clear('k');
  alerts.clear('k');
  expect(told).toEqual(['h: sealed', 'h: sealed', 'end h: over: sealed']);
});

test('a hook that fails, redirects or is away is logged without its URL or token', async () => {
  const { url } = await hook(302, 'http://127.0.0.1:1/elsewhere');
  const secret = `${url}/hooks/s3cr3t-path`;
  const send = [
    alertSender({ type: 'json', url: secret, tokenFile }),
    alertSender({ type: 'json', url: 'http://127.0.0.1:1/s3cr3t-path', tokenFile }),
  ];
  createAlerts({ helper: 'h', send }).raise('k', { title: 'sealed', text: '' });
  const failures = () => lines.filter((line) => line.includes('alert not delivered'));
  await until('both failures', () => failures().length === 2);
  expect(lines.join('\n')).not.toMatch(/s3cr3t-path|hook-token-secret/);
});
