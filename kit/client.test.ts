import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRoute, z } from '@hono/zod-openapi';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiClient, bodyOf } from './client.ts';
import { createHttp } from './http.ts';
import { createMetrics } from './metrics.ts';
import { json, problems } from './openapi.ts';
import { Secret } from './secret.ts';
import { serve, type Served } from './serve.ts';

const http = createHttp({
  service: 'test',
  version: '1.0.0',
  title: 'Test',
  metrics: createMetrics('test'),
  ready: () => ({ ok: true, reasons: [] }),
});
const api = http.openapi(
  createRoute({
    method: 'put',
    path: '/things/{id}',
    request: {
      params: z.object({ id: z.string().max(8) }),
      body: { content: { 'application/json': { schema: z.strictObject({ n: z.number() }) } } },
    },
    responses: {
      200: json(z.object({ id: z.string(), n: z.number(), by: z.string() }), 'Put'),
      ...problems(400),
    },
  }),
  (c) =>
    c.json({
      id: c.req.valid('param').id,
      n: c.req.valid('json').n,
      by: c.req.header('authorization') ?? '',
    }, 200),
);
type Api = typeof api;

let served: Served;
let bad: Server;
let requests = 0;

/** A server that never ends, sends too much, or sends elsewhere. */
beforeAll(async () => {
  served = await serve(http, { host: '127.0.0.1', port: 0 });
  bad = createServer((request, response) => {
    requests++;
    if (request.url === '/things/slow') response.write('{"id":');
    else if (request.url === '/things/away') {
      response.writeHead(302, { location: served.url }).end();
    } else response.end('x'.repeat(200_000));
  });
  await new Promise<void>((done) => bad.listen(0, '127.0.0.1', done));
});
afterAll(async () => {
  bad.closeAllConnections();
  bad.close();
  await served.close(0);
});

const put = (url: string, id: string, over = {}) => {
  const client = apiClient<Api>({ name: 'the other', url, token: new Secret('t'), ...over });
  return client.things[':id'].$put({ param: { id: encodeURIComponent(id) }, json: { n: 1 } });
};

test('an answer of the schema comes typed, a refusal with what the service said', async () => {
  const answer = await bodyOf('put it', put(served.url, 'a/b?c'));
  expect(answer).toEqual({ id: 'a/b?c', n: 1, by: 'Bearer t' });
  await expect(bodyOf('put it', put(served.url, 'much too long'))).rejects.toThrow(
    'Cannot put it: Cannot read request: it does not fit the schema',
  );
});

test('a call ends in time, reads no more than it may, and goes nowhere else', async () => {
  const { port } = bad.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  await expect(put(url, 'slow', { timeoutMs: 200 })).rejects.toThrow(
    'Cannot reach the other: it took too long',
  );
  await expect(put(url, 'large', { maxBytes: 100_000 })).rejects.toThrow('it is too large');
  const away = await put(url, 'away');
  expect(away.status).toBe(302);
  expect(requests).toBe(3);
  const nobody = await put('http://127.0.0.1:1', 'x').catch((error) => error);
  expect(nobody.message).toBe('Cannot reach the other: it does not answer');
});
