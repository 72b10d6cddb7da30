import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Secret } from '@hackspace/kit/config.ts';
import { createHttp } from '@hackspace/kit/http.ts';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { setupLogging } from '@hackspace/kit/log.ts';
import { openState, type State } from '@hackspace/kit/state.ts';
import {
  idOf,
  type KeycloakFacade,
  PEOPLE,
  startKeycloakFacade,
} from '../../../dev/keycloak-facade.ts';
import { createBrowser } from './browser.ts';
import { createOidc } from './oidc.ts';
import { createAuth, localPath, type SessionEnv } from './session.ts';
import { createTickets, openSessions, type Sessions } from './sessions.ts';

const ORIGIN = 'https://my.space.example';
const lines: string[] = [];
let keycloak: KeycloakFacade;
let folder: string;
let state: State;
let sessions: Sessions;

beforeAll(async () => {
  setupLogging({ service: 'test', level: 'debug', write: (line) => lines.push(line) });
  keycloak = await startKeycloakFacade({
    port: 0,
    people: PEOPLE,
    clients: [{
      id: 'portal',
      secret: 'portal-secret-of-the-test',
      redirectUris: [`${ORIGIN}/auth/callback`],
      postLogoutRedirectUris: [`${ORIGIN}/`],
    }],
  });
});
afterAll(() => keycloak.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hackspace-auth-'));
  state = await openState(folder);
});
afterEach(async () => {
  for (const person of PEOPLE) keycloak.change(person.username, person);
  await rm(folder, { recursive: true, force: true });
});

/** A portal of one members' page, with the facade as its provider. */
async function portal(more: { refreshSeconds?: number; issuer?: string; timeoutMs?: number } = {}) {
  sessions = await openSessions({ state, secret: new Secret('s'.repeat(40)), maxPerSubject: 3 });
  const oidc = createOidc({
    origin: ORIGIN,
    callbackPath: '/auth/callback',
    issuer: keycloak.issuer,
    clientId: 'portal',
    clientSecret: new Secret('portal-secret-of-the-test'),
    secret: new Secret('x'.repeat(40)),
    ...more,
  });
  const auth = createAuth({
    oidc,
    sessions,
    clientId: 'portal',
    origin: ORIGIN,
    callbackPath: '/auth/callback',
  });
  const app = createHttp({
    service: 'test',
    version: '1',
    title: 'Portal',
    metrics: createMetrics('test'),
    ready: () => ({ ok: true, reasons: [] }),
    errorPage: (p) => `<h1>${p.title}</h1><p>${p.detail}</p>`,
  });
  app.use(auth.guard);
  app.route('/', auth.routes);
  app.get('/', (c) => c.text('welcome'));
  app.use('/me/*', auth.required as never);
  app.get('/me/page', (c) => {
    const member = (c as unknown as { get(k: 'member'): SessionEnv['Variables']['member'] }).get(
      'member',
    );
    return c.json({ ...member, parked: auth.unpark(c) ?? null });
  });
  app.post('/me/page', (c) => c.text('saved'));
  const browser = createBrowser({ local: { [ORIGIN]: (request) => app.fetch(request) } });
  return { app, auth, browser, oidc };
}

type Portal = Awaited<ReturnType<typeof portal>>;

async function logIn({ browser }: Portal, username = 'paying', to = '/me/page') {
  const form = await browser.go(`${ORIGIN}${to}`);
  expect(form.text).toContain('stands in for Keycloak');
  return await browser.post(form.url, { username });
}

test('a member logs in and comes back to the page asked for', async () => {
  const p = await portal();
  const page = await logIn(p, 'paying', '/me/page?x=1');
  expect(page.url).toBe(`${ORIGIN}/me/page?x=1`);
  expect(JSON.parse(page.text)).toMatchObject({
    issuer: keycloak.issuer,
    subject: idOf('paying'),
    groups: ['/paying-members'],
  });
});

test('only the known scopes are asked for, with state, nonce and PKCE', async () => {
  const p = await portal();
  const { headers } = await p.browser.go(`${ORIGIN}/me/page`, {}, false);
  const query = new URL(headers.get('location')!).searchParams;
  expect(query.get('scope')).toBe('openid profile email');
  expect(query.get('code_challenge_method')).toBe('S256');
  expect(query.get('redirect_uri')).toBe(`${ORIGIN}/auth/callback`);
  expect(query.get('state')).toBeTruthy();
  expect(query.get('nonce')).toBeTruthy();
});

