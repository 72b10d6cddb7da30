import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../../tests/peers/lib/http.ts';
import { needs } from '../../tests/peers/lib/needs.ts';
import { openSandbox, type Sandbox } from '../../tests/peers/lib/sandbox.ts';
import { waitFor } from '../../tests/peers/lib/wait.ts';
import { type Nginx, startNginx } from '../../tests/peers/nginx.ts';
import { type Redis, startRedis } from '../../tests/peers/redis.ts';
import { type RunningService, startService } from '../../tests/services.ts';
import { ADMIN, calendar, event } from './testing/world.ts';

const REPLICAS = 3;
const admin = { authorization: `Bearer ${ADMIN}` };

needs('nginx', 'redis')('replicas of ics-proxy on one Redis, behind nginx', () => {
  let sandbox: Sandbox;
  let redis: Redis;
  let nginx: Nginx;
  let upstream: Server;
  let summary = 'First';
  /** What the upstream was asked: full answers and 304s. */
  const asked = { full: 0, unchanged: 0 };
  const replicas: RunningService[] = [];

  beforeAll(async () => {
    sandbox = await openSandbox('replicas');
    redis = await startRedis({ password: 'a-password', persist: true });
    upstream = createServer((request, response) => {
      const etag = `"${summary}"`;
      if (request.headers['if-none-match'] === etag) {
        asked.unchanged++;
        response.writeHead(304, { etag }).end();
      } else {
        asked.full++;
        response.writeHead(200, { etag }).end(calendar(event('one@a', [`SUMMARY:${summary}`])));
      }
    });
    await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
    const ports = await Promise.all(Array.from({ length: REPLICAS }, () => sandbox.port()));
    // max_fails=0: nginx is up before them, and must not remember that for ten seconds.
    nginx = await startNginx({
      http: `upstream back { ${
        ports.map((p) => `server 127.0.0.1:${p} max_fails=0;`).join(' ')
      } keepalive 16; }`,
      server: `location / {
        proxy_pass http://back;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        # A replica that begins says 503 until it has read what it keeps; /readyz tells the same.
        proxy_next_upstream error timeout http_503;
        add_header X-Replica $upstream_addr always;
      }`,
    });
    writeFileSync(join(sandbox.folder, 'admin'), ADMIN);
    writeFileSync(join(sandbox.folder, 'redis'), 'a-password');
    const { port } = upstream.address() as AddressInfo;
    const source = { id: 'a', url: `http://127.0.0.1:${port}/`, allowPrivate: true };
    for (const port of ports) {
      const config = {
        listen: { port },
        publicUrl: nginx.url,
        state: {
          url: `redis://127.0.0.1:${redis.port}`,
          passwordFile: join(sandbox.folder, 'redis'),
        },
        admin: { tokenFile: join(sandbox.folder, 'admin') },
        feeds: { space: { name: 'Space', sources: [source] } },
      };
      replicas.push(await startService(sandbox, 'ics-proxy', port, JSON.stringify(config)));
    }
  });
  afterAll(async () => {
    await nginx?.stop();
    await sandbox?.end();
    await redis?.stop();
    upstream?.closeAllConnections();
    upstream?.close();
  });

  const make = async (base: string, label: string): Promise<{ id: string; query: string }> => {
    const options = { method: 'POST', headers: admin, body: { label } };
    const made = (await ask(`${base}/api/feeds/space/tokens`, options)).json();
    return { id: made.id, query: new URL(made.url).pathname + new URL(made.url).search };
  };
  const statuses = (query: string) =>
    Promise.all(replicas.map(async ({ url }) => (await ask(url + query)).status));

  test('a token made on one works on every other at once; revoked, on none', async () => {
    for (const { url } of replicas) {
      const { id, query } = await make(url, 'phone');
      expect(await statuses(query)).toEqual([200, 200, 200]);
      expect(
        (await ask(`${nginx.url}/api/tokens/${id}`, { method: 'DELETE', headers: admin })).status,
      )
        .toBe(204);
      const gone = performance.now();
      await waitFor('it to be gone', async () => (await statuses(query)).every((s) => s === 404), {
        ms: 5000,
        everyMs: 20,
      });
      process.stderr.write(
        `[replicas] revoked everywhere after ${(performance.now() - gone).toFixed(0)} ms\n`,
      );
    }
  });

  test('a hundred tokens made at once through the balancer are all known to all', async () => {
    const made = await Promise.all(
      Array.from({ length: 100 }, (_, i) => make(nginx.url, `token ${i}`)),
    );
    expect(new Set(made.map(({ id }) => id)).size).toBe(100);
    for (const { query } of made) expect(await statuses(query)).toEqual([200, 200, 200]);
  });

  test('each fetches the sources by itself; what was fetched is the same to the byte and the tag', async () => {
    // Doubled, and said so in docs/scale.md: a replica asks its own question, mostly answered 304.
    const before = { ...asked };
    summary = 'Second';
    for (const { url } of replicas) {
      await ask(`${url}/api/feeds/space/refresh`, { method: 'POST', headers: admin });
    }
    expect(asked.full - before.full).toBe(REPLICAS);
    const { query } = await make(nginx.url, 'bytes');
    const answers = await Promise.all(replicas.map(({ url }) => ask(url + query)));
    expect(answers[0]!.text).toContain('SUMMARY:Second');
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const [etag, ...others] = answers.map(({ headers }) => headers.etag as string);
    expect(others).toEqual([etag, etag]);
    for (const { url } of replicas) {
      const again = await ask(url + query, { headers: { 'if-none-match': etag! } });
      expect(again.status).toBe(304);
    }
  });

  test('kill -9 of a replica under load loses no token and no subscriber’s request', async () => {
    const { query } = await make(replicas[0]!.url, 'from the one that dies');
    const seen = new Map<string, number>();
    const wrong: string[] = [];
    let running = true;
    let total = 0;
    const load = Array.from({ length: 8 }, async () => {
      while (running && total < 20_000) {
        const answer = await ask(nginx.url + query).catch((error) => `${error}`);
        total++;
        if (
          typeof answer === 'string' || answer.status !== 200 || !answer.text.includes('END:VC')
        ) {
          wrong.push(typeof answer === 'string' ? answer : `${answer.status}`);
        } else {
          const by = `${answer.headers['x-replica']}`.split(', ').at(-1)!;
          seen.set(by, (seen.get(by) ?? 0) + 1);
        }
      }
    });
    await new Promise((done) => setTimeout(done, 700));
    await replicas[0]!.process.kill();
    await new Promise((done) => setTimeout(done, 700));
    const while_ = new Map(seen);
    await replicas[0]!.process.start();
    expect((await ask(replicas[0]!.url + query)).status).toBe(200);
    // nginx tries a server again that failed ten seconds ago.
    const back = `127.0.0.1:${replicas[0]!.port}`;
    await waitFor('it to be asked again', () => seen.get(back)! > while_.get(back)!, {
      ms: 20_000,
    });
    running = false;
    await Promise.all(load);
    process.stderr.write(`[replicas] ${total} requests through kill -9, ${wrong.length} failed\n`);
    expect(wrong).toEqual([]);
    expect(seen.size).toBe(REPLICAS);
  });

  test('without Redis, what is known goes on being served; a new token is refused, not lost', async () => {
    const { query } = await make(nginx.url, 'before');
    expect(await statuses(query)).toEqual([200, 200, 200]);
    await redis.process.kill();
    expect(await statuses(query)).toEqual([200, 200, 200]);
    const options = { method: 'POST', headers: admin, body: { label: 'x' }, timeoutMs: 30_000 };
    const refused = await ask(`${nginx.url}/api/feeds/space/tokens`, options);
    expect(refused.status).toBe(503);
    await redis.process.start();
    const later = await make(nginx.url, 'after');
    expect(await statuses(later.query)).toEqual([200, 200, 200]);
    expect(await statuses(query)).toEqual([200, 200, 200]);
  });
});
