import { expect, test } from 'vitest';
import { basic, bearer, equalSecret, rateLimit, sha256, sha256Later } from './guard.ts';

test('equalSecret compares text and bytes, of any lengths', () => {
  expect(equalSecret('abc', new TextEncoder().encode('abc'))).toBe(true);
  expect(equalSecret('abc', 'abcd')).toBe(false);
  expect(equalSecret('', '')).toBe(true);
});

test('a hash that is made on another thread is the same hash', async () => {
  for (const length of [0, 65_536, 65_537, 1_000_000]) {
    const bytes = new Uint8Array(length).fill(7);
    expect(await sha256Later(bytes.subarray(length >> 2))).toBe(
      sha256(bytes.subarray(length >> 2)),
    );
  }
});

test('bearer and basic read what the RFCs allow and nothing else', () => {
  expect(bearer('Bearer abc')).toBe('abc');
  expect(bearer('bearer  a.b-c_d~e+f/g==')).toBe('a.b-c_d~e+f/g==');
  for (const bad of [undefined, '', 'Bearer', 'Bearer a b', 'Basic abc', 'Bearer a\n']) {
    expect(bearer(bad)).toBeUndefined();
  }
  expect(basic('Basic ' + btoa('me:pa:ss'))).toEqual({ user: 'me', password: 'pa:ss' });
  for (const bad of [undefined, 'Basic', 'Basic !!', 'Basic ' + btoa('nocolon')]) {
    expect(basic(bad)).toBeUndefined();
  }
});

test('the rate limit spends, refuses with a time, refills, and bounds its memory', () => {
  let now = 0;
  const limit = rateLimit({ points: 2, perMs: 10_000, maxKeys: 3, now: () => now });
  expect(limit.take('a').ok).toBe(true);
  expect(limit.take('a').ok).toBe(true);
  expect(limit.take('a')).toEqual({ ok: false, retryAfter: 5 });
  now += 5000;
  expect(limit.peek('a').ok).toBe(true);
  expect(limit.take('a').ok).toBe(true);
  now -= 60_000; // a clock set back gives nothing away and takes nothing
  expect(limit.take('a').ok).toBe(false);
  for (const key of ['b', 'c', 'd']) limit.take(key);
  expect(limit.peek('a').ok).toBe(true); // forgotten: the longest untouched
});
