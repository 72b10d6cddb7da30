import { randomBytes } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { csrf } from 'hono/csrf';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { AppError, describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import { claimsOf, type Oidc } from './oidc.ts';
import { createTickets, type Session, type Sessions } from './sessions.ts';

const log = getLogger(['provisioner', 'session']);

/** Who is logged in, from claims the provider signed. Key people by `issuer` and `subject` only. */
export interface Identity {
  issuer: string;
  subject: string;
  /** A display name: may change, may be anything. Escape it. */
  name: string;
  /** Group paths, as of the last renewal; absent when the token had none. */
  groups: string[];
}

export interface SessionEnv {
  Variables: { requestId: string; member: Identity };
}

export interface AuthOptions {
  oidc: Oidc;
  sessions: Sessions;
  clientId: string;
  /** Canonical origin of the portal; requests for any other host are refused. */
  origin: string;
  callbackPath: string;
}

export interface Auth {
  /** Mount first: canonical host, and no unsafe request from another origin. */
  guard: MiddlewareHandler;
  /** Mount on pages for members: sets `member`, or starts a login, or answers 401 to what is no page. */
  required: MiddlewareHandler<SessionEnv>;
  /** The identity if there is a session, without asking for one. For the landing page. */
  peek(c: Context): Promise<Identity | undefined>;
  /** `/auth/callback`, `/logout`, `/auth/backchannel-logout`. */
  routes: Hono;
  /** What a form held when its session had ended; shown once, to the browser that typed it. */
  unpark(c: Context): Record<string, string> | undefined;
}

/** Logins begun and not finished, at most: about a kilobyte each, kept for ten minutes. */
export const MAX_ATTEMPTS = 20_000;

interface Attempt {
  cookies: string;
  back: string;
}

/** Sessions for browsers, by @hono/oidc-auth behind `oidc.ts`. */
export function createAuth(options: AuthOptions): Auth {
  const { oidc, sessions, origin } = options;
  const secure = origin.startsWith('https:');
  const host = new URL(origin).host;
  // The prefix binds a cookie to this host and https; a plain http dev world cannot have it.
  const SESSION = secure ? '__Host-session' : 'session';
  const BROWSER = secure ? '__Host-browser' : 'browser';
  const cookie = { path: '/', httpOnly: true, secure, sameSite: 'Lax' } as const;
  const attempts = createTickets<Attempt>(10 * 60_000, MAX_ATTEMPTS);
  const parked = createTickets<Record<string, string>>(30 * 60_000, 500);
  const renewals = new Map<string, Promise<Session | 'ended'>>();
  const retryAt = new Map<string, number>();

  const sameOrigin = csrf({ origin, secFetchSite: 'same-origin' });
  const guard: MiddlewareHandler = async (c, next) => {
    if (c.req.header('host') !== host) {
      throw new AppError('not_found', 'Nothing is here: this host name is not the portal’s');
    }
    // The provider calls this one itself; its proof is the signed token.
    if (c.req.path === '/auth/backchannel-logout') return await next();
    return await sameOrigin(c, next);
  };

  /** Renews once for however many parallel requests; an unreachable provider costs nobody a session. */
  function renew(id: string, session: Session): Promise<Session | 'ended'> {
    const running = renewals.get(id);
    if (running) return running;
    const work = (async () => {
      try {
        const jwt = await oidc.refresh(session.jwt);
        if (jwt === 'ended') {
          await sessions.end(id);
          return 'ended' as const;
        }
        const renewed = { ...session, jwt };
        await sessions.update(id, renewed);
        retryAt.delete(id);
        return renewed;
      } catch (error) {
        log.warning('session not renewed', { error: describe(error) });
        retryAt.set(id, Date.now() + 10_000);
        return session;
      }
    })().finally(() => renewals.delete(id));
    renewals.set(id, work);
    return work;
  }

  async function current(c: Context): Promise<Session | undefined> {
    const id = getCookie(c, SESSION);
    const session = id ? await sessions.get(id) : undefined;
    if (!id || !session) return undefined;
    const due = claimsOf(session.jwt).rtkexp * 1000 < Date.now();
    if (!due || (retryAt.get(id) ?? 0) > Date.now()) return session;
    const renewed = await renew(id, session);
    return renewed === 'ended' ? undefined : renewed;
  }

  /** A random id of the browser, which ties login attempts and parked forms to it. */
  function browser(c: Context): string {
    const known = getCookie(c, BROWSER);
    if (known && /^[\w-]{43}$/.test(known)) return known;
    const fresh = randomBytes(32).toString('base64url');
    setCookie(c, BROWSER, fresh, { ...cookie, maxAge: 3600 });
    return fresh;
  }

  async function login(c: Context, back: string): Promise<Response> {
    const { location, state, cookies } = await oidc.begin();
    attempts.put(browser(c), { cookies, back: localPath(back) }, state);
    c.header('Cache-Control', 'no-store');
    return c.redirect(location, 303);
  }

  const required: MiddlewareHandler<SessionEnv> = async (c, next) => {
    const session = await current(c);
    if (session) {
      c.set('member', identity(session));
      await next();
      if (!c.res.headers.has('Cache-Control')) c.header('Cache-Control', 'private, no-store');
      return;
    }
    const here = new URL(c.req.url);
    const page = c.req.header('accept')?.includes('text/html') &&
      c.req.header('sec-fetch-dest') !== 'empty';
    if (!page) throw new AppError('unauthenticated', 'Cannot answer: no one is logged in');
    if (c.req.method === 'GET' || c.req.method === 'HEAD') {
      return await login(c, here.pathname + here.search);
    }
    // A form was sent after its session ended: keep what was typed, and come back to it.
    const fields = await c.req.parseBody().catch(() => ({}));
    const texts = Object.entries(fields).filter((f): f is [string, string] =>
      typeof f[1] === 'string' && f[1].length <= 4096
    );
    const ticket = parked.put(browser(c), Object.fromEntries(texts.slice(0, 50)));
    return await login(c, `${here.pathname}?parked=${ticket}`);
  };

  const routes = new Hono();
  routes.get('/login', (c) => login(c, c.req.query('to') ?? '/'));
  routes.get(options.callbackPath, async (c) => {
    const started = attempts.take(getCookie(c, BROWSER), c.req.query('state'));
    if (!started) {
      throw new AppError('invalid', 'Cannot finish the login: this attempt is over or was used');
    }
    if (c.req.query('error') !== undefined) {
      throw new AppError('forbidden', 'Cannot finish the login: it was refused or cancelled');
    }
    const jwt = await oidc.finish(new URL(c.req.url).search, started.cookies);
    const claims = claimsOf(jwt);
    // An empty claim is a deny: it must never stand for somebody.
    if (!claims.sub || !claims.iss) {
      throw new AppError('forbidden', 'Cannot finish the login: the provider named nobody');
    }
    const before = getCookie(c, SESSION);
    if (before) await sessions.end(before);
    const id = await sessions.create({
      jwt,
      issuer: claims.iss,
      subject: claims.sub,
      ...(claims.sid ? { sid: claims.sid } : {}),
      expires: claims.ssnexp * 1000,
    });
    setCookie(c, SESSION, id, cookie);
    return c.redirect(started.back, 303);
  });
  routes.post('/logout', async (c) => {
    const id = getCookie(c, SESSION);
    const session = id ? await sessions.get(id) : undefined;
    deleteCookie(c, SESSION, cookie);
    if (!id || !session) return c.redirect('/', 303);
    await sessions.end(id);
    await oidc.revoke(session.jwt).catch((error) =>
      log.warning('refresh token not revoked', { error: describe(error) })
    );
    const metadata = await oidc.metadata().catch(() => undefined);
    if (!metadata?.end_session_endpoint) return c.redirect('/', 303);
    const end = new URL(metadata.end_session_endpoint);
    const { idToken } = claimsOf(session.jwt);
    if (idToken) end.searchParams.set('id_token_hint', idToken);
    end.searchParams.set('client_id', options.clientId);
    end.searchParams.set('post_logout_redirect_uri', `${origin}/`);
    return c.redirect(end.href, 303);
  });
  routes.post('/auth/backchannel-logout', async (c) => {
    const { logout_token: token } = await c.req.parseBody();
    const ended = await backchannelLogout(typeof token === 'string' ? token : '');
    log.info('back-channel logout', { ended });
    return c.body(null, 200, { 'Cache-Control': 'no-store' });
  });

  /** OpenID Connect Back-Channel Logout 1.0, section 2.6. */
  const seen = createTickets<true>(10 * 60_000);
  let keys: { uri: string; get: ReturnType<typeof createRemoteJWKSet> } | undefined;
  async function backchannelLogout(token: string): Promise<number> {
    const { issuer, jwks_uri } = await oidc.metadata();
    if (keys?.uri !== jwks_uri) {
      keys = {
        uri: jwks_uri,
        get: createRemoteJWKSet(new URL(jwks_uri), { timeoutDuration: 5000 }),
      };
    }
    try {
      const { payload } = await jwtVerify(token, keys.get, {
        issuer,
        audience: options.clientId,
        algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
        requiredClaims: ['iat', 'jti', 'events'],
        maxTokenAge: '5 min',
      });
      const events = payload['events'] as Record<string, unknown> | null;
      const sid = typeof payload['sid'] === 'string' ? payload['sid'] : undefined;
      const event = 'http://schemas.openid.net/event/backchannel-logout';
      if (typeof events !== 'object' || events === null || !(event in events)) {
        throw new Error('it is not a logout token');
      }
      if ('nonce' in payload) throw new Error('it holds a nonce');
      if (sid === undefined && payload.sub === undefined) throw new Error('it names no one');
      if (seen.take('', payload.jti!)) throw new Error('it was used before');
      seen.put('', true, payload.jti!);
      return await sessions.endAll({
        issuer,
        ...(payload.sub === undefined ? {} : { subject: payload.sub }),
        ...(sid === undefined ? {} : { sid }),
      });
    } catch (cause) {
      throw new AppError('invalid', 'Cannot log out: the logout token does not fit', { cause });
    }
  }

  return {
    guard,
    required,
    routes,
    async peek(c) {
      const session = await current(c);
      return session && identity(session);
    },
    unpark: (c) => parked.take(getCookie(c, BROWSER), c.req.query('parked')),
  };
}

function identity(session: Session): Identity {
  const claims = claimsOf(session.jwt);
  return {
    issuer: session.issuer,
    subject: session.subject,
    name: claims.name ?? 'member',
    groups: claims.groups ?? [],
  };
}

// deno-lint-ignore no-control-regex
const LOCAL = /^\/(?![/\\])[^\\\x00-\x20\x7f]*$/;

/** A path of our own, or `/`: never another origin, however it is written. */
export function localPath(path: string): string {
  if (!LOCAL.test(path) || path.length > 2000) return '/';
  const { pathname, search } = new URL(path, 'http://local.invalid');
  // Dots may collapse into two slashes, which a browser would read as a host.
  return LOCAL.test(pathname) ? pathname + search : '/';
}
