import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openState } from './state.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hackspace-state-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

test('what was set is there after opening again', async () => {
  const first = await openState(root);
  await first.set('tokens/a', 'one');
  await first.set('tokens/b', new Uint8Array([0, 255]));
  await first.close();
  const second = await openState(root);
  expect(text(await second.get('tokens/a'))).toBe('one');
  expect(await second.get('tokens/b')).toEqual(new Uint8Array([0, 255]));
  expect(await second.list('tokens')).toEqual(['tokens/a', 'tokens/b']);
  await second.delete('tokens/a');
  await second.delete('tokens/a');
  expect(await second.get('tokens/a')).toBeUndefined();
  expect(await second.list('nothing')).toEqual([]);
});

test('parallel writers of one key leave one whole value and no temporary file', async () => {
  const state = await openState(root);
  const values = Array.from({ length: 50 }, (_, i) => String(i).repeat(5000));
  await Promise.all(values.map((value) => state.set('k/v', value)));
  expect(text(await state.get('k/v'))).toBe(values.at(-1));
  expect(await readdir(join(root, 'k'))).toEqual(['v']);
});

test('of many who add one key, one does, and keeps the others out for its time', async () => {
  const states = await Promise.all([openState(root), openState(root), openState(root)]);
  const tries = await Promise.all(
    Array.from({ length: 30 }, (_, i) => states[i % 3]!.add('locks/one', `${i}`, 60_000)),
  );
  expect(tries.filter(Boolean)).toHaveLength(1);
  expect(text(await states[0]!.get('locks/one'))).toBe(`${tries.indexOf(true)}`);
  expect(await readdir(join(root, 'locks'))).toEqual(['one']);
  expect(await states[1]!.add('locks/one', 'later', 0)).toBe(true);
  expect(text(await states[2]!.get('locks/one'))).toBe('later');
  await states[0]!.delete('locks/one');
  expect(await states[1]!.add('locks/one', 'again', 60_000)).toBe(true);
});

test('a temporary file left by a crash is not listed', async () => {
  const state = await openState(root);
  await state.set('k/v', '1');
  await writeFile(join(root, 'k', 'w.0123456789ab~'), 'half');
  expect(await state.list('k')).toEqual(['k/v']);
});

test.each(['../x', '/abs', 'a//b', 'a/../b', '.hidden', 'a\0b', 'ü', ''])(
  'key %j cannot leave the directory',
  async (key) => {
    const state = await openState(root);
    await expect(async () => await state.set(key, 'x')).rejects.toThrow('Cannot use state key');
    await expect(async () => await state.get(key)).rejects.toThrow('Cannot use state key');
  },
);

test('a directory that cannot be made is an error that names it', async () => {
  await writeFile(join(root, 'file'), '');
  await expect(openState(join(root, 'file', 'x'))).rejects.toThrow('Cannot open state directory');
});
