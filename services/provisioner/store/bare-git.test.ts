import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../../tests/peers/lib/run.ts';
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
    many: 100,
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

  test('many commits end in few packs; what a killed git left goes, what is young stays', async () => {
    const options = place();
    const store = openStore(await bareGit(options));
    await store.commit(put('tenants/a', '0'));
    const packs = join(options.dir, 'objects/pack');
    for (const name of ['tmp_pack_old', 'tmp_pack_young']) writeFileSync(join(packs, name), 'x');
    utimesSync(join(packs, 'tmp_pack_old'), new Date(0), new Date(0));
    for (let i = 1; i <= 48; i++) await store.commit(put(`tenants/${i % 3}`, `${i}`));
    const count = () => readdirSync(packs).filter((name) => name.endsWith('.pack')).length;
    await expect.poll(count, { timeout: 20_000 }).toBeLessThan(32);
    await store.commit(put('tenants/a', 'last'));
    await expect.poll(() => readdirSync(join(options.dir, 'objects/info'))).toContain(
      'commit-graphs',
    );
    expect(readdirSync(packs)).not.toContain('tmp_pack_old');
    expect(readdirSync(packs)).toContain('tmp_pack_young');
    expect((await store.log('tenants/a', 9)).length).toBe(2);
    expect(await store.log('tenants', 99)).toHaveLength(50);
    await store.close();
    expect(git(options.dir, 'fsck', '--strict', '--no-dangling')).toBe('');
  });

  const keygen = findProgram('ssh-keygen');
  const without = keygen ? '' : ' [SKIPPED: no ssh-keygen; apt-get install openssh-client]';
  const signing = test.skipIf(!keygen);

  signing(`commits are signed with an ssh key, as Flux verifies them${without}`, async () => {
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

  signing(
    `nothing is signed on top of a stranger’s commit, which it would vouch for${without}`,
    async () => {
      const options = place();
      const [key, admin] = ['ours', 'admin'].map((name) => join(root, name));
      for (const path of [key!, admin!]) {
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
      }
      const open = async (more = {}) =>
        openStore(await bareGit({ ...options, signingKeyFile: key, ...more }), {
          deadlineMs: 1500,
        });
      const store = await open();
      await store.commit(put('tenants/a', '1'));
      const byHand = (...args: string[]) => {
        const who = ['-c', 'user.name=x', '-c', 'user.email=x@x', '-c', 'gpg.format=ssh'];
        const commit = git(
          options.dir,
          ...who,
          'commit-tree',
          'main^{tree}',
          '-p',
          'main',
          ...args,
        );
        git(options.dir, 'update-ref', 'refs/heads/main', commit.trim());
      };
      for (const sign of [[], [`-S${admin}`]]) {
        byHand('-m', 'by hand', ...sign);
        const error = await store.commit(put('tenants/a', '2')).catch((e) => e);
        expect(`${error.code} ${error.cause?.message}`).toMatch(/^unavailable .*signed by nobody/);
      }
      await store.close();
      // An administrator whom we know has looked at it, and says so by a commit.
      const trusting = await open({ signersFile: `${admin}.pub` });
      await trusting.commit(put('tenants/a', '3'));
      await trusting.close();
      const ours = await open();
      expect((await ours.commit(put('tenants/a', '4'))).commit).toBeTruthy();
      await ours.close();
    },
  );

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
