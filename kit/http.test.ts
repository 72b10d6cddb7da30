import { createRoute, z } from '@hono/zod-openapi';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { AppError } from './errors.ts';
import { createHttp } from './http.ts';
import { setupLogging } from './log.ts';
import { createMetrics } from './metrics.ts';
import { serve, type Served } from './serve.ts';

const lines: string[] = [];
setupLogging({ service: 'test', level: 'debug', write: (line) => lines.push(line) });

function app(ready = { ok: true, reasons: [] as string[] }) {
  const http = createHttp({
    service: 'test',
    version: '1.0.0',
    title: 'Test',
    metrics: createMetrics('test'),
    ready: () => ready,
    errorPage: (problem) => `<h1>${problem.title}</h1><p>${problem.requestId}</p>`,
  });
  http.get('/boom', () => {
    throw new Error('secret detail');
  });
  http.get('/busy', () => {
    throw new AppError('unavailable', 'Cannot serve x: nothing fetched yet', { retryAfter: 7 });
  });
  http.openapi(
    createRoute({
      method: 'post',
      path: '/things/{id}',
      request: {
        params: z.object({ id: z.string() }),
        body: { content: { 'application/json': { schema: z.strictObject({ n: z.number() }) } } },
      },
      responses: { 200: { description: 'ok' } },
    }),
    (c) => c.json({ n: c.req.valid('json').n }),
  );
  return http;
}

let served: Served | undefined;
afterEach(async () => {
  await served?.close(0);
  served = undefined;
});

test('an unknown error shows no detail, and its request id leads to the log', async () => {
  const response = await app().request('/boom', { headers: { 'x-request-id': 'request-1234' } });
  expect(response.status).toBe(500);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = await response.json();
  expect(body).toMatchObject({
    code: 'internal',
    detail: 'Internal error',
    requestId: 'request-1234',
  });
  expect(lines.find((l) => l.includes('request-1234') && l.includes('secret detail')))
    .toBeDefined();
});

test('errors map once: status, Retry-After, faults, page for browsers', async () => {
  const busy = await app().request('/busy');
  expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '7']);
  const missing = await app().request('/nothing', { headers: { accept: 'text/html,*/*' } });
  expect(missing.status).toBe(404);
  expect(await missing.text()).toContain('<h1>Not found</h1>');
  const invalid = await app().request('/things/1', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"n":"x"}',
  });
  expect(invalid.status).toBe(400);
  expect((await invalid.json()).faults[0].path).toBe('n');
  const broken = await app().request('/things/1', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{',
  });
  expect(broken.status).toBe(400);
});

test('a body over the limit is refused', async () => {
  const response = await app().request('/things/1', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ n: 1, x: 'x'.repeat(2e6) }),
  });
  expect(response.status).toBe(400);
  expect((await response.json()).detail).toContain('too large');
});

test('health, readiness with reasons, metrics and OpenAPI are there', async () => {
  const http = app({ ok: false, reasons: ['source a never fetched'] });
  expect((await http.request('/healthz')).status).toBe(200);
  const ready = await http.request('/readyz');
  expect(ready.status).toBe(503);
  expect(await ready.json()).toEqual({ ready: false, reasons: ['source a never fetched'] });
  await http.request('/things/a-secret-id?token=x');
  const metrics = await (await http.request('/metrics')).text();
  expect(metrics).toContain('test_http_request_duration_seconds_count');
  expect(metrics).not.toContain('a-secret-id');
  const openapi = await (await http.request('/openapi.json')).json();
  expect(Object.keys(openapi.paths).sort()).toEqual([
    '/healthz',
    '/metrics',
    '/readyz',
    '/things/{id}',
  ]);
});

test('the access log never holds a query or a concrete path', async () => {
  lines.length = 0;
  await app().request('/things/a-secret-id?token=hunter2');
  expect(lines.join()).not.toMatch(/hunter2|a-secret-id/);
});

test('a graceful stop lets a running request finish and refuses new ones', async () => {
  const http = app();
  let release = () => {};
  let entered = () => {};
  const inside = new Promise<void>((resolve) => entered = resolve);
  http.get('/slow', async (c) => {
    entered();
    await new Promise<void>((resolve) => release = resolve);
    return c.text('done');
  });
  served = await serve(http, { host: '127.0.0.1', port: 0 });
  const running = fetch(`${served.url}/slow`);
  await inside;
  const closed = served.close();
  const refused = await new Promise((resolve) => {
    const socket = connect(served!.port, '127.0.0.1');
    socket.on('error', (e) => resolve((e as NodeJS.ErrnoException).code));
    socket.on('connect', () => resolve('connected'));
  });
  expect(refused).toBe('ECONNREFUSED');
  release();
  expect(await (await running).text()).toBe('done');
  await closed;
});

test('the fast path answers first and leaves the rest to the app', async () => {
  served = await serve(app(), {
    host: '127.0.0.1',
    port: 0,
    fast(request, response) {
      if (request.url !== '/quick') return false;
      response.end('quick');
      return true;
    },
  });
  expect(await (await fetch(`${served.url}/quick`)).text()).toBe('quick');
  expect((await fetch(`${served.url}/healthz`)).status).toBe(200);
});

test('a port that is taken is an error that names it', async () => {
  served = await serve(app(), { host: '127.0.0.1', port: 0 });
  await expect(serve(app(), { host: '127.0.0.1', port: served.port }))
    .rejects.toThrow(`Cannot listen on 127.0.0.1:${served.port}: EADDRINUSE`);
});

test('a request without a declared length is served, and a chunked one is still limited', async () => {
  const http = app();
  http.delete('/things', (c) => c.json({ gone: true }));
  served = await serve(http, { host: '127.0.0.1', port: 0 });
  const { port, url } = served;
  expect((await fetch(`${url}/things`, { method: 'DELETE' })).status).toBe(200);
  const chunked = (size: number) =>
    new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      let text = '';
      socket.on('data', (data) => text += data);
      socket.on('close', () => resolve(text.split('\r\n')[0]!));
      socket.on('error', () => {});
      const head = 'POST /things/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
      const body = `{"n":1${' '.repeat(size)}}`;
      socket.write(`${head}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    });
  expect(await chunked(0)).toContain('200');
  expect(await chunked(2 * 1024 * 1024)).toContain('400');
});

test('a method that is not routed is told which are; a path that is not there stays a 404', async () => {
  const http = app();
  http.use('/things/*', async (_, next) => await next());
  http.get('/declined', async (_, next) => await next());
  for (const method of ['GET', 'DELETE', 'PUT', 'MADE-UP']) {
    const response = await http.request('/things/1', { method });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed', status: 405 });
  }
  expect((await http.request('/healthz', { method: 'POST' })).headers.get('allow')).toBe(
    'HEAD, GET',
  );
  expect((await http.request('/declined')).status).toBe(404);
  expect((await http.request('/things', { method: 'POST' })).status).toBe(404);
  expect((await http.request('/thing/1', { method: 'PATCH' })).status).toBe(404);
});
