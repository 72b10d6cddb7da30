import { Secret } from '@hackspace/kit/config.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDigest, parseChallenges } from './digest.ts';

const params = (challenge: string) => parseChallenges(challenge)[0]!.params;
const field = (header: string, name: string) => params(header).get(name);

// RFC 7616, 3.9.1: the challenge and both answers to it
const RFC = 'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALG, ' +
  'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
const CNONCE = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
const url = new URL('http://www.example.org/dir/index.html');
const mufasa = () => createDigest('Mufasa', new Secret('Circle of Life'), () => CNONCE);

describe('Digest', () => {
  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('answers as RFC 7616 does: %s', (algorithm, response) => {
    const digest = mufasa();
    expect(digest.header('GET', url)).toBeUndefined();
    expect(digest.challenged(RFC.replace('ALG', algorithm))).toBe(true);
    const header = digest.header('GET', url)!;
    expect(field(header, 'response')).toBe(response);
    expect(field(header, 'uri')).toBe('/dir/index.html');
    expect(field(header, 'nc')).toBe('00000001');
    expect(header).toContain(', qop=auth, nc=00000001,');
    expect(header).not.toContain('Circle of Life');
  });

  test('answers servers without qop as RFC 2069 does', () => {
    const digest = createDigest('Mufasa', new Secret('Circle Of Life'));
    digest.challenged(
      'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
    );
    const header = digest.header('GET', url)!;
    expect(header).not.toMatch(/qop|nc=|cnonce/);
    expect(field(header, 'response')).toBe('670fd8c2df070c60b045671b8b24ff02');
  });

  test('prefers SHA-256 to MD5, and session keys are made of nonce and cnonce', () => {
    const digest = mufasa();
    const both = `${RFC.replace('ALG', 'MD5')}, ${RFC.replace('ALG', 'SHA-256-sess')}`;
    expect(digest.challenged(both)).toBe(true);
    const header = digest.header('GET', url)!;
    expect(field(header, 'algorithm')).toBe('SHA-256-sess');
    expect(field(header, 'response')).toHaveLength(64);
  });

  test('counts up while the nonce lasts, and starts again with nextnonce', () => {
    const digest = mufasa();
    digest.challenged(RFC.replace('ALG', 'MD5'));
    const count = () => field(digest.header('GET', url)!, 'nc');
    expect([count(), count()]).toEqual(['00000001', '00000002']);
    digest.accepted('qop=auth, nextnonce="next", rspauth="x"');
    const header = digest.header('GET', url)!;
    expect([field(header, 'nonce'), field(header, 'nc')]).toEqual(['next', '00000001']);
  });

  test('tries again when stale or forgotten, and gives up on wrong credentials', () => {
    const digest = mufasa();
    const challenge = (nonce: string, more = '') =>
      `Digest realm="r", nonce="${nonce}", qop="auth"${more}`;
    expect(digest.challenged(challenge('1'))).toBe(true);
    digest.header('GET', url);
    expect(digest.challenged(challenge('2', ', stale=TRUE'))).toBe(true);
    digest.header('GET', url);
    expect(digest.challenged(challenge('3'))).toBe(false);
    expect(digest.challenged(challenge('4'))).toBe(true);
    digest.accepted(undefined);
    expect(digest.challenged(challenge('5'))).toBe(true);
  });

  test.each([
    ['Basic realm="r"', /Basic only/],
    ['Basic realm="r", Digest realm="r", nonce="n", algorithm=SHA3-512', /Basic only/],
    ['Digest realm="r", nonce="n", qop="auth-int"', /no Digest that can be answered/],
    ['Digest realm="r"', /no Digest/],
    [undefined, /no Digest/],
  ])('never falls to less: %s', (challenge, why) => {
    const digest = mufasa();
    expect(() => digest.challenged(challenge)).toThrow(why);
    expect(digest.header('GET', url)).toBeUndefined();
  });

  test('a challenge cannot smuggle anything into the header', () => {
    const digest = mufasa();
    digest.challenged(
      'Digest realm="a\\"b\\\\c", nonce="n\r\nX-Evil: 1", qop="auth", algorithm=MD5',
    );
    const header = digest.header('GET', new URL('http://x/a"b'))!;
    expect(header).not.toMatch(/[\r\n]/);
    expect(field(header, 'realm')).toBe('a"b\\c');
  });
});

describe('parseChallenges', () => {
  test('several schemes, odd spaces, quoted commas, token68', () => {
    const parsed = parseChallenges(
      'Negotiate abc==, Basic realm = "a, b=\\"c\\"" ,, Digest realm=x ,nonce="n" ',
    );
    expect(parsed.map(({ scheme }) => scheme)).toEqual(['negotiate', 'basic', 'digest']);
    expect(parsed[1]!.params.get('realm')).toBe('a, b="c"');
    expect([...parsed[2]!.params]).toEqual([['realm', 'x'], ['nonce', 'n']]);
  });

  test('takes any text, in linear time', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseChallenges(text)));
    for (const part of ['Digest ', 'a="', '\\', ',=,', '"']) {
      parseChallenges(part.repeat(1_000_000));
    }
  });
});
