import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createWorld, type World } from './testing/world.ts';
import { readRequest } from './wire.ts';

const T = 'ab'.repeat(32);
const simple = (...headers: string[]) =>
  [`GET /proxy/space.ics?token=${T} HTTP/1.1`, 'Host: cal.example', ...headers, '', ''].join(
    '\r\n',
  );

test('the narrow grammar takes what calendar programs send', () => {
  expect(readRequest(simple('User-Agent: x', 'Accept: */*'))).toEqual({
    method: 'GET',
    feed: 'space',
    query: T,
    address: '',
  });
  expect(
    readRequest(simple('if-none-match: "a"', 'ACCEPT-ENCODING: gzip', 'Connection: Keep-Alive')),
  )
    .toMatchObject({ ifNoneMatch: '"a"', acceptEncoding: 'gzip' });
  expect(
    readRequest(`HEAD /proxy/space.ics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${T}\r\n\r\n`),
  ).toMatchObject({ method: 'HEAD', query: undefined, authorization: `Bearer ${T}` });
});

test.each([
  ['an incomplete packet', simple().slice(0, -2)],
  ['two requests in one packet', simple() + simple()],
  ['a body', simple('Content-Length: 1')],
  ['a chunked body', simple('Transfer-Encoding: chunked')],
  ['an obscured chunked body', simple('Transfer-Encoding : chunked')],
  ['a folded header', simple('X-A: b', ' Content-Length: 5')],
  ['a bare line feed', simple('X-A: b\nContent-Length: 5')],
  ['a header without a name', simple(': x')],
  ['an upgrade', simple('Connection: Upgrade', 'Upgrade: websocket')],
  ['a connection to close', simple('Connection: close')],
  ['an expectation', simple('Expect: 100-continue')],
  ['no host', simple().replace('Host', 'Most')],
  ['two hosts', simple('Host: evil.example')],
  ['two conditions', simple('If-None-Match: "a"', 'If-None-Match: "b"')],
  ['HTTP/1.0', simple().replace('1.1', '1.0')],
  ['an absolute target', simple().replace('/proxy', 'http://x/proxy')],
  ['another query', simple().replace('token=', 'a=1&token=')],
  ['an escaped name', simple().replace('space', 'sp%61ce')],
  ['octets beyond ASCII', simple('X-A: \u00e9')],
  ['a NUL', simple('X-A: \0')],
  ['nothing', ''],
  ['end of headers twice', simple() + '\r\n'],
])('%s is left to node:http', (_, text) => expect(readRequest(text)).toBeUndefined());

const worlds: World[] = [];
const open: Socket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  for (const made of worlds.splice(0)) await made[Symbol.asyncDispose]();
});
async function start() {
  const w = await createWorld();
  worlds.push(w);
  const url = new URL(await w.listen());
  const token = await w.token();
  /** Sends pieces with a pause between, and reads until the text holds `until` or the end comes. */
  async function talk(pieces: string[], until?: RegExp): Promise<string> {
    const socket = connect(Number(url.port), url.hostname);
    open.push(socket);
    let text = '';
    const done = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        if (until?.test(text)) resolve();
      });
      socket.on('close', () => resolve());
    });
    for (const piece of pieces) {
      socket.write(piece, 'latin1');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const late = setTimeout(() => socket.destroy(), 3000);
    await done;
    clearTimeout(late);
    socket.destroy();
    return text;
  }
  const get = (...headers: string[]) => simple(...headers).replace(T, token);
  return { w, talk, get, token };
}
const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

test('one connection asks many times, the last time over node:http', async () => {
  const { talk, get } = await start();
  const text = await talk([get(), get('If-None-Match: *'), get(), get('Connection: close')]);
  expect(count(text, /HTTP\/1\.1 200 OK/g)).toBe(3);
  expect(count(text, /HTTP\/1\.1 304 Not Modified/g)).toBe(1);
  expect(count(text, /END:VCALENDAR/g)).toBe(3);
});

test('a request in pieces, a pipeline and a body all arrive whole at node:http', async () => {
  const { talk, get } = await start();
  const request = get();
  const pieces = await talk(
    [request.slice(0, 30), request.slice(30, 90), request.slice(90)],
    /END:V/,
  );
  expect(pieces).toMatch(/^HTTP\/1\.1 200 OK/);
  const pipeline = await talk([get() + get() + get('Connection: close')]);
  expect(count(pipeline, /HTTP\/1\.1 200 OK/g)).toBe(3);
  const body = 'token=guess';
  const form = await talk([
    get(),
    'POST /admin/login HTTP/1.1\r\nHost: cal.example\r\nOrigin: http://cal.example\r\n' +
    'Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n' +
    `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    body.slice(5),
  ]);
  expect(form).toMatch(/HTTP\/1\.1 401 Unauthorized[^]*That is not the admin token/);
});

test('rubbish gets what node:http gives it', async () => {
  const { talk } = await start();
  expect(await talk(['\0\0\0\0\r\n\r\n'])).toMatch(/^HTTP\/1\.1 400 Bad Request/);
  expect(
    await talk([
      'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc',
    ]),
  )
    .toMatch(/^HTTP\/1\.1 400/);
});

test('a revoked token is refused on a connection it was used on', async () => {
  const { w, talk, get } = await start();
  const asked = talk([get(), '', '', get(), get('Connection: close')]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await w.tokens.revoke(w.tokens.list()[0]!.id);
  const text = await asked;
  expect(count(text, /HTTP\/1\.1 200 OK/g)).toBe(1);
  expect(count(text, /HTTP\/1\.1 404 Not Found/g)).toBe(2);
});

test('a stop does not wait for idle connections', async () => {
  const { w, talk, get } = await start();
  const idle = talk([get()]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const started = Date.now();
  await w.close();
  await idle;
  expect(Date.now() - started).toBeLessThan(2000);
});
