import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildInto, built, recipeHash, removeStale } from './cache.ts';

let folder: string;
const before = process.env.HACKSPACE_PEERS;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cache-test-'));
  process.env.HACKSPACE_PEERS = join(folder, 'cache');
});
afterAll(() => {
  if (before === undefined) delete process.env.HACKSPACE_PEERS;
  else process.env.HACKSPACE_PEERS = before;
  rmSync(folder, { recursive: true, force: true });
});

test('the hash follows names, bytes and flags of a recipe, and nothing else', () => {
  const recipe = join(folder, 'recipe');
  mkdirSync(recipe);
  writeFileSync(join(recipe, 'go.mod'), 'module a');
  const first = recipeHash(recipe, ['-s']);
  expect(recipeHash(recipe, ['-s'])).toBe(first);
  expect(recipeHash(recipe, ['-w'])).not.toBe(first);
  writeFileSync(join(recipe, 'go.mod'), 'module b');
  const second = recipeHash(recipe, ['-s']);
  expect(second).not.toBe(first);
  writeFileSync(join(recipe, 'go.sum'), '');
  expect(recipeHash(recipe, ['-s'])).not.toBe(second);
});

test('a build that fails leaves nothing that looks finished; the next one works', async () => {
  const broken = buildInto('x', '0'.repeat(16), () => Promise.reject(new Error('no')));
  await expect(broken).rejects.toThrow('no');
  expect(built('x', '0'.repeat(16))).toBeUndefined();
  const done = await buildInto('x', '0'.repeat(16), (out) => {
    writeFileSync(join(out, 'binary'), '1');
    return Promise.resolve();
  });
  expect(existsSync(join(done, 'binary'))).toBe(true);
});

test('two who want the same build wait for one', async () => {
  let builds = 0;
  const make = async () => {
    builds++;
    await new Promise((done) => setTimeout(done, 50));
  };
  const both = await Promise.all([1, 2].map(() => buildInto('y', '1'.repeat(16), make)));
  expect(builds).toBe(1);
  expect(both[0]).toBe(both[1]);
});

test('builds of older recipes are removed, current ones stay', () => {
  const gone = removeStale(new Set([`y-${'1'.repeat(16)}`]));
  expect(gone).toEqual([{ name: `x-${'0'.repeat(16)}`, bytes: 1 }]);
  expect(built('y', '1'.repeat(16))).toBeDefined();
});
