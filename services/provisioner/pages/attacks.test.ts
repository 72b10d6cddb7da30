import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../auth/browser.ts';
import { MAX_ATTEMPTS } from '../auth/session.ts';
import { createTickets } from '../auth/sessions.ts';
import { openWorld, type World } from './world.ts';

const ORIGIN = 'https://my.space.example';
const HOST = 'my.space.example';
const XSS = '"><img src=x onerror=alert(1)>';

let world: World;
beforeAll(async () => {
  world = await openWorld(ORIGIN);
});
afterAll(() => world[Symbol.asyncDispose]());

const newBrowser = () => createBrowser({ local: { [ORIGIN]: (r) => world.app.fetch(r) } });

async function logIn(username: string) {
  const browser = newBrowser();
  const form = await browser.go(`${ORIGIN}/login?to=/spaces`);
  const page = await browser.post(form.url, { username });
  return { browser, page };
}

/** The callback's address of a login by `username`, reached but not yet opened. */
async function callbackOf(browser: ReturnType<typeof newBrowser>, change = (to: URL) => to) {
  const begun = await browser.go(`${ORIGIN}/login?to=/spaces`, {}, false);
  const form = await browser.go(change(new URL(begun.headers.get('location')!)).href);
  let { headers } = await browser.post(form.url, { username: 'paying' }, false);
  while (!headers.get('location')!.startsWith(ORIGIN)) {
    headers = (await browser.go(headers.get('location')!, {}, false)).headers;
  }
  return headers.get('location')!;
}

test('an id_token with another nonce than was sent is refused', async () => {
  const browser = newBrowser();
  const callback = await callbackOf(browser, (to) => {
    to.searchParams.set('nonce', 'forged');
    return to;
  });
  const page = await browser.go(callback, {}, false);
  expect([page.status, browser.jar(ORIGIN).has('__Host-session')]).toEqual([400, false]);
  const honest = newBrowser();
  expect((await honest.go(await callbackOf(honest), {}, false)).status).toBe(303);
});

test('the state of another browser’s attempt logs nobody in, though both have begun one', async () => {
  const [attacker, victim] = [newBrowser(), newBrowser()];
  const callback = await callbackOf(attacker);
  await victim.go(`${ORIGIN}/login`, {}, false);
  const page = await victim.go(callback, {}, false);
  expect([page.status, victim.jar(ORIGIN).has('__Host-session')]).toEqual([400, false]);
});

test('a session id planted before the login is not the one after it', async () => {
  const browser = newBrowser();
  const planted = 'A'.repeat(43);
  browser.jar(ORIGIN).set('__Host-session', planted);
  expect((await browser.go(await callbackOf(browser), {}, false)).status).toBe(303);
  expect(browser.jar(ORIGIN).get('__Host-session')).not.toBe(planted);
  const thief = await world.app.request(`${ORIGIN}/spaces`, {
    headers: { accept: '*/*', host: HOST, cookie: `__Host-session=${planted}` },
  });
  expect(thief.status).toBe(401);
});

test('a form posted under another Host is refused, with a good session and a matching Origin', async () => {
  const { browser } = await logIn('paying');
  const cookie = `__Host-session=${browser.jar(ORIGIN).get('__Host-session')}`;
  const post = (host: string) =>
    world.app.request(`https://${host}/spaces/new`, {
      method: 'POST',
      headers: { host, origin: `https://${host}`, 'sec-fetch-site': 'same-origin', cookie },
      body: new URLSearchParams({ name: 'x' }),
    });
  expect((await post('evil.example')).status).toBe(404);
  expect((await post(`${HOST}:444`)).status).toBe(404);
  expect((await post(HOST)).status).not.toBe(404);
});

test('markup in Keycloak names and in what the cluster says comes back as text', async () => {
  world.keycloak.change('paying', { name: XSS });
  const { browser, page } = await logIn('paying');
  expect(page.text).toContain('&gt;&lt;img src=x');
  const step = {
    key: 'applied',
    state: 'failed',
    text: `text ${XSS}`,
    help: `help ${XSS}`,
  } as const;
  world.cluster.status = {
    steps: [step],
    quota: [{ name: XSS, used: XSS, hard: XSS, percent: 1 }],
    drift: [`drift ${XSS}`],
  };
  const fields = {
    name: 'hostile',
    plan: 'small',
    url: 'https://codeberg.org/a/b',
    ref: 'main',
    path: './',
  };
  const check = await browser.post(`${ORIGIN}/spaces/new`, fields);
  const agreed = /name="agreed"\s+value="([^"]*)"/.exec(check.text)![1]!;
  await browser.post(`${ORIGIN}/spaces/new/check`, { ...fields, agreed });
  for (const path of ['', '/status', '/history']) {
    const { status, text } = await browser.go(`${ORIGIN}/spaces/hostile${path}`);
    expect([status, text.includes('<img src=x')], path).toEqual([200, false]);
    expect(text, path).toContain('&lt;img src=x');
  }
});

