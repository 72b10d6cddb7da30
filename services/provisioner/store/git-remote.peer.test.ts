import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GitRepository, type GitServer, startGit } from '../../../tests/peers/git.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { type Sshd, startSshd } from '../../../tests/peers/sshd.ts';
import { COMMITTER } from '../testing.ts';
import { put, storeContract } from './contract.ts';
import { gitRemote, type RemoteOptions } from './git-remote.ts';
import { openStore } from './queue.ts';
import { RaceLost } from './store.ts';

const COMMON = { branch: 'main', committer: COMMITTER };

function contract(
  many: number,
  create: () => Promise<Pick<GitRepository, 'url' | 'git'>>,
  options: (url: string) => RemoteOptions,
): void {
  storeContract({
    many,
    async fresh() {
      const { url, git } = await create();
      return {
        backend: await gitRemote(options(url)),
        again: () => gitRemote(options(url)),
        async verify() {
          expect(await git('fsck', '--strict', '--no-dangling')).toBe('');
        },
      };
    },
  });
}

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
    ...COMMON,
    username: 'provisioner',
    tokenFile,
  });

  contract(20, () => server.createRepository(`r${count++}`), options);

  test('a push that somebody else was faster than is a lost race, not a failure', async () => {
    const repository = await server.createRepository(`r${count++}`);
    const [one, two] = [
      await gitRemote(options(repository.url)),
      await gitRemote(options(repository.url)),
    ];
    const commit = (text: string): Parameters<typeof one.publish>[1] => [{
      author: { name: 'Member', email: 'm@members.invalid' },
      message: text,
      time: 1,
      files: [{
        path: `tenants/${text}`,
        bytes: new TextEncoder().encode(text),
        replaces: undefined,
      }],
    }];
    await one.publish(await one.head(true), commit('first'));
    const stale = await two.head(true);
    await one.publish(await one.head(false), commit('second'));
    await expect(two.publish(stale, commit('third'))).rejects.toBeInstanceOf(RaceLost);
    expect(await two.publish(await two.head(true), commit('third'))).toHaveLength(1);
    for (const each of [one, two]) await each.close();
  });

  test('many readers at once share one fetch, and none fights for the local ref', async () => {
    const repository = await server.createRepository(`r${count++}`);
    const backend = await gitRemote(options(repository.url));
    const before = server.requests.length;
    for (let i = 0; i < 3; i++) {
      const head = await repository.commit({ a: String(i) });
      const heads = await Promise.all(Array.from({ length: 20 }, () => backend.head(true)));
      expect(new Set(heads)).toEqual(new Set([head]));
    }
    const fetches = server.requests.slice(before).filter(({ path }) =>
      path.includes(new URL(repository.url).pathname) && path.endsWith('git-upload-pack')
    );
    expect(fetches.length).toBeLessThan(20);
    await backend.close();
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

needs('git', 'sshd')('git-remote, over ssh with a deploy key', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-ssh-'));
  let server: Sshd;
  let count = 0;
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const options = (url: string, over: Partial<RemoteOptions> = {}): RemoteOptions => ({
    url,
    dir: join(folder, `copy-${count++}`),
    ...COMMON,
    sshKeyFile: server.keyFile,
    knownHostsFile: server.knownHostsFile,
    ...over,
  });
  /** What a member and what a log gets to read of a commit that fails. */
  async function failure(place: RemoteOptions) {
    const store = openStore(await gitRemote(place), { deadlineMs: 500 });
    const error = await store.commit(put('tenants/a', '1')).catch((e) => e);
    await store.close();
    return { code: error.code, message: error.message as string, cause: String(error.cause) };
  }

  contract(12, () => server.createRepository(`r${count++}`), options);

  test('another host key than the known one: nothing is sent, nothing is written', async () => {
    const { url, git } = await server.createRepository(`r${count++}`);
    const known = readFileSync(`${await server.createKey('impostor')}.pub`, 'utf8');
    const knownHostsFile = join(folder, 'impostors');
    for (const line of [`[127.0.0.1]:${server.port} ${known}`, '']) {
      writeFileSync(knownHostsFile, line);
      const { code, message } = await failure(options(url, { knownHostsFile }));
      expect([code, message]).toEqual([
        'forbidden',
        'Cannot fetch from the tenants repo: the host key is not the known one',
      ]);
      // ssh would have added the key, had it asked for leave.
      expect(readFileSync(knownHostsFile, 'utf8')).toBe(line);
    }
    expect(await git('for-each-ref')).toBe('');
  });

  test('a key that is not let in is told without its path', async () => {
    const { url } = await server.createRepository(`r${count++}`);
    const sshKeyFile = await server.createKey('unknown');
    const told = await failure(options(url, { sshKeyFile }));
    expect([told.code, told.message]).toEqual([
      'forbidden',
      'Cannot fetch from the tenants repo: the credential is refused',
    ]);
    expect(JSON.stringify(told)).not.toContain(sshKeyFile);
  });

  test('a server that takes the connection and says nothing is given up', async () => {
    const open: Socket[] = [];
    const silent = createServer((socket) => void open.push(socket.on('error', () => {})));
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const { port } = silent.address() as AddressInfo;
    const begun = performance.now();
    const { code } = await failure(options(`ssh://git@127.0.0.1:${port}/tenants.git`));
    expect(code).toBe('unavailable');
    expect(performance.now() - begun).toBeLessThan(30_000);
    for (const socket of open) socket.destroy();
    silent.close();
  }, 60_000);
});
