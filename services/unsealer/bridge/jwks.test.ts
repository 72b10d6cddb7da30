import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { pemOf, plan } from './jwks.ts';

const HOUR = 3_600_000;

test('keys leave only when the overlap is over', () => {
  const first = plan(['A'], [], {}, 25 * HOUR, 0);
  expect(first.keys).toEqual(['A\n']);
  const rotated = plan(['B'], ['A'], first.seen, 25 * HOUR, HOUR);
  expect(rotated.keys).toEqual(['A\n', 'B\n']);
  expect(plan(['B'], ['A', 'B'], rotated.seen, 25 * HOUR, 24 * HOUR).keys).toEqual(['A\n', 'B\n']);
  expect(plan(['B'], ['A', 'B'], rotated.seen, 25 * HOUR, 26 * HOUR).keys).toEqual(['B\n']);
});

test('a key someone pinned by hand is kept for the overlap from its first sight', () => {
  const first = plan(['B'], ['HAND'], {}, HOUR, 5 * HOUR);
  expect(first.keys).toEqual(['B\n', 'HAND\n']);
  expect(plan(['B'], ['B', 'HAND'], first.seen, HOUR, 6.5 * HOUR).keys).toEqual(['B\n']);
});

test('a clock set back or far ahead never unpins a key that is shown', () => {
  const seen = { A: 100 * HOUR };
  expect(plan(['A'], ['A'], seen, HOUR, 0).keys).toEqual(['A\n']);
  expect(plan(['A'], ['A'], seen, HOUR, 1e6 * HOUR).keys).toEqual(['A\n']);
});

test('RSA, EC and Ed25519 keys become PEM; a symmetric one stops everything', () => {
  const jwk = (pair: { publicKey: { export(o: { format: 'jwk' }): object } }) =>
    pair.publicKey.export({ format: 'jwk' });
  const keys = [
    jwk(generateKeyPairSync('rsa', { modulusLength: 2048 })),
    jwk(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    jwk(generateKeyPairSync('ed25519')),
  ];
  expect(pemOf({ keys })).toHaveLength(3);
  expect(() => pemOf({ keys: [...keys, { kty: 'oct', k: 'c2VjcmV0' }] })).toThrow('type oct');
});
