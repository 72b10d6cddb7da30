import { execFileSync } from 'node:child_process';
import { mkdtempSync, utimesSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { bareGit } from './bare-git.ts';
import { put, storeContract } from './contract.ts';
import { openStore } from './queue.ts';
import { cleanPerson } from './store.ts';

const root = mkdtempSync(join(tmpdir(), 'hackspace-bare-'));
afterAll(() => rm(root, { recursive: true, force: true }));
let count = 0;
const committer = { name: 'Hackspace provisioner', email: 'provisioner@hackspace.invalid' };
const place = () => ({ dir: join(root, String(count++)), branch: 'main', committer });
const git = (dir: string, ...args: string[]) =>
  execFileSync('git', ['-C', dir, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

describe('bare-git, with the real git', () => {
  storeContract({
    many: 40,
    async fresh() {
      const options = place();
      return {
        backend: await bareGit(options),
        again: () => bareGit(options),
        async verify() {
          expect(git(options.dir, 'fsck', '--strict', '--no-dangling')).toBe('');
        },
      };
    },
  });

  test('the lock of a killed git is waited out and dropped; a young one is respected', async () => {
    const options = place();
    const store = openStore(await bareGit(options), { deadlineMs: 1500 });
    await store.commit(put('tenants/a', '1'));
    const lock = join(options.dir, 'refs/heads/main.lock');
    writeFileSync(lock, '');
    await expect(store.commit(put('tenants/a', '2'))).rejects.toThrow(/too many others/);
    utimesSync(lock, new Date(0), new Date(0));
    expect((await store.commit(put('tenants/a', '3'))).commit).toBeTruthy();
    await store.close();
  });

  test('commits are signed with an ssh key, as Flux verifies them', async () => {
    const options = place();
    const key = join(root, 'id');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'p', '-f', key]);
    const store = openStore(await bareGit({ ...options, signingKeyFile: key }));
    await Promise.all([1, 2, 3].map((i) => store.commit(put(`tenants/${i}`, `${i}`))));
    const allowed = join(root, 'allowed');
    writeFileSync(allowed, `${committer.email} ${execFileSync('cat', [`${key}.pub`])}`);
    const config = ['-c', 'gpg.format=ssh', '-c', `gpg.ssh.allowedSignersFile=${allowed}`];
    const log = git(options.dir, ...config, 'log', '--format=%G? %an', 'main');
    expect(log.trim().split('\n')).toEqual(Array(3).fill('G Paying Member'));
    await store.close();
  });

  test('a repository that cannot be made is an error that names the folder', async () => {
    await expect(bareGit({ ...place(), dir: '/dev/null/x' })).rejects.toThrow(/null.x/);
  });
});

test('a person never breaks out of a commit', () => {
  expect(cleanPerson({ name: 'A <x>\nauthor B', email: 'a b@c>\n' })).toEqual({
    name: 'A  x author B',
    email: 'ab@c',
  });
  expect(cleanPerson({ name: '<>', email: '\0' }).name).toBe('a member');
});
