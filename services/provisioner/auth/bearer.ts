import { AppError } from '@hackspace/kit/errors.ts';
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { jsonClient } from '../http.ts';
import { parseSubject } from '../tenant/record.ts';
import type { Actor } from '../tenants.ts';

export interface BearerOptions {
  /** `iss`, exactly. */
  issuer: string;
  /** Where the keys are; asked of the issuer's discovery document when absent. */
  jwksUrl?: string | undefined;
  audience: string;
  /** Clients whose tokens are taken (`azp`). */
  clients: readonly string[];
  algorithms: readonly string[];
  /** The scope that makes an administrator; nobody is one without it. */
  adminScope: string;
  /** Scope that every token needs. */
  scope?: string | undefined;
}

/**
 * Access tokens of members and scripts. Checked: signature by a listed algorithm, `iss`, `aud`,
 * `exp`, `azp`; a missing claim is a deny. Throws AppError `unauthenticated`, or `unavailable` when
 * the keys cannot be had.
 */
export function bearerAuth(options: BearerOptions): (token: string) => Promise<Actor> {
  let keys: JWTVerifyGetKey | undefined;
  async function keySet(): Promise<JWTVerifyGetKey> {
    if (keys) return keys;
    const url = await findKeys(options);
    return keys = createRemoteJWKSet(new URL(url), {
      timeoutDuration: 5000,
      cooldownDuration: 10_000,
      cacheMaxAge: 600_000,
    });
  }
  return async (token) => {
    const payload = await verify(token, await keySet(), options);
    const scopes = typeof payload.scope === 'string' ? payload.scope.split(' ') : [];
    if (options.scope && !scopes.includes(options.scope)) {
      throw new AppError('forbidden', `Cannot use this token: scope ${options.scope} is missing`);
    }
    const groups = Array.isArray(payload.groups)
      ? payload.groups.filter((group) => typeof group === 'string')
      : undefined;
    const name = [payload.name, payload.preferred_username].find((n) => typeof n === 'string' && n);
    return {
      subject: parseSubject({ iss: payload.iss, sub: payload.sub }),
      name: typeof name === 'string' ? name.slice(0, 100) : 'a member',
      admin: scopes.includes(options.adminScope),
      // Groups of an access token may be absent for want of a mapper: then they say nothing.
      claims: groups && { groups },
    };
  };
}

async function verify(
  token: string,
  keys: JWTVerifyGetKey,
  options: BearerOptions,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: options.issuer,
      audience: options.audience,
      algorithms: [...options.algorithms],
      requiredClaims: ['exp', 'sub', 'azp'],
      clockTolerance: 10,
    });
    if (!options.clients.includes(String(payload.azp))) throw refused('it is of another client');
    return payload;
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if (cause instanceof errors.JWTExpired) throw refused('it is over');
    if (cause instanceof errors.JWKSTimeout || !(cause instanceof errors.JOSEError)) {
      throw new AppError(
        'unavailable',
        'Cannot check your token: the login service does not answer',
        {
          retryAfter: 10,
          cause,
        },
      );
    }
    throw refused('it is not valid here');
  }
}

function refused(why: string): AppError {
  return new AppError('unauthenticated', `Cannot accept your token: ${why}`);
}

/** Where the login service's keys are. Throws AppError `unavailable` when it does not say. */
export async function findKeys(
  { issuer, jwksUrl }: Pick<BearerOptions, 'issuer' | 'jwksUrl'>,
): Promise<string> {
  if (jwksUrl) return jwksUrl;
  const client = jsonClient({ name: 'the login service', url: issuer, timeoutMs: 5000 });
  const { status, json } = await client.get('.well-known/openid-configuration');
  const found = json as { issuer?: unknown; jwks_uri?: unknown } | undefined;
  if (status === 200 && found?.issuer === issuer && typeof found.jwks_uri === 'string') {
    if (new URL(found.jwks_uri).origin === new URL(issuer).origin) return found.jwks_uri;
  }
  throw new AppError(
    'unavailable',
    'Cannot check your token: the login service does not say its keys',
    {
      retryAfter: 10,
    },
  );
}
