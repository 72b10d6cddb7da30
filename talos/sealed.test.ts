import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuseInsideGit } from './render.ts';
import { seal, unseal } from './sealed.ts';

let folder: string, sealed: string, mine: string, theirs: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealed-'));
  sealed = join(folder, 'secrets.age');
  const identities = [await generateX25519Identity(), await generateX25519Identity()];
  [mine, theirs] = [join(folder, 'mine'), join(folder, 'theirs')];
  await writeFile(mine, `# my laptop\n${identities[0]}\n`);
  await writeFile(theirs, `${identities[1]}\n`);
  await seal('token: hush', [await identityToRecipient(identities[0]!)], sealed);
});
afterAll(() => rm(folder, { recursive: true }));

test('a sealed file is armored, its owner’s alone, and opens for the recipient', async () => {
  const text = await readFile(sealed, 'utf8');
  expect(text).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  expect(text).not.toContain('hush');
  expect((await stat(sealed)).mode & 0o777).toBe(0o600);
  await expect(unseal(sealed, mine)).resolves.toBe('token: hush');
});

test.each([
  ['another identity', () => unseal(sealed, theirs), /made for another identity$/],
  ['a damaged file', async () => {
    const damaged = join(folder, 'damaged.age');
    const lines = (await readFile(sealed, 'utf8')).split('\n');
    lines[2] = lines[2]!.replace(/./, (first) => first === 'A' ? 'B' : 'A');
    await writeFile(damaged, lines.join('\n'));
    return unseal(damaged, mine);
  }, /damaged, or made for another identity$/],
  ['no identity', async () => {
    const empty = join(folder, 'empty');
    await writeFile(empty, '# nothing here\n');
    return unseal(sealed, empty);
  }, /holds no identity$/],
  ['no file', () => unseal(join(folder, 'gone'), mine), /^Cannot read .*gone$/],
  ['an identity that is none', async () => {
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, 'hunter2\n');
    return unseal(sealed, wrong);
  }, /made for another identity$/],
])('%s is refused without a word of the secret', async (_, attempt, message) => {
  const error = await attempt().then(() => undefined, (e: Error) => e);
  expect(error?.message).toMatch(message);
  expect(error?.message).not.toMatch(/hush|hunter2|AGE-SECRET/);
});

test('a recipient that is none is refused by name', async () => {
  await expect(seal('x', ['age1nonsense'], join(folder, 'x'))).rejects.toThrow(
    'Cannot encrypt for age1nonsense: not an age recipient',
  );
});

test('nothing secret is written into a git work tree', () => {
  expect(() => refuseInsideGit(fileURLToPath(new URL('rendered/cp-1.yaml', import.meta.url))))
    .toThrow(
      /^Cannot write secrets to .* it is inside the git work tree /,
    );
  expect(() => refuseInsideGit(join(folder, 'rendered'))).not.toThrow();
});