test('the browser holds a random id in a __Host- cookie, SameSite=Lax, and no token', async () => {
  const p = await portal();
  await logIn(p);
  const jar = p.browser.jar(ORIGIN);
  expect([...jar.keys()].sort()).toEqual(['__Host-browser', '__Host-session']);
  for (const value of jar.values()) expect(value).toMatch(/^[\w-]{43}$/);
  const { headers } = await p.browser.go(`${ORIGIN}/login`, {}, false);
  p.browser.jar(ORIGIN).delete('__Host-browser');
  const fresh = await p.browser.go(`${ORIGIN}/login`, {}, false);
  expect(fresh.headers.get('set-cookie')).toMatch(/HttpOnly; Secure; SameSite=Lax/);
  expect(headers.get('cache-control')).toBe('no-store');
});

test('two tabs log in side by side', async () => {
  const p = await portal();
  const first = await p.browser.go(`${ORIGIN}/me/page?tab=1`);
  const second = await p.browser.go(`${ORIGIN}/me/page?tab=2`);
  const a = await p.browser.post(first.url, { username: 'paying' });
  const b = await p.browser.post(second.url, { username: 'paying' });
  expect([a.url, b.url]).toEqual([`${ORIGIN}/me/page?tab=1`, `${ORIGIN}/me/page?tab=2`]);
});

test('a callback works once, for the browser that began it, and never without an attempt', async () => {
  const p = await portal();
  const form = await p.browser.go(`${ORIGIN}/me/page`);
  const steps = await p.browser.post(form.url, { username: 'paying' }, false);
  let url = steps.headers.get('location')!;
  while (!url.startsWith(ORIGIN)) {
    url = (await p.browser.go(url, {}, false)).headers.get('location')!;
  }
  const thief = createBrowser({ local: { [ORIGIN]: (r) => p.app.fetch(r) } });
  expect((await thief.go(url)).status).toBe(400);
  expect((await p.browser.go(url, {}, false)).status).toBe(303);
  expect((await p.browser.go(url, {}, false)).status).toBe(400);
  expect((await p.browser.go(`${ORIGIN}/auth/callback?code=a&state=b`)).status).toBe(400);
  expect((await p.browser.go(`${ORIGIN}/auth/callback`)).status).toBe(400);
});

test('a forged code or a forged iss is refused in words, and leaves no session', async () => {
  const p = await portal();
  const { headers } = await p.browser.go(`${ORIGIN}/me/page`, {}, false);
  const sent = new URL(headers.get('location')!).searchParams.get('state')!;
  const forged = await p.browser.go(
    `${ORIGIN}/auth/callback?code=forged&state=${sent}&iss=${
      encodeURIComponent('https://evil.example')
    }`,
  );
  expect(forged.status).toBe(400);
  expect(forged.text).toContain('Cannot finish the login');
  expect(sessions.size).toBe(0);
});

test('access_denied is told kindly, not as a fault of ours', async () => {
  const p = await portal();
  const { headers } = await p.browser.go(`${ORIGIN}/me/page`, {}, false);
  const sent = new URL(headers.get('location')!).searchParams.get('state')!;
  const page = await p.browser.go(`${ORIGIN}/auth/callback?error=access_denied&state=${sent}`);
  expect([page.status, page.text.includes('refused or cancelled')]).toEqual([403, true]);
});

test('what is no page gets 401 and no redirect', async () => {
  const { app } = await portal();
  for (const accept of ['application/json', '*/*']) {
    const response = await app.request(`${ORIGIN}/me/page`, {
      headers: { accept, host: 'my.space.example' },
    });
    expect(response.status).toBe(401);
    expect(response.headers.get('location')).toBeNull();
  }
});

test('another host name is refused, whatever it asks for', async () => {
  const { app } = await portal();
  const response = await app.request('https://evil.example/me/page', {
    headers: { accept: 'text/html', host: 'evil.example' },
  });
  expect(response.status).toBe(404);
  expect(response.headers.get('location')).toBeNull();
});

