import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createCallers } from './callers.ts';

const folder = mkdtempSync(join(tmpdir(), 'callers-'));
const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const SUBJECT = 'system:serviceaccount:boot:waker';
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let foreign: typeof keys;

beforeAll(async () => {
  [keys, foreign] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')]);
  writeFileSync(join(folder, 'jwks'), JSON.stringify({ keys: [await exportJWK(keys.publicKey)] }));
  writeFileSync(join(folder, 'token'), 'a-token-of-some-length\n');
});

const callers = () =>
  createCallers({
    tokenFile: join(folder, 'token'),
    serviceAccounts: {
      jwksFile: join(folder, 'jwks'),
      issuer: ISSUER,
      audience: 'unsealer',
      subjects: [SUBJECT],
    },
  });

interface Claims {
  key?: CryptoKey;
  issuer?: string;
  audience?: string;
  subject?: string;
  expires?: string;
}
const jwt = (over: Claims = {}) => {
  const token = new SignJWT().setProtectedHeader({ alg: 'RS256' })
    .setIssuer(over.issuer ?? ISSUER).setAudience(over.audience ?? 'unsealer')
    .setSubject(over.subject ?? SUBJECT).setExpirationTime(over.expires ?? '10m');
  return token.sign(over.key ?? keys.privateKey);
};

test('a token of the file, and a ServiceAccount by its JWT', async () => {
  expect(await callers().check('Bearer a-token-of-some-length')).toBe('token');
  expect(await callers().check(`Bearer ${await jwt()}`)).toBe(SUBJECT);
});

test('every other caller is refused with the same words', async () => {
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const claims = (await jwt()).split('.')[1];
  const bad = [
    'Bearer wrong',
    `Bearer ${none}.${claims}.`,
    `Bearer ${none}.${claims}.AAAA`,
    `Bearer ${await jwt({ key: foreign.privateKey })}`,
    `Bearer ${await jwt({ issuer: 'https://other.example' })}`,
    `Bearer ${await jwt({ audience: 'vault' })}`,
    `Bearer ${await jwt({ subject: 'system:serviceaccount:boot:waker2' })}`,
    `Bearer ${await jwt({ expires: '-2m' })}`,
  ];
  for (const header of bad) {
    await expect(callers().check(header)).rejects.toMatchObject({ code: 'unauthenticated' });
  }
  await expect(callers().check(undefined)).rejects.toThrow('no bearer token');
  await expect(createCallers(undefined).check('Bearer x')).rejects.toMatchObject({
    code: 'forbidden',
  });
});

test('guessing is slowed down', async () => {
  const guarded = callers();
  for (let i = 0; i < 50; i++) await guarded.check('Bearer wrong').catch(() => {});
  await expect(guarded.check('Bearer wrong')).rejects.toMatchObject({ code: 'rate_limited' });
});
