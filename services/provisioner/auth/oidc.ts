import {
  getAuth,
  initOidcAuthMiddleware,
  oidcAuthMiddleware,
  processOAuthCallback,
  revokeSession,
} from '@hono/oidc-auth';
import { Hono } from 'hono';
import { decodeJwt } from 'jose';
import ky from 'ky';
import { AppError } from '@hackspace/kit/errors.ts';
import type { Secret } from '@hackspace/kit/config.ts';

/**
 * @hono/oidc-auth behind a door of its own. It runs in an inner app that no browser reaches: requests
 * are made for it with the canonical origin, and the cookies it sets (the signed session with the
 * refresh token, state, nonce, PKCE verifier) stay on the server. So none of its cookie, Host-header
 * or caching faults can be seen from outside.
 */
export interface Oidc {
  /** Begins a login: where to send the browser, and the cookies that belong to this attempt. */
  begin(): Promise<{ location: string; state: string; cookies: string }>;
  /** Ends a login with the callback's query. Throws AppError `invalid` when anything does not fit. */
  finish(query: string, cookies: string): Promise<string>;
  /**
   * Renews a session that is due. `ended` when the provider refuses it (logged out, disabled);
   * throws AppError `unavailable` when the provider does not answer.
   */
  refresh(jwt: string): Promise<string | 'ended'>;
  /** Revokes the refresh token, if the provider offers that. Best effort. */
  revoke(jwt: string): Promise<void>;
  metadata(): Promise<Metadata>;
}

export interface Metadata {
  issuer: string;
  jwks_uri: string;
  authorization_endpoint: string;
  token_endpoint: string;
  end_session_endpoint?: string;
  [more: string]: unknown;
}

export interface OidcOptions {
  /** Canonical origin of the portal, `https://my.space.example`. */
  origin: string;
  callbackPath: string;
  issuer: string;
  clientId: string;
  clientSecret: Secret;
  /** Signs the inner session; 32 characters at least. */
  secret: Secret;
  /** Seconds between renewals of the claims (default 300). */
  refreshSeconds?: number;
  /** Seconds a login lasts at most (default 12 h). */
  expiresSeconds?: number;
  timeoutMs?: number;
}

/** What the inner session holds: signed by us, from claims the provider signed. */
export interface Claims {
  sub: string;
  iss: string;
  sid?: string;
  name?: string;
  groups?: string[];
  idToken?: string;
  /** Epoch seconds: when the claims are due for renewal, and when the session ends. */
  rtkexp: number;
  ssnexp: number;
}

export function claimsOf(jwt: string): Claims {
  return decodeJwt(jwt) as unknown as Claims;
}

const SESSION = 'oidc-auth';
const METADATA_MAX_AGE = 600_000;

