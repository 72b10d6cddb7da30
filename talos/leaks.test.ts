import { describe, expect, test } from 'vitest';
import { leaksIn, secretValues } from './leaks.ts';

const body = 'MHcCAQEEIDypKIyHgnq6TUSudOeGwuK3dqus4pdRfrlPUIDRjd4o';
const pem = `-----BEGIN EC ${'PRIVATE'} KEY-----\n${body}\n-----END EC ${'PRIVATE'} KEY-----\n`;
const secrets = `
cluster:
  id: q1w2e3r4t5y6u7i8o9p0a1s2d3f4
secrets:
  bootstraptoken: abc123.0123456789abcdef
certs:
  os:
    key: ${btoa(pem)}
  short: tiny
`;

describe('values', () => {
  const values = secretValues(secrets);
  test('are found at any depth, and short words are not', () => {
    expect(values).toContain('q1w2e3r4t5y6u7i8o9p0a1s2d3f4');
    expect(values).toContain('abc123.0123456789abcdef');
    expect(values).not.toContain('tiny');
  });
  test('are recognised as written, and as lines of the PEM inside', () => {
    expect(leaksIn(`key: ${btoa(pem)}`, values)).toContain("a value of this cluster's secrets");
    expect(leaksIn(`        ${body}\n`, values)).toEqual(["a value of this cluster's secrets"]);
  });
  test('are not repeated in the words about them', () => {
    const said = leaksIn(secrets, values).join();
    for (const value of values) expect(said).not.toContain(value);
  });
});

test.each([
  ['a PEM key', pem, 'a private key in PEM'],
  ['the same in base64', `crt: ${btoa(pem)}`, 'a private key in PEM, base64'],
  ['an age identity', `AGE-SECRET-KEY-1${'QPZRY9X8'.repeat(7)}`, 'an age identity'],
  ['a token', 'token: w1x2y3.0a1b2c3d4e5f6g7h', 'a bootstrap or machine token'],
  ['an etcd key', `secretboxencryptionsecret: ${'aB3/'.repeat(11)}=`, 'an etcd encryption key'],
])('%s is a leak whoever it belongs to', (_, text, what) => {
  expect(leaksIn(text, [])).toContain(what);
});

test.each([
  ['a certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'],
  ['a certificate in base64', btoa('-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIQ\n')],
  ['an age recipient', 'age1wyergrgcpwqkkynkqa2g5e0wzpxxg3ynkqp9kfvlqmvp7yshdsvsxhdysr'],
  [
    'an image',
    'factory.talos.dev/nocloud-installer/ce4c980550dd2ab1b17bbf2b08801c7eb59418ea:v1.14.1',
  ],
  ['a host name', 'github.somewhereovertherainbow'],
])('%s is none', (_, text) => {
  expect(leaksIn(text, secretValues(secrets))).toEqual([]);
});
