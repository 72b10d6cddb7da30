import { afterEach, expect, test } from 'vitest';
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

const SAME = { 'sec-fetch-site': 'same-origin' };

function post(w: World, path: string, form: Record<string, string>, headers: HeadersInit = SAME) {
  return w.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers as object },
    body: new URLSearchParams(form).toString(),
  });
}
async function signIn(w: World): Promise<string> {
  const response = await post(w, '/admin/login', { token: ADMIN });
  expect(response.status).toBe(303);
  return response.headers.get('set-cookie')!.split(';')[0]!;
}

test('without a session there is only the form; a wrong token is refused and limited', async () => {
  const w = await world();
  const page = await (await w.request('/admin')).text();
  expect(page).toContain('type="password"');
  expect(page).not.toContain('The space');
  const statuses = [];
  for (let i = 0; i < 12; i++) {
    statuses.push((await post(w, '/admin/login', { token: 'guess' })).status);
  }
  expect(statuses[0]).toBe(401);
  expect(statuses.at(-1)).toBe(429);
});

test('the session cookie is out of reach of scripts and other sites, and ends', async () => {
  const w = await world();
  const response = await post(w, '/admin/login', { token: ADMIN });
  const cookie = response.headers.get('set-cookie')!;
  expect(cookie).toContain('HttpOnly');
  expect(cookie).toContain('SameSite=Strict');
  expect(cookie).not.toContain(ADMIN);
  const headers = { cookie: cookie.split(';')[0]! };
  expect(await (await w.request('/admin', { headers })).text()).toContain('The space');
  w.advance(9 * 3_600_000);
  expect(await (await w.request('/admin', { headers })).text()).not.toContain('The space');
  const forged = { cookie: headers.cookie.replace(/=\d+/, '=99999999999999') };
  expect(await (await w.request('/admin', { headers: forged })).text()).not.toContain('The space');
});

test('behind https the cookie is bound to the host', async () => {
  const w = await world({ publicUrl: 'https://cal.example' });
  const cookie = (await post(w, '/admin/login', { token: ADMIN })).headers.get('set-cookie')!;
  expect(cookie).toMatch(/^__Host-ics-admin=.*Path=\/;.*Secure/);
});

test.each([
  ['another site', { 'sec-fetch-site': 'cross-site' }],
  ['a sibling host', { 'sec-fetch-site': 'same-site' }],
  ['another origin, from an old browser', { origin: 'https://evil.example' }],
  ['nowhere', {}],
])('a form from %s is refused even with a session', async (_, headers) => {
  const w = await world();
  const cookie = await signIn(w);
  for (
    const path of ['/admin/login', '/admin/logout', '/admin/do/feeds/space/tokens'] as const
  ) {
    const form = { token: ADMIN, label: 'x', view: 'full' };
    expect((await post(w, path, form, { ...headers, cookie })).status).toBe(403);
  }
  expect(w.tokens.list()).toEqual([]);
});

test('a token is made, its URL shown once, then rotated and revoked', async () => {
  const w = await world();
  const headers = { ...SAME, cookie: await signIn(w) };
  const made = await post(w, '/admin/do/feeds/space/tokens', {
    label: 'Ada’s phone',
    view: 'full',
    expires: '90d',
  }, headers);
  expect(made.headers.get('cache-control')).toBe('no-store');
  const url = (await made.text()).match(
    /http:\/\/cal\.example(\/proxy\/space\.ics\?token=\w{64})/,
  )!;
  expect((await w.request(url[1]!)).status).toBe(200);
  const page = await (await w.request('/admin', { headers })).text();
  expect(page).toContain('Ada’s phone');
  expect(page).not.toContain(url[1]!.slice(-64));
  const { id } = w.tokens.list()[0]!;
  expect((await post(w, `/admin/do/tokens/${id}/rotate`, {}, headers)).status).toBe(200);
  expect((await post(w, `/admin/do/tokens/${id}/revoke`, {}, headers)).status).toBe(303);
  expect((await w.request(url[1]!)).status).toBe(404);
  expect((await post(w, `/admin/do/tokens/${id}/revoke`, {}, SAME)).status).toBe(401);
});

