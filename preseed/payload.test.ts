import { describe, expect, test } from 'vitest';
import { AppError } from '@hackspace/kit/errors.ts';
import { grub, isolinux, md5sums } from './boot-menus.ts';
import { cpio } from './cpio.ts';
import { checkedHash, checkedHosts, checkedKeys } from './payload.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (content: Uint8Array) => new TextDecoder().decode(content);

describe('cpio', () => {
  test('lays out header, name and content as newc does, each filled to four bytes', () => {
    const archive = text(cpio([{ path: 'a', content: bytes('hello') }]));
    expect(archive.slice(0, 6)).toBe('070701');
    expect(archive.slice(14, 22)).toBe('000081a4'); // a file, rw-r--r--
    expect(archive.slice(54, 62)).toBe('00000005'); // five bytes
    expect(archive.slice(94, 102)).toBe('00000002'); // a name of one letter and its zero
    expect(archive.slice(110, 120)).toBe('a\0hello\0\0\0');
    expect(archive).toContain('TRAILER!!!\0');
    expect(archive.length % 4).toBe(0);
  });
  test('makes the folders first, and the same bytes whatever the order', () => {
    const entries = [{ path: 'x/y/b', content: bytes('2') }, {
      path: 'x/a',
      content: bytes('1'),
      mode: 0o600,
    }];
    const archive = text(cpio(entries));
    expect(archive.indexOf('x\0')).toBeLessThan(archive.indexOf('x/a\0'));
    expect(archive.indexOf('x/y\0')).toBeLessThan(archive.indexOf('x/y/b\0'));
    expect(text(cpio(entries.toReversed()))).toBe(archive);
  });
});

describe('boot menus', () => {
  test('BIOS goes ahead after five seconds and keeps Debian’s menu', () => {
    expect(isolinux).toMatch(/^default hackspace\nprompt 1\ntimeout 50\n/);
    expect(isolinux).toContain('append debian.cfg');
  });
  test('UEFI gets an entry before those there were', () => {
    const menu = grub("menuentry 'Install' {}\n");
    expect(menu.indexOf('--id hackspace')).toBeLessThan(menu.indexOf("menuentry 'Install' {}"));
  });
  test('sums of changed files are replaced, others kept, new ones added', () => {
    const [old, kept, now] = ['a', 'b', 'c'].map((digit) => digit.repeat(32));
    expect(
      md5sums(`${old}  ./x y.cfg\n${kept}  ./z\n`, new Map([['./x y.cfg', now!], ['./new', old!]])),
    ).toBe(
      `${now}  ./x y.cfg\n${kept}  ./z\n${old}  ./new\n`,
    );
  });
});

const fault = (attempt: () => unknown): string => {
  try {
    attempt();
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    return (error as Error).message;
  }
};
const row = 'bc:24:11:00:10:11\tpve1\t10.20.10.11/24\t10.20.10.1\t10.20.10.1\tspace.example\t200\n';

test.each([
  ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----\n', 'it holds a private key'],
  ['an empty file', '', 'it holds no public ssh key'],
  ['a name', 'ada\n', 'it holds no public ssh key'],
])('authorized keys with %s are refused', (_, content, why) => {
  expect(fault(() => checkedKeys(content, 'keys'))).toBe(`Cannot use keys: ${why}`);
});

test('a password in the open is no hash, and is not repeated', () => {
  const said = fault(() => checkedHash('hunter2\n', 'hash'));
  expect(said).toMatch(/^Cannot use hash: not one hash/);
  expect(said).not.toContain('hunter2');
  expect(fault(() => checkedHash(`$6$salt$${'x'.repeat(86)}\n`, 'hash'))).toBe('accepted');
});

test.each([
  ['no machine', '# only a comment\n', 'it lists no machine'],
  [
    'capitals in a MAC',
    row.replace('bc:24', 'BC:24'),
    'line 1: BC:24:11:00:10:11 is no MAC in lower case',
  ],
  [
    'an address without prefix',
    row.replace('/24', ''),
    'line 1: 10.20.10.11 is no address with a prefix',
  ],
  ['a MAC twice', row + row.replace('pve1', 'pve2'), 'line 2: bc:24:11:00:10:11 stands twice'],
  [
    'a short line',
    row.replace('\tspace.example\t200', ''),
    'line 1: gateway, resolver or domain is missing; line 1: the least size of the disk is missing',
  ],
])('a table with %s is refused', (_, content, why) => {
  expect(fault(() => checkedHosts(content, 'hosts.tsv'))).toBe(`Cannot use hosts.tsv: ${why}`);
});
