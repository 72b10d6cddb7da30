import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GitServer, startGit } from '../../../tests/peers/git.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { put, storeContract } from './contract.ts';
import { gitRemote, type RemoteOptions } from './git-remote.ts';
import { openStore } from './queue.ts';

needs('git')('git-remote, over smart HTTP with a password', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-remote-'));
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, 'the-password\n', { mode: 0o600 });
  let server: GitServer;
  let count = 0;
  beforeAll(async () => {
    server = await startGit({ username: 'provisioner', password: 'the-password' });
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const options = (url: string): RemoteOptions => ({
    url,
    dir: join(folder, `copy-${count++}`),
    branch: 'main',
    committer: { name: 'Provisioner', email: 'provisioner@hackspace.invalid' },
    username: 'provisioner',
    tokenFile,
  });

  storeContract({
    many: 20,
    async fresh() {
      const repository = await server.createRepository(`r${count++}`);
      return {
        backend: await gitRemote(options(repository.url)),
        again: () => gitRemote(options(repository.url)),
        async verify() {
          expect(await repository.git('fsck', '--strict', '--no-dangling')).toBe('');
        },
      };
    },
  });

  test('somebody else’s push is seen, and nothing of theirs is overwritten', async () => {
    const repository = await server.createRepository(`r${count++}`);
    const store = openStore(await gitRemote(options(repository.url)));
    await store.commit(put('tenants/a', '1'));
    await repository.commit({ 'README.md': 'by hand\n' });
    await store.commit(put('tenants/b', '2'));
    expect((await repository.git('ls-tree', '-r', '--name-only', 'main')).trim().split('\n'))
      .toEqual(['README.md', 'tenants/a', 'tenants/b']);
    await store.close();
  });

  test('a refused credential is told without the credential', async () => {
    const repository = await server.createRepository(`r${count++}`);
    writeFileSync(join(folder, 'wrong'), 'another-password');
    const store = openStore(
      await gitRemote({ ...options(repository.url), tokenFile: join(folder, 'wrong') }),
    );
    const error = await store.commit(put('tenants/a', '1')).catch((e) => e);
    expect(error.message).toBe('Cannot fetch from the tenants repo: the credential is refused');
    await store.close();
  });

  test('a server that is gone: nothing is written, and the member is told to come back', async () => {
    const url = 'http://127.0.0.1:9/none.git';
    const store = openStore(await gitRemote(options(url)), { deadlineMs: 1000 });
    await expect(store.commit(put('tenants/a', '1'))).rejects.toThrow(
      /Cannot write to the tenants repo/,
    );
    await store.close();
  });

  test('other protocols, and credentials in the URL, are refused', async () => {
    for (
      const url of [
        'file:///etc',
        'ext::id',
        'git://x/y',
        'http://example.org/x',
        'https://a:b@x/y',
      ]
    ) {
      await expect(gitRemote(options(url)), url).rejects.toThrow(
        /must be https or ssh|no credentials/,
      );
    }
  });
});
