import { createHmac } from 'node:crypto';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie';
import type { Secret } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import { equalSecret, rateLimit } from '@hackspace/kit/guard.ts';
import type { HttpEnv } from '@hackspace/kit/http.ts';
import { newTokenBody } from './api.ts';
import { type Config, feedUrl } from './config.ts';
import { parseExpiry, parseOverlap } from './expiry.ts';
import type { Feeds } from './feeds.ts';
import { adminPage, loginPage, urlPage } from './pages/admin.ts';
import { PAGE_CSP } from './pages/layout.ts';
import type { Tokens } from './tokens.ts';

export interface AdminPorts {
  config: Config;
  feeds: Feeds;
  tokens: Tokens;
  admin: Secret | undefined;
  addressOf: (request: Request, env: unknown) => string;
  base: string;
  now: () => number;
}

const HOURS = 8;

/**
 * The admin page. Signing in takes the admin token by a form and gives a signed cookie that holds
 * only its end; the key derives from the admin token, so that a new token ends every session. Forms
 * are safe from other sites by SameSite=Strict and by the check of Origin.
 */
export function addAdmin(http: OpenAPIHono<HttpEnv>, ports: AdminPorts): void {
  const { config, feeds, tokens, admin, base, now } = ports;
  if (!admin) return;
  const secure = config.publicUrl.startsWith('https:');
  const name = secure ? '__Host-ics-admin' : 'ics-admin';
  const key = createHmac('sha256', admin.bytes()).update('ics-proxy admin session').digest('hex');
  const failures = rateLimit({ points: 10, perMs: 60_000 });
  const home = `${base}/admin`;

  async function signedIn(c: Context): Promise<boolean> {
    const value = await getSignedCookie(c, key, name);
    return typeof value === 'string' && Number(value) > now();
  }
  async function guard(c: Context): Promise<void> {
    if (!await signedIn(c)) throw new AppError('unauthenticated', 'Cannot do that: not signed in');
  }
  /** Refuses forms that another site sent: by Sec-Fetch-Site, or by Origin where it is missing. */
  function sameSite(c: Context): void {
    const site = c.req.header('sec-fetch-site');
    const origin = c.req.header('origin');
    const hosts = [c.req.header('host'), new URL(config.publicUrl).host];
    const same = site !== undefined
      ? site === 'same-origin'
      : origin !== undefined && URL.canParse(origin) && hosts.includes(new URL(origin).host);
    if (!same) throw new AppError('forbidden', 'Cannot do that: the form came from another site');
  }
  function show(c: Context, text: string, status: 200 | 401 = 200) {
    return c.html(text, status, {
      'Content-Security-Policy': PAGE_CSP,
      'Cache-Control': 'no-store',
      'X-Robots-Tag': 'noindex',
    });
  }
  /** The page that tells a new URL: the only time it is seen. */
  async function showUrl(c: Context, feed: string, label: string, token: string) {
    return show(c, await urlPage({ base, feed, label, url: feedUrl(config, feed, token) }));
  }
  async function field(c: Context, key_: string): Promise<string> {
    const value = (await c.req.parseBody())[key_];
    return typeof value === 'string' ? value : '';
  }

  http.get('/admin', async (c) => {
    if (!await signedIn(c)) return show(c, await loginPage(base, false));
    return show(
      c,
      await adminPage({ base, health: feeds.health(), tokens: tokens.list(), now: now() }),
    );
  });
  http.post('/admin/login', async (c) => {
    sameSite(c);
    const given = (await field(c, 'token')).trim();
    if (!equalSecret(given, admin.bytes())) {
      const { ok, retryAfter } = failures.take(ports.addressOf(c.req.raw, c.env));
      if (!ok) {
        throw new AppError('rate_limited', 'Cannot sign in: too many failures', { retryAfter });
      }
      return show(c, await loginPage(base, true), 401);
    }
    await setSignedCookie(c, name, String(now() + HOURS * 3_600_000), key, {
      httpOnly: true,
      sameSite: 'Strict',
      secure,
      path: secure ? '/' : base || '/',
      maxAge: HOURS * 3600,
    });
    return c.redirect(home, 303);
  });
  http.post('/admin/logout', (c) => {
    sameSite(c);
    deleteCookie(c, name, { secure, path: secure ? '/' : base || '/' });
    return c.redirect(home, 303);
  });
  http.use('/admin/do/*', async (c, next) => {
    sameSite(c);
    await guard(c);
    await next();
  });
  http.post('/admin/do/feeds/:feed/tokens', async (c) => {
    const feed = c.req.param('feed');
    if (!feeds.has(feed)) throw new AppError('not_found', 'Cannot find feed');
    const form = await c.req.parseBody();
    const parsed = newTokenBody.safeParse({
      label: form.label,
      view: form.view,
      ...(form.expires ? { expires: form.expires } : {}),
    });
    if (!parsed.success) {
      const why = parsed.error.issues.map((i) => `${i.path.join('.')} ${i.message}`).join('; ');
      throw new AppError('invalid', `Cannot make token: ${why}`);
    }
    const { label, view, expires } = parsed.data;
    const { token } = await tokens.create({
      feed,
      label,
      view,
      expires: expires === undefined ? undefined : parseExpiry(expires, now()),
    });
    return await showUrl(c, feed, label, token);
  });
  http.post('/admin/do/feeds/:feed/refresh', async (c) => {
    await feeds.refresh(c.req.param('feed'));
    return c.redirect(home, 303);
  });
  http.post('/admin/do/tokens/:id/revoke', async (c) => {
    await tokens.revoke(c.req.param('id'));
    return c.redirect(home, 303);
  });
  http.post('/admin/do/tokens/:id/rotate', async (c) => {
    const { token, record } = await tokens.rotate(c.req.param('id'), parseOverlap('7d'));
    return await showUrl(c, record.feed, record.label, token);
  });
}
