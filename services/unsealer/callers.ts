/** Who may call: a token from a file, or a ServiceAccount JWT checked against pinned keys. */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { readFile } from 'node:fs/promises';
import { AppError } from '@hackspace/kit/errors.ts';
import { bearer, equalSecret, rateLimit } from '@hackspace/kit/guard.ts';
import { readSecret } from '@hackspace/kit/secret.ts';
import type { CallerConfig } from './config.ts';

export interface Callers {
  /** The caller's name. Throws `unauthenticated`, `forbidden` or `rate_limited`, never telling why. */
  check(authorization: string | undefined): Promise<string>;
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** Reads the files at each check, so that a rotated token or key counts at once. */
export function createCallers(config: CallerConfig | undefined): Callers {
  const failures = rateLimit({ points: 50, perMs: 60_000 });
  return {
    async check(authorization) {
      if (!config) throw new AppError('forbidden', 'Cannot accept call: no caller is configured');
      const given = bearer(authorization);
      if (given === undefined) {
        throw new AppError('unauthenticated', 'Cannot accept call: no bearer token');
      }
      const left = failures.peek('all');
      if (!left.ok) {
        const options = { retryAfter: left.retryAfter };
        throw new AppError('rate_limited', 'Cannot accept call: too many wrong tokens', options);
      }
      const name = await byToken(config, given) ?? await byAccount(config, given);
      if (name !== undefined) return name;
      failures.take('all');
      throw new AppError('unauthenticated', 'Cannot accept call: the token is not accepted');
    },
  };
}

async function byToken(config: CallerConfig, given: string): Promise<string | undefined> {
  if (!config.tokenFile) return undefined;
  const expected = (await readSecret(config.tokenFile)).bytes();
  return equalSecret(given, expected) ? 'token' : undefined;
}

async function byAccount(config: CallerConfig, given: string): Promise<string | undefined> {
  const accounts = config.serviceAccounts;
  if (!accounts || given.split('.').length !== 3) return undefined;
  const jwks = JSON.parse(await readFile(accounts.jwksFile, 'utf8')) as JSONWebKeySet;
  try {
    const { payload } = await jwtVerify(given, createLocalJWKSet(jwks), {
      issuer: accounts.issuer,
      audience: accounts.audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: 30,
    });
    return accounts.subjects.includes(payload.sub!) ? payload.sub : undefined;
  } catch {
    return undefined;
  }
}
