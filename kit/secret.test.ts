import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSecret, Secret } from './secret.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hackspace-secret-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('a secret shows itself only when asked', () => {
  const secret = new Secret('hunter2');
  expect(`${secret} ${inspect({ secret })} ${JSON.stringify({ secret })}`).not.toContain('hunter2');
  expect(secret.reveal()).toBe('hunter2');
});

test('one newline at the end is dropped, inner ones stay', async () => {
  await writeFile(join(root, 'a'), 'one\ntwo\r\n');
  expect((await readSecret(join(root, 'a'))).reveal()).toBe('one\ntwo');
});

test.each([['empty', '\n', 'file is empty'], ['large', 'x'.repeat(65_537), 'larger than 64 KiB']])(
  'a secret file that is %s is refused',
  async (name, content, message) => {
    await writeFile(join(root, name), content);
    await expect(readSecret(join(root, name))).rejects.toThrow(message);
  },
);

test('a missing secret file is named', async () => {
  await expect(readSecret(join(root, 'none'))).rejects.toThrow(/none: there is no such file$/);
});