test.each([
  ['another origin', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
  ['a sibling', { origin: 'https://x.space.example', 'sec-fetch-site': 'same-site' }],
  ['an opaque origin', { origin: 'null' }],
  ['no origin at all', {}],
])('a form posted by %s is refused', async (_, headers) => {
  const p = await portal();
  await logIn(p);
  const page = await p.browser.go(`${ORIGIN}/me/page`, {
    method: 'POST',
    body: new URLSearchParams({ a: '1' }),
    headers: headers as Record<string, string>,
  });
  expect(page.status).toBe(403);
  const same = await p.browser.post(`${ORIGIN}/me/page`, { a: '1' });
  expect([same.status, same.text]).toEqual([200, 'saved']);
});

test('forged and stolen cookies: unknown ids, altered ids, and ids of before a new login are nothing', async () => {
  const p = await portal();
  await logIn(p);
  const id = p.browser.jar(ORIGIN).get('__Host-session')!;
  for (
    const forged of [
      '',
      'x',
      id.slice(0, -1) + (id.endsWith('A') ? 'B' : 'A'),
      'A'.repeat(43),
      '../x',
    ]
  ) {
    const response = await p.app.request(`${ORIGIN}/me/page`, {
      headers: { accept: '*/*', host: 'my.space.example', cookie: `__Host-session=${forged}` },
    });
    expect(response.status).toBe(401);
  }
  const form = await p.browser.go(`${ORIGIN}/login?to=/me/page`);
  if (form.url.startsWith(keycloak.url)) await p.browser.post(form.url, { username: 'paying' });
  expect(p.browser.jar(ORIGIN).get('__Host-session')).not.toBe(id);
  expect(await sessions.get(id)).toBeUndefined();
});

test('parallel requests at the renewal cost one refresh and log nobody out', async () => {
  const p = await portal({ refreshSeconds: -1 });
  await logIn(p);
  let refreshes = 0;
  const refresh = p.oidc.refresh;
  p.oidc.refresh = (jwt) => {
    refreshes++;
    return refresh(jwt);
  };
  const pages = await Promise.all(
    Array.from({ length: 8 }, () => p.browser.go(`${ORIGIN}/me/page`)),
  );
  expect(pages.map((page) => page.status)).toEqual(Array(8).fill(200));
  expect(refreshes).toBe(1);
});

test('a person disabled meanwhile is out at the next renewal', async () => {
  const p = await portal({ refreshSeconds: -1 });
  await logIn(p);
  keycloak.change('paying', { enabled: false });
  const page = await p.browser.go(`${ORIGIN}/me/page`, { headers: { accept: '*/*' } });
  expect(page.status).toBe(401);
  expect(sessions.size).toBe(0);
});

test('a provider that is away at the renewal costs nobody a session', async () => {
  const p = await portal({ refreshSeconds: -1 });
  await logIn(p);
  p.oidc.refresh = () => Promise.reject(new Error('connect ECONNREFUSED'));
  const page = await p.browser.go(`${ORIGIN}/me/page`);
  expect(page.status).toBe(200);
});

test('a provider that is away at the login is said so, with a time to come back', async () => {
  const p = await portal();
  p.oidc.begin = () =>
    createOidc({
      origin: ORIGIN,
      callbackPath: '/auth/callback',
      issuer: 'http://127.0.0.1:1/realms/hackspace',
      clientId: 'portal',
      clientSecret: new Secret('c'),
      secret: new Secret('x'.repeat(40)),
      timeoutMs: 2000,
    }).begin();
  const page = await p.browser.go(`${ORIGIN}/me/page`);
  expect([page.status, page.headers.get('retry-after')]).toEqual([503, '10']);
});

test('discovery is asked once, not for each anonymous visitor', async () => {
  const p = await portal();
  const before = await p.oidc.metadata();
  for (let i = 0; i < 5; i++) await p.browser.go(`${ORIGIN}/login`, {}, false);
  expect(await p.oidc.metadata()).toBe(before);
});

test('logging out ends the session here and asks the provider to end its own', async () => {
  const p = await portal();
  await logIn(p);
  const id = p.browser.jar(ORIGIN).get('__Host-session')!;
  const out = await p.browser.post(`${ORIGIN}/logout`, {}, false);
  const location = new URL(out.headers.get('location')!);
  expect(location.pathname).toBe('/realms/hackspace/protocol/openid-connect/logout');
  expect(location.searchParams.get('id_token_hint')).toBeTruthy();
  expect(location.searchParams.get('post_logout_redirect_uri')).toBe(`${ORIGIN}/`);
  expect(p.browser.jar(ORIGIN).has('__Host-session')).toBe(false);
  const replayed = await p.app.request(`${ORIGIN}/me/page`, {
    headers: { accept: '*/*', host: 'my.space.example', cookie: `__Host-session=${id}` },
  });
  expect(replayed.status).toBe(401);
});

test('a form sent after its session ended comes back with what was typed, once', async () => {
  const p = await portal();
  await logIn(p);
  p.browser.jar(ORIGIN).delete('__Host-session');
  const page = await p.browser.post(`${ORIGIN}/me/page`, { name: 'my-space', note: 'über' });
  const form = page.url.startsWith(keycloak.url)
    ? await p.browser.post(page.url, { username: 'paying' })
    : page;
  expect(form.url).toContain(`${ORIGIN}/me/page?parked=`);
  expect(JSON.parse(form.text).parked).toEqual({ name: 'my-space', note: 'über' });
  expect(JSON.parse((await p.browser.go(form.url)).text).parked).toBeNull();
});

test.each([
  ['/me/page?a=b', '/me/page?a=b'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['/a\r\nSet-Cookie: x=y', '/'],
  ['/ok/../..//evil.example', '/'],
  ['', '/'],
])('after the login %j leads to %j', (to, expected) => {
  const path = localPath(to);
  if (to.startsWith('/ok')) expect(new URL(path, ORIGIN).origin).toBe(ORIGIN);
  else expect(path).toBe(expected);
});

test('back-channel logout takes only a fresh logout token of the provider', async () => {
  const p = await portal();
  await logIn(p);
  const { privateKey } = await generateKeyPair('RS256');
  const claims = { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } };
  const forged = await new SignJWT({ ...claims, jti: 'a' }).setProtectedHeader({ alg: 'RS256' })
    .setIssuer(keycloak.issuer).setAudience('portal').setSubject(idOf('paying')).setIssuedAt()
    .sign(privateKey);
  for (const token of [forged, '', 'x.y.z']) {
    const response = await p.app.request(`${ORIGIN}/auth/backchannel-logout`, {
      method: 'POST',
      headers: { host: 'my.space.example' },
      body: new URLSearchParams({ logout_token: token }),
    });
    expect(response.status).toBe(400);
  }
  expect(sessions.size).toBe(1);
  expect(await sessions.endAll({ issuer: keycloak.issuer })).toBe(0);
  expect(await sessions.endAll({ issuer: keycloak.issuer, subject: idOf('paying') })).toBe(1);
});

test('a logout token of the provider works once, and only with its event and without a nonce', async () => {
  const p = await portal();
  await logIn(p);
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const keys = JSON.stringify({ keys: [{ ...await exportJWK(publicKey), alg: 'RS256' }] });
  const metadata = await p.oidc.metadata();
  const jwks_uri = `data:application/json,${encodeURIComponent(keys)}`;
  p.oidc.metadata = () => Promise.resolve({ ...metadata, jwks_uri });
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const send = async (claims: Record<string, unknown>, audience = 'portal') => {
    const token = await new SignJWT({ sub: idOf('paying'), ...claims })
      .setProtectedHeader({ alg: 'RS256' }).setIssuer(keycloak.issuer).setAudience(audience)
      .setIssuedAt().sign(privateKey);
    const response = await p.app.request(`${ORIGIN}/auth/backchannel-logout`, {
      method: 'POST',
      headers: { host: 'my.space.example' },
      body: new URLSearchParams({ logout_token: token }),
    });
    return response.status;
  };
  expect(await send({ jti: 'a' })).toBe(400);
  expect(await send({ jti: 'b', events: { other: {} } })).toBe(400);
  expect(await send({ jti: 'c', events, nonce: 'n' })).toBe(400);
  expect(await send({ jti: 'd', events }, 'another client')).toBe(400);
  expect(sessions.size).toBe(1);
  expect(await send({ jti: 'e', events })).toBe(200);
  expect(sessions.size).toBe(0);
  await p.browser.go(`${ORIGIN}/me/page`);
  expect(await send({ jti: 'e', events })).toBe(400);
  expect(sessions.size).toBe(1);
});

test('a login that names nobody makes no session', async () => {
  const p = await portal();
  const key = new TextEncoder().encode('k'.repeat(32));
  const [rtkexp, ssnexp] = [4e9, 4e9];
  for (const claims of [{ sub: '', iss: keycloak.issuer }, { sub: 'x', iss: '' }]) {
    p.oidc.finish = () =>
      new SignJWT({ ...claims, rtkexp, ssnexp }).setProtectedHeader({ alg: 'HS256' }).sign(key);
    const { headers } = await p.browser.go(`${ORIGIN}/me/page`, {}, false);
    const state = new URL(headers.get('location')!).searchParams.get('state')!;
    const page = await p.browser.go(`${ORIGIN}/auth/callback?code=a&state=${state}`, {}, false);
    expect([page.status, page.text.includes('named nobody')]).toEqual([403, true]);
  }
  expect(sessions.size).toBe(0);
});

test('sessions outlive a restart, encrypted; another secret cannot read them', async () => {
  const p = await portal();
  await logIn(p);
  const id = p.browser.jar(ORIGIN).get('__Host-session')!;
  const [file] = await readdir(join(folder, 'sessions'));
  const text = await readFile(join(folder, 'sessions', file!), 'utf8');
  expect(text).not.toContain(id);
  expect(text.split('.')).toHaveLength(5);
  const again = await openSessions({ state, secret: new Secret('s'.repeat(40)) });
  expect((await again.get(id))?.subject).toBe(idOf('paying'));
  const other = await openSessions({ state, secret: new Secret('t'.repeat(40)) });
  expect(await other.get(id)).toBeUndefined();
});

test('replicas on one state have the same sessions, and an end is an end everywhere', async () => {
  const secret = new Secret('s'.repeat(40));
  const [here, there] = [
    await openSessions({ state, secret }),
    await openSessions({ state, secret }),
  ];
  const session = { jwt: 'j', issuer: 'i', subject: 'me', expires: Date.now() + 1e6 };
  const id = await here.create(session);
  expect(await there.get(id)).toEqual(session);
  await there.update(id, { ...session, jwt: 'renewed' });
  expect((await here.get(id))?.jwt).toBe('renewed');
  await there.end(id);
  expect(await here.get(id)).toBeUndefined();
  await here.update(id, session);
  expect(await there.get(id)).toBeUndefined();
  const ids = [await here.create(session), await here.create(session)];
  expect(await there.endAll({ issuer: 'i', subject: 'me' })).toBe(2);
  for (const each of ids) expect(await here.get(each)).toBeUndefined();
});

test('ten thousand sessions stay bounded, and one person cannot push the others out', async () => {
  const memory = new Map<string, Uint8Array>();
  const bounded = await openSessions({
    state: {
      get: (k) => Promise.resolve(memory.get(k)),
      set: (k, v) => Promise.resolve(void memory.set(k, new TextEncoder().encode(v as string))),
      add: () => Promise.reject(new Error('not used')),
      delete: (k) => Promise.resolve(void memory.delete(k)),
      list: () => Promise.resolve([...memory.keys()]),
      close: () => Promise.resolve(),
    },
    secret: new Secret('s'.repeat(40)),
    max: 1000,
    maxPerSubject: 20,
  });
  const session = (subject: string) => ({
    jwt: 'j',
    issuer: 'i',
    subject,
    expires: Date.now() + 1e6,
  });
  const victim = await bounded.create(session('victim'));
  for (let i = 0; i < 500; i++) await bounded.create(session('attacker'));
  expect(bounded.size).toBe(21);
  expect(await bounded.get(victim)).toBeDefined();
  for (let i = 0; i < 10_000; i++) await bounded.create(session(`s${i}`));
  expect(bounded.size).toBeLessThanOrEqual(1000);
  expect(memory.size).toBe(bounded.size);
}, 180_000);

test('tickets are taken once, by their browser, in time, and bounded in number', () => {
  let now = 0;
  const tickets = createTickets<string>(1000, 3, () => now);
  const a = tickets.put('me', 'a');
  expect(tickets.take('you', a)).toBeUndefined();
  expect(tickets.take('me', a)).toBe('a');
  expect(tickets.take('me', a)).toBeUndefined();
  const b = tickets.put('me', 'b');
  now = 1001;
  expect(tickets.take('me', b)).toBeUndefined();
  const many = Array.from({ length: 5 }, (_, i) => tickets.put('me', String(i)));
  expect(many.filter((id) => tickets.take('me', id) !== undefined)).toHaveLength(3);
});

test('no log line of all this holds a token, a code, a cookie or a secret', () => {
  const text = lines.join('\n');
  expect(text).not.toMatch(/eyJ|portal-secret|__Host|code=|state=[\w-]{20}/);
});
