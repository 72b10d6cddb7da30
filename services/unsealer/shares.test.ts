import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fingerprint, openShare, parseShare, sealShare } from './shares.ts';

const folder = mkdtempSync(join(tmpdir(), 'shares-'));
const at = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const ascii = (text: string) => new TextEncoder().encode(text);
const SHARE = new Uint8Array(randomBytes(33));
const PINS = { clusterId: '9b1c6ad3-0000-0000-0000-000000000001', threshold: 3, shares: 5 };
const KEY = { keyFile: at('key', randomBytes(32)) };
const WORDS = { passphraseFile: at('words', 'correct horse battery staple\n') };

test('reads hex and base64, with white space around', () => {
  const hex = Buffer.from(SHARE).toString('hex');
  for (
    const text of [
      hex,
      hex.toUpperCase(),
      `  ${hex}\r\n`,
      Buffer.from(SHARE).toString('base64') + '\n',
    ]
  ) {
    expect(parseShare(ascii(text), 5)).toEqual(SHARE);
  }
});

test.each([
  ['', 'neither'],
  ['hello world', 'neither'],
  ['ab'.repeat(32), '32 bytes, expected 33'],
  ['ab'.repeat(34), '34 bytes, expected 33'],
  [Buffer.from(Buffer.from(SHARE).toString('base64')).toString('base64'), 'encoded twice'],
  [Buffer.from(SHARE).toString('hex').slice(1), 'neither|bytes, expected'],
])('refuses %j without quoting it', (text, why) => {
  const error = (() => {
    try {
      return parseShare(ascii(text), 5);
    } catch (e) {
      return e as Error;
    }
  })() as Error;
  expect(error.message).toMatch(new RegExp(why));
  if (text.length > 8) expect(error.message).not.toContain(text);
});

test.each([['key file', KEY], ['passphrase', WORDS]])(
  'seals and opens by %s',
  async (name, lock) => {
    const path = at(`${name}.jwe`, await sealShare(SHARE, PINS, lock) + '\n');
    const text = readFileSync(path, 'latin1');
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      expect(text).not.toContain(Buffer.from(SHARE).toString(encoding));
    }
    const held = await openShare(path, PINS, lock);
    expect(held.fingerprint).toBe(fingerprint(SHARE));
    let kept: Uint8Array | undefined;
    await held.use((clear) => {
      expect(new Uint8Array(clear)).toEqual(SHARE);
      kept = clear;
      return Promise.resolve();
    });
    expect(kept!.every((byte) => byte === 0)).toBe(true);
    // And once more: holding is not using up.
    expect(await held.use((clear) => Promise.resolve(fingerprint(clear)))).toBe(held.fingerprint);
  },
);

test('the clear share is zeroed also when its use fails', async () => {
  const held = await openShare(at('f.jwe', await sealShare(SHARE, PINS, KEY)), PINS, KEY);
  let kept: Uint8Array | undefined;
  await expect(held.use((clear) => {
    kept = clear;
    return Promise.reject(new Error('no'));
  })).rejects.toThrow('no');
  expect(kept!.every((byte) => byte === 0)).toBe(true);
});

test('a changed header, another cluster, another key: each is refused by name', async () => {
  const jwe = await sealShare(SHARE, PINS, KEY);
  const [header, ...rest] = jwe.split('.');
  const pins = JSON.parse(Buffer.from(header!, 'base64url').toString());
  const forge = (over: object) =>
    [Buffer.from(JSON.stringify({ ...pins, ...over })).toString('base64url'), ...rest].join('.');
  const other = { ...PINS, clusterId: '9b1c6ad3-0000-0000-0000-000000000002' };

  const open = (text: string, p = PINS, lock: typeof KEY | typeof WORDS = KEY) =>
    openShare(at('x.jwe', text), p, lock);
  await expect(open(jwe, other)).rejects.toThrow(/it is of cluster .*1, the config pins .*2/);
  await expect(open(forge({ cluster_id: other.clusterId }), other)).rejects.toThrow(/was changed/);
  await expect(open(forge({ t: 2 }), { ...PINS, threshold: 2 })).rejects.toThrow(/was changed/);
  await expect(open(jwe, { ...PINS, threshold: 2 })).rejects.toThrow('one of 3 of 5');
  await expect(open(jwe, PINS, { keyFile: at('k2', randomBytes(32)) })).rejects.toThrow(
    /wrong key/,
  );
  await expect(open(jwe, PINS, WORDS)).rejects.toThrow('locked by a key file');
  await expect(open('not.a.share')).rejects.toThrow('not a share file');
  await expect(open(jwe.slice(0, -4))).rejects.toThrow(/wrong key|changed/);
});

test('a passphrase file that asks for endless work is refused before it is done', async () => {
  const jwe = await sealShare(SHARE, PINS, WORDS);
  const [header, ...rest] = jwe.split('.');
  const json = JSON.parse(Buffer.from(header!, 'base64url').toString());
  const text = [
    Buffer.from(JSON.stringify({ ...json, p2c: 2e9 })).toString('base64url'),
    ...rest,
  ].join('.');
  await expect(openShare(at('slow.jwe', text), PINS, WORDS)).rejects.toThrow(/was changed/);
});

test('a key file of the wrong size is refused', async () => {
  await expect(sealShare(SHARE, PINS, { keyFile: at('short', 'abc') })).rejects.toThrow('32 bytes');
  await expect(sealShare(SHARE, PINS, { passphraseFile: at('pw', 'short') })).rejects.toThrow(
    '16 bytes',
  );
});