test.each([
  '..%2f..%2fetc',
  '%252e%252e',
  '%2e%2e%2fgarden',
  '..%5cgarden',
  'garden%00',
  'garden%0a',
  '%ff',
  'GARDEN',
  'a'.repeat(10_240),
])('a space’s name that is a trick is no space, #%#', async (name) => {
  const { browser } = await logIn('lapsed');
  for (const path of ['', '/export', '/status', '/history']) {
    const { status, headers } = await browser.go(`${ORIGIN}/spaces/${name}${path}`, {}, false);
    expect([400, 404], `${path}: ${status}`).toContain(status);
    expect(headers.get('content-type')).not.toContain('gzip');
  }
});

test('encoded dots alone are resolved before any route is asked: to a page of ours, never a file', async () => {
  const { browser } = await logIn('lapsed');
  const [dots, root] = [
    await browser.go(`${ORIGIN}/spaces/%2e%2e`),
    await browser.go(`${ORIGIN}/`),
  ];
  expect([dots.status, dots.text]).toEqual([200, root.text]);
  expect((await browser.go(`${ORIGIN}/spaces/%2e%2e/export`)).status).toBe(404);
});

test.each([
  'https://evil.example/',
  '//evil.example/',
  '/\\\\evil.example/',
  '/%2f/evil.example',
  '/.//evil.example',
  'javascript:alert(1)',
  '/ok\r\nLocation: https://evil.example/',
])('no login ends at another origin: %j', async (to) => {
  const browser = newBrowser();
  // What @hono/oidc-auth itself would follow, from the address and from a cookie.
  browser.jar(ORIGIN).set('continue', encodeURIComponent(to));
  const query = new URLSearchParams({ to, continue: to, redirect_uri: to });
  const form = await browser.go(`${ORIGIN}/login?${query}`);
  const seen: string[] = [];
  let step = await browser.post(form.url, { username: 'paying' }, false);
  for (let hop = 0; hop < 6 && step.headers.get('location'); hop++) {
    const next = new URL(step.headers.get('location')!, step.url);
    seen.push(next.origin);
    if (![ORIGIN, world.keycloak.url].includes(next.origin)) break;
    step = await browser.go(next.href, {}, false);
  }
  expect(seen).toContain(ORIGIN);
  expect(seen.filter((origin) => ![ORIGIN, world.keycloak.url].includes(origin))).toEqual([]);
  expect(browser.jar(ORIGIN).has('__Host-session')).toBe(true);
});

test('no form of any page is taken from another origin, with a good session', async () => {
  const { browser } = await logIn('paying');
  const cookie = `__Host-session=${browser.jar(ORIGIN).get('__Host-session')}`;
  const posts = new Set(
    world.app.routes.filter((r) => r.method === 'POST').map((r) => r.path)
      .filter((path) => path !== '/auth/backchannel-logout'),
  );
  expect(posts.size).toBeGreaterThan(8);
  for (const path of posts) {
    const url = ORIGIN + path.replace(':name', 'garden');
    for (
      const headers of [
        { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
        { origin: 'http://my.space.example', 'sec-fetch-site': 'same-site' },
        { origin: 'null' },
      ] as Record<string, string>[]
    ) {
      const body = new URLSearchParams({ name: 'x', typed: 'garden' });
      const answer = await world.app.request(url, {
        method: 'POST',
        headers: { host: HOST, accept: 'text/html', cookie, ...headers },
        body,
      });
      expect(answer.status, path).toBe(403);
    }
  }
  expect((await browser.go(`${ORIGIN}/spaces`)).text).toContain('Log out');
});

test('a record that somebody wrote into the repository by hand stays text on every page', async () => {
  const { browser } = await logIn('paying');
  const fields = { name: 'planted', plan: 'small', ref: 'main', path: './' };
  const url = 'https://codeberg.org/a/b';
  const check = await browser.post(`${ORIGIN}/spaces/new`, { ...fields, url });
  const agreed = /name="agreed"\s+value="([^"]*)"/.exec(check.text)![1]!;
  await browser.post(`${ORIGIN}/spaces/new/check`, { ...fields, url, agreed });
  const record = 'tenants/planted/tenant.json';
  await world.store.commit({
    author: { name: 'somebody', email: 'somebody@invalid' },
    edit: async (snapshot) => {
      const text = new TextDecoder().decode(await snapshot.read(record));
      const changed = { ...JSON.parse(text), plan: XSS };
      changed.repository = { url: `${url}${XSS}`, ref: XSS, path: XSS };
      const bytes = new TextEncoder().encode(JSON.stringify(changed));
      return { files: new Map([[record, bytes]]), subject: XSS, trailers: [], result: undefined };
    },
  });
  for (
    const path of [
      '/spaces',
      ...['', '/history', '/edit', '/delete'].map((p) => `/spaces/planted${p}`),
    ]
  ) {
    const { status, text } = await browser.go(ORIGIN + path);
    expect([path, status, text.includes('<img src=x')]).toEqual([path, 200, false]);
  }
  const admin = await logIn('admin');
  const { text } = await admin.browser.go(`${ORIGIN}/admin`);
  expect(text).toContain('planted');
  expect(text).not.toContain('<img src=x');
});

test('ten thousand begun logins of strangers push no honest one out', async () => {
  const attempts = createTickets<string>(600_000, MAX_ATTEMPTS);
  const mine = attempts.put('me', 'mine');
  for (let i = 0; i < 10_000; i++) attempts.put(`stranger ${i}`, 'x');
  expect(attempts.take('me', mine)).toBe('mine');
});
