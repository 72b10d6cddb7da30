import { request as rawRequest } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import {
  ADMIN,
  calendar,
  createWorld,
  event,
  type World,
  type WorldOptions,
} from './testing/world.ts';

const worlds: World[] = [];
async function world(options?: WorldOptions): Promise<World> {
  const made = await createWorld(options);
  worlds.push(made);
  return made;
}
afterEach(async () => {
  for (const made of worlds.splice(0)) await made[Symbol.asyncDispose]();
});

interface Plain {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** Without fetch's own decompression and header rules. */
function raw(url: string, method = 'GET', headers: Record<string, string> = {}): Promise<Plain> {
  return new Promise((resolve, reject) => {
    const req = rawRequest(url, { method, headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () =>
        resolve({
          status: res.statusCode!,
          headers: stable(res.headers as Record<string, string>),
          body: Buffer.concat(chunks),
        }));
    });
    req.on('error', reject);
    req.end();
  });
}

/** Headers without those of the connection and the moment. */
function stable(headers: Record<string, string>): Record<string, string> {
  const volatile = ['x-request-id', 'date', 'connection', 'keep-alive', 'transfer-encoding'];
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !volatile.includes(name)));
}

async function plain(response: Response): Promise<Plain> {
  return {
    status: response.status,
    headers: stable(Object.fromEntries(response.headers)),
    body: Buffer.from(await response.arrayBuffer()),
  };
}

describe('the feed', () => {
  test('merges its sources; token by query, Bearer or the password of Basic', async () => {
    const w = await world();
    const token = await w.token();
    const byQuery = await w.request(`/proxy/space.ics?token=${token}`);
    expect(byQuery.status).toBe(200);
    const text = await byQuery.text();
    expect(text).toContain('UID:one@a');
    expect(text).toContain('UID:two@b');
    expect(text).not.toContain('three@a');
    for (
      const authorization of [
        `Bearer ${token}`,
        `Basic ${Buffer.from(`me:${token}`).toString('base64')}`,
      ]
    ) {
      const response = await w.request('/proxy/space.ics', { headers: { authorization } });
      expect(await response.text()).toBe(text);
    }
  });

  test('the fast path and the app give the same answers', async () => {
    const w = await world();
    const base = await w.listen();
    const token = await w.token();
    const path = `/proxy/space.ics?token=${token}`;
    const etag = (await w.request(path)).headers.get('etag')!;
    const cases: [string, Record<string, string>, string][] = [
      ['GET', {}, path],
      ['HEAD', {}, path],
      ['GET', { 'accept-encoding': 'gzip' }, path],
      ['HEAD', { 'accept-encoding': 'gzip' }, path],
      ['GET', { 'if-none-match': etag }, path],
      ['GET', { 'if-none-match': '"x"' }, path],
      ['GET', { 'if-modified-since': 'Mon, 01 Jan 2024 00:00:00 GMT' }, path],
      ['GET', { authorization: `Bearer ${token}` }, '/proxy/space.ics'],
    ];
    for (const [method, headers, target] of cases) {
      // `&` keeps the request off the fast path, which takes exactly `?token=` and nothing else.
      const slow = target + (target.includes('?') ? '&' : '?');
      const [a, b] = [
        await raw(base + target, method, headers),
        await raw(base + slow, method, headers),
      ];
      const c = await plain(await w.request(target, { method, headers }));
      expect(a, `${method} ${JSON.stringify(headers)}`).toEqual(b);
      expect(a.headers).toEqual(c.headers);
      expect(a.status).toBe(c.status);
      expect(a.body.equals(c.body)).toBe(true);
    }
  });

  test('one and the same 404 for every kind of wrong', async () => {
    const w = await world();
    const base = await w.listen();
    const good = await w.token('space');
    const expired = await w.token('space', 'full', Date.now() + 1);
    const revoked = await w.token('space');
    await w.tokens.revoke(w.tokens.list('space').at(-1)!.id);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const wrong = [
      `/proxy/nowhere.ics?token=${good}`,
      `/proxy/other.ics?token=${good}`,
      `/proxy/space.ics?token=${expired}`,
      `/proxy/space.ics?token=${revoked}`,
      `/proxy/space.ics?token=${'0'.repeat(64)}`,
      `/proxy/space.ics?token=${good}0`,
      `/proxy/space.ics?token=${good.toUpperCase()}`,
      '/proxy/space.ics?token=',
      '/proxy/space.ics',
      '/proxy/__proto__.ics',
      `/proxy/SPACE.ics?token=${good}`,
    ];
    const answers = await Promise.all(wrong.map((path) => raw(base + path)));
    for (const [i, answer] of answers.entries()) {
      expect(answer, wrong[i]).toEqual(answers[0]);
      expect(answer.status).toBe(404);
    }
    for (const form of ['', '.json']) {
      const [a, b] = [
        await raw(`${base}/proxy/nowhere${form}?token=${good}`),
        await raw(`${base}/proxy/space${form}?token=${revoked}`),
      ];
      expect(a).toEqual(b);
      expect(a.status).toBe(404);
    }
  });

  test('failures are limited; the right token still passes', async () => {
    const w = await world();
    const base = await w.listen();
    const token = await w.token();
    const statuses = [];
    for (let i = 0; i < 70; i++) {
      const guess = i.toString(16).padStart(64, '0');
      statuses.push((await raw(`${base}/proxy/space.ics?token=${guess}`)).status);
    }
    expect(statuses.slice(0, 60).every((s) => s === 404)).toBe(true);
    expect(statuses.at(-1)).toBe(429);
    expect((await raw(`${base}/proxy/space.ics?token=${token}`)).status).toBe(200);
  });

  test('ETag and Last-Modified move with the content, not with DTSTAMP, and survive a restart', async () => {
    const w = await world();
    const token = await w.token();
    const validators = async (from: World) => {
      const { headers } = await from.request(`/proxy/space.ics?token=${token}`);
      return [headers.get('etag'), headers.get('last-modified')];
    };
    const first = await validators(w);
    w.upstreams['space/a'] = (w.upstreams['space/a'] as string)
      .replace('DTSTAMP:20260101', 'DTSTAMP:20260202');
    w.advance(10_000);
    await w.refresh();
    expect(await validators(w)).toEqual(first);
    w.upstreams['space/a'] = calendar(event('one@a', ['SUMMARY:Another']));
    await w.refresh();
    const second = await validators(w);
    expect(second[0]).not.toBe(first[0]);
    expect(Date.parse(second[1]!)).toBeGreaterThan(Date.parse(first[1]!));
    await w.close();
    const again = await world({ folder: w.folder, upstreams: w.upstreams });
    expect(await validators(again)).toEqual(second);
  });

  test('compression can be switched off', async () => {
    const body = calendar(event('one@a', [`SUMMARY:${'long '.repeat(500)}`]));
    const w = await world({
      feeds: `
  on: {name: On, sources: [{id: a, url: 'file:a.ics'}]}
  off: {name: Off, compress: false, sources: [{id: a, url: 'file:a.ics'}]}
`,
      upstreams: { 'on/a': body, 'off/a': body },
    });
    const encoding = async (feed: string) => {
      const response = await w.request(`/proxy/${feed}.ics?token=${await w.token(feed)}`, {
        headers: { 'accept-encoding': 'gzip' },
      });
      return response.headers.get('content-encoding');
    };
    expect(await encoding('on')).toBe('gzip');
    expect(await encoding('off')).toBeNull();
  });

  test('a coding is made once somebody asks, and from then on with every change', async () => {
    const body = (n: number) => calendar(event('one@a', [`SUMMARY:${`long ${n} `.repeat(500)}`]));
    const w = await world({ upstreams: { 'other/a': body(1) } });
    const path = `/proxy/other.ics?token=${await w.token('other')}`;
    const ask = async () => {
      const response = await w.request(path, { headers: { 'accept-encoding': 'gzip, br' } });
      return response.headers.get('content-encoding');
    };
    expect(await ask()).toBe('gzip');
    await expect.poll(ask).toBe('br');
    w.upstreams['other/a'] = body(2);
    await w.refresh('other');
    expect(await ask()).toBe('br');
  });
});