export function createOidc(options: OidcOptions): Oidc {
  const timeout = options.timeoutMs ?? 10_000;
  let cached: { at: number; metadata: Promise<Metadata> } | undefined;

  function metadata(): Promise<Metadata> {
    if (cached && Date.now() - cached.at < METADATA_MAX_AGE) return cached.metadata;
    const fresh = discover(options.issuer, timeout);
    const mine = { at: Date.now(), metadata: fresh };
    fresh.catch(() => {
      if (cached === mine) cached = undefined;
    });
    cached = mine;
    return fresh;
  }

  const inner = new Hono();
  inner.onError((error) => {
    throw error;
  });
  inner.use(async (c, next) => {
    // Both are variables that the middleware looks for before its own defaults.
    c.set('oidcAuthorizationServer' as never, await metadata() as never);
    c.set('oidcClaimsHook' as never, claimsHook as never);
    await next();
  });
  inner.use(initOidcAuthMiddleware({
    OIDC_AUTH_SECRET: options.secret.reveal(),
    OIDC_ISSUER: options.issuer,
    OIDC_CLIENT_ID: options.clientId,
    OIDC_CLIENT_SECRET: options.clientSecret.reveal(),
    OIDC_REDIRECT_URI: new URL(options.callbackPath, options.origin).href,
    OIDC_SCOPES: 'openid profile email',
    OIDC_COOKIE_NAME: SESSION,
    OIDC_AUTH_REFRESH_INTERVAL: String(options.refreshSeconds ?? 300),
    OIDC_AUTH_EXPIRES: String(options.expiresSeconds ?? 12 * 3600),
  }));
  inner.get('/begin', oidcAuthMiddleware());
  inner.get(options.callbackPath, (c) => processOAuthCallback(c));
  inner.get('/refresh', async (c) => c.text(await getAuth(c) === null ? 'ended' : 'ok'));
  inner.get('/revoke', async (c) => {
    await revokeSession(c);
    return c.text('ok');
  });

  async function ask(path: string, cookies = ''): Promise<Response> {
    const request = new Request(new URL(path, options.origin), { headers: { cookie: cookies } });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer in time')), timeout);
    });
    try {
      return await Promise.race([inner.fetch(request), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    metadata,
    async begin() {
      const response = await attempt('begin the login', () => ask('/begin'));
      const location = response.headers.get('location');
      const state = location ? new URL(location).searchParams.get('state') : null;
      if (!location || !state) {
        throw new AppError('internal', 'Cannot begin the login: no redirect');
      }
      const cookies = setCookies(response).filter(([name]) => name !== 'continue');
      return { location, state, cookies: cookies.map(([k, v]) => `${k}=${v}`).join('; ') };
    },
    async finish(query, cookies) {
      let response: Response;
      try {
        response = await ask(`${options.callbackPath}${query}`, cookies);
      } catch (cause) {
        if (isNetwork(cause)) throw unavailable('finish the login', cause);
        throw new AppError('invalid', 'Cannot finish the login: the answer does not fit', {
          cause,
        });
      }
      const jwt = setCookies(response).find(([name]) => name === SESSION)?.[1];
      if (!jwt) throw new AppError('invalid', 'Cannot finish the login: no session came back');
      return jwt;
    },
    async refresh(jwt) {
      const response = await attempt(
        'renew the session',
        () => ask('/refresh', `${SESSION}=${jwt}`),
      );
      if (await response.text() === 'ended') return 'ended';
      return setCookies(response).find(([name]) => name === SESSION)?.[1] || jwt;
    },
    async revoke(jwt) {
      await attempt('revoke the session', () => ask('/revoke', `${SESSION}=${jwt}`));
    },
  };
}

function claimsHook(
  before: Partial<Claims> | undefined,
  claims: Record<string, unknown> | undefined,
  response: { id_token?: string },
): Promise<Omit<Claims, 'rtkexp' | 'ssnexp'>> {
  const text = (value: unknown) => typeof value === 'string' ? value : undefined;
  // A refresh may bring no id_token: the claims of before stay until the next one.
  if (!claims) return Promise.resolve(before as Claims);
  const sid = text(claims['sid']);
  const name = text(claims['name']) ?? text(claims['preferred_username']);
  const groups = Array.isArray(claims['groups'])
    ? claims['groups'].filter((group) => typeof group === 'string')
    : undefined;
  const idToken = response.id_token ?? before?.idToken;
  return Promise.resolve({
    sub: text(claims['sub']) ?? '',
    iss: text(claims['iss']) ?? '',
    ...(sid ? { sid } : {}),
    ...(name ? { name } : {}),
    ...(groups ? { groups } : {}),
    ...(idToken ? { idToken } : {}),
  });
}

async function discover(issuer: string, timeout: number): Promise<Metadata> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let metadata: Metadata;
  try {
    metadata = await ky.get(url, { timeout, retry: 0, redirect: 'error' }).json<Metadata>();
  } catch (cause) {
    throw unavailable('read the login provider’s configuration', cause);
  }
  if (metadata.issuer !== issuer) {
    throw new AppError('unavailable', 'Cannot use the login provider: it names another issuer');
  }
  return metadata;
}

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw unavailable(what, cause);
  }
}

function unavailable(what: string, cause: unknown): AppError {
  const message = `Cannot ${what}: the login provider does not answer`;
  return new AppError('unavailable', message, { cause, retryAfter: 10 });
}

/** Whether the provider was not reached, rather than that its answer was wrong. */
function isNetwork(cause: unknown): boolean {
  if (cause instanceof AppError) return cause.code === 'unavailable';
  return cause instanceof TypeError && /fetch|network|connect/i.test(cause.message) ||
    cause instanceof Error && cause.message === 'no answer in time';
}

function setCookies(response: Response): [string, string][] {
  return response.headers.getSetCookie().map((cookie) => {
    const pair = cookie.split(';', 1)[0]!;
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
}