const XSS = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`;

test('no stranger’s text becomes markup: summary, location, error, label, quarantine', async () => {
  const w = await world({
    upstreams: {
      'space/a': calendar(
        event('one@a', [
          `SUMMARY:${XSS}`,
          `LOCATION:${XSS}`,
          `DESCRIPTION:${XSS}`,
          'DTSTART:20261201T190000Z',
        ]),
        event(`bad@${XSS}`, [`DTSTART:${XSS}`, `<script>alert(3)</script>:x`]),
      ),
      'space/b': new Error(`upstream said ${XSS}`),
    },
  });
  const token = await w.token();
  await w.tokens.create({ feed: 'space', view: 'full', label: XSS });
  const cookie = await signIn(w);
  const pages = [
    await w.request(`/proxy/space?token=${token}&from=2026-12-01&zone=${encodeURIComponent(XSS)}`),
    await w.request('/admin', { headers: { cookie } }),
    await w.request(`/proxy/space?token=${encodeURIComponent(XSS)}`),
  ];
  for (const response of pages) {
    const policy = response.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const text = await response.text();
    const markup = text.replaceAll(/"[^"<>]*"/g, '""');
    expect(markup).not.toMatch(/<script|<img|<[^>]*\sonerror=/i);
    expect(text).not.toMatch(/<[^>]*\sstyle=/);
  }
  const agenda = await (await w.request(`/proxy/space?token=${token}&from=2026-12-01`)).text();
  expect(agenda).toContain('&lt;script&gt;alert(1)');
});

test('the page links to calendar programs and remembers only the zone', async () => {
  const w = await world();
  const token = await w.token();
  const response = await w.request(`/proxy/space?token=${token}&from=2026-12-01&zone=Asia/Tokyo`);
  expect(response.headers.get('set-cookie')).toMatch(/^zone=Asia%2FTokyo;/);
  expect(response.headers.get('set-cookie')).not.toContain(token);
  expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  expect(response.headers.get('cache-control')).toContain('private');
  const text = await response.text();
  const url = `http://cal.example/proxy/space.ics?token=${token}`;
  const webcal = url.replace('http:', 'webcal:');
  expect(text).toContain(`href="${webcal}"`);
  expect(text).toContain(
    `https://calendar.google.com/calendar/r?cid=${encodeURIComponent(webcal)}`,
  );
  expect(text).toContain(
    `https://outlook.live.com/calendar/0/addfromweb?url=${encodeURIComponent(url)}`,
  );
  expect(text).toContain('04:00');
  const remembered = await w.request(`/proxy/space?token=${token}&from=2026-12-01`, {
    headers: { cookie: 'zone=Asia%2FTokyo' },
  });
  expect(await remembered.text()).toContain('04:00');
  const berlin = await (await w.request(`/proxy/space?token=${token}&from=2026-12-01`)).text();
  expect(berlin).toContain('20:00');
});

test('the busy view tells when, not what, on the page and in JSON', async () => {
  const w = await world({
    upstreams: { 'space/a': calendar(event('one@a', ['SUMMARY:Secret', 'LOCATION:Vault'])) },
  });
  const token = await w.token('space', 'busy');
  for (const form of ['.ics', '.json', '']) {
    const text = await (await w.request(`/proxy/space${form}?token=${token}&from=2026-12-01`))
      .text();
    expect(text, form).not.toMatch(/Secret|Vault/);
  }
  const { occurrences } =
    await (await w.request(`/proxy/space.json?token=${token}&from=2026-12-01`)).json();
  expect(occurrences).toHaveLength(1);
});

test('the JSON gives occurrences for scripts', async () => {
  const w = await world();
  const token = await w.token();
  const response = await w.request(`/proxy/space.json?token=${token}&from=2026-12-01`);
  const value = await response.json();
  expect(value).toMatchObject({ feed: 'space', view: 'full', state: 'ok', from: '2026-12-01' });
  expect(value.occurrences.map((o: { summary: string }) => o.summary).sort()).toEqual([
    'One',
    'Two',
  ]);
});
