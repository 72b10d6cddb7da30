import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Git } from './git.ts';
import { Trees } from './trees.ts';

const dir = mkdtempSync(join(tmpdir(), 'hackspace-trees-'));
const git = new Git(dir);
afterAll(async () => {
  git.close();
  await rm(dir, { recursive: true, force: true });
});

test('finds every file that git lists, nothing else, and reads each folder once', async () => {
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', dir]);
  const paths = ['a', 'a-b/c', 'a.b', 'ab/a', 'ab/a0', 'd/e/f/g', 'd/e.f', 'd/ü', 'z/10', 'z/2'];
  const files = paths.map((path) => `M 100644 inline ${path}\ndata 2\n${path.slice(0, 1)}\n`);
  const stream = `commit refs/heads/main\ncommitter x <x@x> 1 +0000\ndata 0\n${files.join('')}` +
    `M 120000 inline link\ndata 1\na\nM 160000 ${'1'.repeat(40)} module\ndone\n`;
  await git.ok(['fast-import', '--quiet', '--done'], { input: stream });
  const head = (await git.info('main'))!.id;
  const asked: string[] = [];
  const trees = new Trees((name) => {
    asked.push(name);
    return git.contents(name);
  });
  const listed = (await git.ok(['ls-tree', '-rz', head])).toString().split('\0').filter(Boolean);
  for (const line of listed) {
    const [, mode, id, path] = /^(\d+) \w+ (\w+)\t(.*)$/.exec(line)!;
    expect(await trees.find(head, path!), path).toBe(mode === '100644' ? id : undefined);
  }
  for (const path of ['', 'd', 'd/e', 'd/e/f/g/h', 'a/b', 'A', 'no/such', '__proto__', 'd/..']) {
    expect(await trees.find(head, path), path).toBeUndefined();
  }
  expect(asked).toHaveLength(new Set(asked).size);
  await expect(trees.find('2'.repeat(40), 'a')).rejects.toThrow(/a tree is missing/);
});

test('what is kept has a bound', async () => {
  let reads = 0;
  // A folder of 5 MB with one file: names may be long.
  const tree = Buffer.concat([Buffer.from(`100644 ${'x'.repeat(5e6)}\0`), Buffer.alloc(20)]);
  const trees = new Trees(async () => {
    reads++;
    return tree;
  });
  for (const commit of ['a', 'b', 'c', 'd', 'd', 'a']) await trees.find(commit, 'none');
  expect(reads).toBe(5); // `d` was kept, `a` had gone
});
