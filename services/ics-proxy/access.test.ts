import { expect, test, vi } from 'vitest';
import { rateLimit } from '@hackspace/kit/guard.ts';
import { clientAddress, createAccess, presentedToken, trustedProxies } from './access.ts';
import type { TokenRecord, Tokens } from './tokens.ts';

const GOOD = 'a'.repeat(64);
const WRONG = 'b'.repeat(64);
const record: TokenRecord = { id: 'x', feed: 'space', label: 'x', view: 'full', created: 0 };

function access(points = 1000) {
  const find = vi.fn((token: string) => token === GOOD ? record : undefined);
  const refetch = vi.fn((token: string) => Promise.resolve(find(token)));
  const made = createAccess({
    tokens: { find, refetch } as unknown as Tokens,
    hasFeed: (id) => id === 'space' || id === 'other',
    perAddress: rateLimit({ points, perMs: 60_000 }),
    perToken: rateLimit({ points: 3, perMs: 60_000 }),
  });
  return { ...made, find, refetch };
}

test('a token is taken from the query, then Bearer, then the password of Basic', () => {
  const authorization = `Bearer ${GOOD}`;
  expect(presentedToken({ query: 'q', authorization })).toBe('q');
  expect(presentedToken({ authorization })).toBe(GOOD);
  const basic = 'Basic ' + Buffer.from(`anyone:${GOOD}`).toString('base64');
  expect(presentedToken({ authorization: basic })).toBe(GOOD);
  expect(presentedToken({ authorization: 'Digest x' })).toBe('');
  expect(presentedToken({})).toBe('');
});

test('the right token passes for its feed alone', async () => {
  const a = access();
  expect(a.quick('space', GOOD)).toBe(record);
  expect(a.quick('other', GOOD)).toBeUndefined();
  expect(await a.admit('space', GOOD, '1.2.3.4')).toEqual({ ok: true, record });
});

test.each([
  ['an unknown feed', 'nowhere', GOOD],
  ['a token of another feed', 'other', GOOD],
  ['a wrong token', 'space', WRONG],
  ['no token', 'space', ''],
  ['a token of absurd length', 'space', 'a'.repeat(100_000)],
  ['a token with a path in it', 'space', '../../' + 'a'.repeat(58)],
])('%s: the same answer after the same steps', async (_, feed, token) => {
  const a = access();
  expect(await a.admit(feed, token, '1.2.3.4')).toEqual({ ok: false });
  expect(a.refetch).toHaveBeenCalledTimes(1);
  expect(a.refetch.mock.calls[0]![0]).toMatch(/^[0-9a-f]{64}$/);
});

test('failures are limited by address, whole /64 networks counting as one', async () => {
  const a = access(2);
  const tokens = ['1', '2', '3', '4'].map((digit) => digit.repeat(64));
  const from = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:9::3', '2001:db8:0:1::1'];
  const results = [];
  for (const [i, token] of tokens.entries()) results.push(await a.admit('space', token, from[i]!));
  expect(results.map((r) => !r.ok && r.retryAfter !== undefined)).toEqual([
    false,
    false,
    true,
    false,
  ]);
  expect(await a.admit('space', GOOD, from[0]!)).toMatchObject({ ok: true });
});

test('failures are limited by token, from however many addresses', async () => {
  const a = access();
  for (let i = 0; i < 3; i++) {
    expect(await a.admit('space', WRONG, `10.0.0.${i}`)).toEqual({ ok: false });
  }
  expect(await a.admit('space', WRONG, '10.0.0.9')).toMatchObject({ ok: false, retryAfter: 20 });
});

test('someone who sends no token does not use up what others have', async () => {
  const a = access();
  for (let i = 0; i < 5; i++) await a.admit('space', '', '10.0.0.1');
  expect(await a.admit('space', '', '10.0.0.1')).toMatchObject({ ok: false, retryAfter: 20 });
  expect(await a.admit('space', '', '10.0.0.2')).toEqual({ ok: false });
});

test.each([
  ['no proxy is trusted', [], '9.9.9.9', '1.1.1.1', '9.9.9.9'],
  ['the proxy is trusted', ['9.9.9.0/24'], '9.9.9.9', '1.1.1.1', '1.1.1.1'],
  ['the client wrote one too', ['9.9.9.9'], '9.9.9.9', '6.6.6.6, 1.1.1.1', '1.1.1.1'],
  ['two proxies', ['9.9.9.9', 'fd00::/8'], '9.9.9.9', '1.1.1.1, fd00::1', '1.1.1.1'],
  ['rubbish', ['9.9.9.9'], '9.9.9.9', '<script>', '9.9.9.9'],
])('client address: %s', (_, cidrs, peer, forwarded, wanted) => {
  expect(clientAddress(peer, forwarded, trustedProxies(cidrs))).toBe(wanted);
});