describe('outages', () => {
  test('before the first fetch of any source: 503 with Retry-After, never an empty calendar', async () => {
    const w = await world({ upstreams: {} });
    const token = await w.token();
    for (const path of ['/proxy/space.ics', '/proxy/space.json', '/proxy/space']) {
      const response = await w.request(`${path}?token=${token}`);
      expect(response.status, path).toBe(503);
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(5);
      expect(await response.text()).not.toContain('VCALENDAR');
    }
    expect((await w.request('/proxy/space.ics')).status).toBe(404);
  });

  test('a source that never answered is left out and shown in health', async () => {
    const w = await world({ upstreams: { 'space/a': calendar(event('one@a')) } });
    const token = await w.token();
    const response = await w.request(`/proxy/space.ics?token=${token}`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('UID:one@a');
    const [space] = (await (await w.api('/api/feeds')).json()).feeds;
    expect(space.state).toBe('degraded');
    expect(space.sources[0]).toMatchObject({ id: 'a', state: 'ok' });
    expect(space.sources[1]).toMatchObject({
      id: 'b',
      state: 'waiting',
      error: 'Cannot fetch source b: connection refused',
    });
  });

  test('an upstream that dies leaves the feed as it was, across a restart too', async () => {
    const w = await world();
    const token = await w.token();
    const before = await (await w.request(`/proxy/space.ics?token=${token}`)).text();
    w.upstreams['space/b'] = undefined;
    await w.refresh();
    expect(await (await w.request(`/proxy/space.ics?token=${token}`)).text()).toBe(before);
    await w.close();
    const again = await world({ folder: w.folder, upstreams: {} });
    expect(await (await again.request(`/proxy/space.ics?token=${token}`)).text()).toBe(before);
    expect(again.feeds.health('space')[0]!.sources[1]!.state).toBe('failing');
    again.advance(2 * 86_400_000);
    expect(again.feeds.health('space')[0]!.sources[1]!.state).toBe('stale');
  });

  test('readiness names the feeds that wait, and stays ready for the others', async () => {
    const w = await world({ upstreams: { 'other/a': calendar(event('x')) } });
    const ready = await w.request('/readyz');
    expect(ready.status).toBe(200);
    expect((await ready.json()).reasons).toEqual(['feed space has never been fetched']);
  });
});

describe('the API', () => {
  test('is for holders of the admin token, and limits failures', async () => {
    const w = await world();
    expect((await w.request('/api/feeds')).status).toBe(401);
    const wrong = { headers: { authorization: `Bearer ${ADMIN}x` } };
    const statuses = [];
    for (let i = 0; i < 12; i++) statuses.push((await w.request('/api/feeds', wrong)).status);
    expect(statuses[0]).toBe(401);
    expect(statuses.at(-1)).toBe(429);
    expect((await w.api('/api/feeds')).status).toBe(200);
    const none = await world({ admin: false });
    expect((await none.api('/api/feeds')).status).toBe(404);
    expect((await none.request('/admin')).status).toBe(404);
  });

  test('makes a token whose URL works, lists it without the token, rotates and revokes it', async () => {
    const w = await world();
    const made = await w.api('/api/feeds/space/tokens', 'POST', {
      label: 'my phone',
      view: 'busy',
    });
    expect(made.status).toBe(201);
    const { id, url, webcal } = await made.json();
    expect(url).toMatch(/^http:\/\/cal\.example\/proxy\/space\.ics\?token=[0-9a-f]{64}$/);
    expect(webcal).toBe(url.replace('http:', 'webcal:'));
    const path = url.slice('http://cal.example'.length);
    expect((await w.request(path)).status).toBe(200);

    const listed = await (await w.api('/api/feeds/space/tokens')).text();
    expect(listed).toContain('my phone');
    expect(listed).toContain('lastUsed');
    expect(listed).not.toContain(url.slice(-64));

    const rotated = await (await w.api(`/api/tokens/${id}/rotate`, 'POST', { overlap: '1h' }))
      .json();
    expect((await w.request(path)).status).toBe(200);
    expect((await w.request(rotated.url.slice('http://cal.example'.length))).status).toBe(200);
    expect((await w.api(`/api/tokens/${id}`, 'DELETE')).status).toBe(204);
    expect((await w.request(path)).status).toBe(404);
    expect((await w.api(`/api/tokens/${id}`, 'DELETE')).status).toBe(404);
  });

  test.each([
    ['no label', { view: 'full' }],
    ['an unknown view', { label: 'x', view: 'all' }],
    ['an unknown key', { label: 'x', admin: true }],
    ['an end in the past', { label: 'x', expires: '2020-01-01T00:00:00Z' }],
    ['an end that is none', { label: 'x', expires: 'soon' }],
    ['a label with a line break', { label: 'a\nb' }],
  ])('refuses a token with %s', async (_, body) => {
    const w = await world();
    const response = await w.api('/api/feeds/space/tokens', 'POST', body);
    expect(response.status).toBe(400);
    expect((await response.json()).code).toBe('invalid');
    expect(w.tokens.list()).toEqual([]);
  });

  test('a feed that does not exist is not found', async () => {
    const w = await world();
    expect((await w.api('/api/feeds/nowhere/tokens', 'POST', { label: 'x' })).status).toBe(404);
  });
});

test('robots.txt lets Google in and nobody else', async () => {
  const text = await (await (await world()).request('/robots.txt')).text();
  expect(text).toMatch(/User-agent: Google-Calendar-Importer\nAllow: \/proxy\//);
  expect(text).toMatch(/User-agent: \*\nDisallow: \//);
});

test('metrics tell of sources, feeds and answers, and hold no token', async () => {
  const w = await world();
  const token = await w.token();
  await w.request(`/proxy/space.ics?token=${token}`);
  await w.request(`/proxy/space.ics?token=${'0'.repeat(64)}`);
  const text = await (await w.request('/metrics')).text();
  expect(text).toMatch(/ics_proxy_source_age_seconds\{feed="space",source="a"\} \d/);
  expect(text).toContain(
    'ics_proxy_source_fetches_total{feed="space",source="a",result="fresh"} 1',
  );
  expect(text).toMatch(/ics_proxy_feed_bytes\{feed="space",view="full"\} \d{3}/);
  expect(text).toContain('ics_proxy_feed_requests_total{status="200"} 1');
  expect(text).toContain('ics_proxy_feed_requests_total{status="404"} 1');
  expect(text).not.toContain(token);
  expect(text).not.toContain('0000000000');
});

test('the OpenAPI document names every route', async () => {
  const document = await (await (await world()).request('/openapi.json')).json();
  expect(Object.keys(document.paths).sort()).toEqual([
    '/api/feeds',
    '/api/feeds/{feed}/refresh',
    '/api/feeds/{feed}/tokens',
    '/api/tokens/{id}',
    '/api/tokens/{id}/rotate',
    '/healthz',
    '/metrics',
    '/proxy/{feed}',
    '/proxy/{feed}.ics',
    '/proxy/{feed}.json',
    '/readyz',
  ]);
});
