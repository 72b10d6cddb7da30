import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documentsOf, ROOT } from './documents.ts';

// What a secret looks like, whoever made it. Words in code that look for secrets are not secrets.
const shapes: [string, RegExp][] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/]{40}/],
  ['a JWT', /\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{20,}/],
  ['a vault token', /\b(?:hv|b)[sbr]\.[A-Za-z0-9_-]{24,}/],
  ['a forge token', /\b(?:gh[pousr]_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20})\b/],
  ['an AWS key', /\bAKIA[0-9A-Z]{16}\b/],
  ['an age key', /\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b/],
];

function found(text: string): string[] {
  return shapes.filter(([, shape]) => shape.test(text)).map(([name]) => name);
}

test('the scan sees what it looks for', () => {
  const body = 'A'.repeat(64);
  expect(found(['-----BEGIN', 'PRIVATE KEY-----'].join(' ') + `\n${body}`)).toEqual([
    'a private key',
  ]);
  expect(found(`eyJ${body}.eyJ${body}.${body}`)).toEqual(['a JWT']);
  expect(found(`token ${'hvs'}.${body}`)).toEqual(['a vault token']);
  expect(found(`${'ghp'}_${'a'.repeat(36)}`)).toEqual(['a forge token']);
});

test('no file of the repository holds a secret', () => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0')
    .filter((path) => path && statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile());
  expect(files.length).toBeGreaterThan(100);
  const hits = files.filter((path) => statSync(join(ROOT, path)).size < 2 ** 21)
    .flatMap((path) =>
      found(readFileSync(join(ROOT, path), 'latin1')).map((what) => `${path}: ${what}`)
    );
  expect(hits).toEqual([]);
});

test('no manifest brings a Secret along: they come from the vault or from a person', () => {
  const brought = ['flux', 'manifests'].flatMap(documentsOf).filter((e) =>
    e.document.kind === 'Secret'
  );
  expect(brought).toEqual([]);
});
