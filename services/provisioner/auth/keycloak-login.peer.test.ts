import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '@hackspace/kit/config.ts';
import { createHttp } from '@hackspace/kit/http.ts';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { serve, type Served } from '@hackspace/kit/serve.ts';
import { openState, type State } from '@hackspace/kit/state.ts';
import { idOf } from '../../../dev/keycloak-facade.ts';
import {
  clients,
  type Keycloak,
  passwordOf,
  startKeycloak,
} from '../../../tests/peers/keycloak.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { reservePort } from '../../../tests/peers/lib/ports.ts';
import { createBrowser } from './browser.ts';
import { createOidc } from './oidc.ts';
import { createAuth, type SessionEnv } from './session.ts';
import { openSessions, type Sessions } from './sessions.ts';

needs('keycloak')('members’ sessions, with the real Keycloak', () => {
  let keycloak: Keycloak;
  let served: Served;
  let sessions: Sessions;
  let state: State;
  let folder: string;
  let origin: string;
  let refreshes = 0;
  /** What Keycloak posted, as it came. */
  const posted: string[] = [];

  beforeAll(async () => {
    keycloak = await startKeycloak();
    const { port } = await reservePort();
    origin = `http://127.0.0.1:${port}`;
    await keycloak.changeClient(clients.login.id, {
      attributes: {
        // Long enough for a login on a busy machine, whose own tokens must not end before it does.
        'access.token.lifespan': '4',
        'post.logout.redirect.uris': `${origin}/`,
        'backchannel.logout.url': `${origin}/auth/backchannel-logout`,
      },
    });
    folder = await mkdtemp(join(tmpdir(), 'hackspace-login-'));
    state = await openState(folder);
    sessions = await openSessions({ state, secret: new Secret('s'.repeat(40)) });
    const oidc = createOidc({
      origin,
      callbackPath: '/auth/callback',
      issuer: keycloak.issuer,
      clientId: clients.login.id,
      clientSecret: new Secret(clients.login.secret),
      secret: new Secret('x'.repeat(40)),
      refreshSeconds: 1,
    });
    const { refresh } = oidc;
    oidc.refresh = (jwt) => {
      refreshes++;
      return refresh(jwt);
    };
    const callbackPath = '/auth/callback';
    const auth = createAuth({ oidc, sessions, clientId: clients.login.id, origin, callbackPath });
    const app = createHttp({
      service: 'test',
      version: '1',
      title: 'Portal',
      metrics: createMetrics('test'),
      ready: () => ({ ok: true, reasons: [] }),
    });
    app.use('/auth/backchannel-logout', async (c, next) => {
      posted.push(await c.req.raw.clone().text());
      await next();
    });
    app.use(auth.guard);
    app.route('/', auth.routes);
    app.get('/', (c) => c.text('welcome'));
    app.use('/me', auth.required as never);
    app.get('/me', (c) => {
      const vars = c as unknown as { get(key: 'member'): SessionEnv['Variables']['member'] };
      return c.json(vars.get('member'));
    });
    served = await serve(app, { host: '127.0.0.1', port });
  });
  afterAll(async () => {
    await served?.close();
    await state?.close();
    await keycloak?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function logIn(username: string) {
    const browser = createBrowser();
    const form = await browser.go(`${origin}/me`);
    const action = /<form[^>]*\saction="([^"]+)"/.exec(form.text)?.[1]?.replaceAll('&amp;', '&');
    expect(action, form.text.slice(0, 500)).toContain(keycloak.url);
    const page = await browser.post(action!, {
      username,
      password: passwordOf(username),
      credentialId: '',
    });
    return { browser, page };
  }
  type Browser = Awaited<ReturnType<typeof logIn>>['browser'];
  const status = async (browser: Browser) =>
    (await browser.go(`${origin}/me`, { headers: { accept: 'application/json' } })).status;
  const due = () => new Promise((done) => setTimeout(done, 5100));

  test('a paying member comes back as who they are, with their group', async () => {
    const { page } = await logIn('paying');
    expect(page.url, page.text.slice(0, 500)).toBe(`${origin}/me`);
    expect(JSON.parse(page.text)).toEqual({
      issuer: keycloak.issuer,
      subject: idOf('paying'),
      name: 'Paula Member',
      groups: ['/paying-members'],
    });
  });

  test('a member without any group is let in with none', async () => {
    await keycloak.leaveGroup('lapsed', 'not-paying-members');
    const { page } = await logIn('lapsed');
    await keycloak.joinGroup('lapsed', 'not-paying-members');
    expect(JSON.parse(page.text)).toMatchObject({ subject: idOf('lapsed'), groups: [] });
  });

  test('a disabled member is told so, and no session is left', async () => {
    const before = sessions.size;
    const { browser, page } = await logIn('disabled');
    expect(page.url).toContain(keycloak.url);
    expect(page.text).toContain('Account is disabled');
    expect(browser.jar(origin).has('session')).toBe(false);
    expect([sessions.size, await status(browser)]).toEqual([before, 401]);
  });

  test('a session is renewed past the access token’s life, and ends once its member is disabled', async () => {
    const { browser } = await logIn('paying');
    await due();
    const before = refreshes;
    expect([await status(browser), refreshes]).toEqual([200, before + 1]);
    await keycloak.changePerson('paying', { enabled: false });
    await due();
    const after = await status(browser);
    await keycloak.changePerson('paying', { enabled: true });
    expect(after).toBe(401);
  });

  test('logging out ends Keycloak’s session too: the next login asks for the password', async () => {
    const { browser } = await logIn('paying');
    expect((await browser.go(`${origin}/login?to=/me`)).url).toBe(`${origin}/me`);
    const out = await browser.post(`${origin}/logout`, {});
    expect([out.url, out.text]).toEqual([`${origin}/`, 'welcome']);
    expect((await browser.go(`${origin}/me`)).text).toContain('name="password"');
  });

  test('an administrator’s logout in Keycloak reaches the portal; its token works once', async () => {
    const { browser } = await logIn('admin');
    const other = await logIn('lapsed');
    posted.length = 0;
    const answer = await keycloak.admin(`/users/${idOf('admin')}/logout`, { method: 'POST' });
    expect(answer.status).toBe(204);
    await expect.poll(() => posted.length, { timeout: 10_000 }).toBe(1);
    expect(await status(browser)).toBe(401);
    expect(await status(other.browser)).toBe(200);
    const again = await fetch(`${origin}/auth/backchannel-logout`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: posted[0]!,
    });
    expect([again.status, await again.text()]).toEqual([
      400,
      expect.stringContaining('logout token does not fit'),
    ]);
  });
});
