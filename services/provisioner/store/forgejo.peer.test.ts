import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gitea, type GiteaUser, startGitea } from '../../../tests/peers/gitea.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { put, storeContract } from './contract.ts';
import { forgejo, type ForgejoOptions } from './forgejo.ts';
import { openStore } from './queue.ts';

needs('gitea')('forgejo, against a real Gitea', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-forge-'));
  let gitea: Gitea;
  let bot: GiteaUser;
  let count = 0;
  beforeAll(async () => {
    gitea = await startGitea();
    bot = await gitea.createUser('provisioner-bot');
    writeFileSync(join(folder, 'token'), bot.token, { mode: 0o600 });
  });
  afterAll(async () => {
    await gitea?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const options = (owner: string, repo: string): ForgejoOptions => ({
    url: gitea.url,
    owner,
    repo,
    branch: 'main',
    committer: { name: 'Provisioner', email: 'provisioner@hackspace.invalid' },
    tokenFile: join(folder, 'token'),
  });

  /** A private repository with nothing in it, to which the bot may write and nobody else. */
  async function empty(): Promise<ForgejoOptions> {
    const name = `r${count++}`;
    const body = { name, private: true, default_branch: 'main' };
    await gitea.call('/user/repos', { method: 'POST', body });
    const path = `/repos/${gitea.admin.name}/${name}/collaborators/${bot.name}`;
    await gitea.call(path, { method: 'PUT', body: { permission: 'write' } });
    return options(gitea.admin.name, name);
  }

  storeContract({
    many: 6,
    async fresh() {
      const place = await empty();
      return { backend: await forgejo(place), again: () => forgejo(place) };
    },
  });

  test('a lost race is told from a forbidden branch, though both are 403', async () => {
    const place = await empty();
    const store = openStore(await forgejo(place), { deadlineMs: 5000 });
    await store.commit(put('tenants/a', '1'));
    const path = `/repos/${place.owner}/${place.repo}/branch_protections`;
    await gitea.call(path, {
      method: 'POST',
      body: {
        rule_name: 'main',
        enable_push: true,
        enable_push_whitelist: true,
        push_whitelist_usernames: [],
      },
    });
    const error = await store.commit(put('tenants/a', '2')).catch((e) => e);
    expect([error.code, error.message]).toEqual([
      'forbidden',
      'Cannot write to the tenants repo: the forge forbids it',
    ]);
    await store.close();
  });

  test('the bot reaches its one repository and no other', async () => {
    const body = { name: 'private', private: true, auto_init: true };
    await gitea.call('/user/repos', { method: 'POST', body });
    const store = openStore(await forgejo(options(gitea.admin.name, 'private')));
    await expect(store.snapshot()).rejects.toMatchObject({ code: 'forbidden' });
    await store.close();
  });

  test('a wrong token is told without the token', async () => {
    const place = await empty();
    writeFileSync(join(folder, 'wrong'), 'f'.repeat(40));
    const store = openStore(await forgejo({ ...place, tokenFile: join(folder, 'wrong') }));
    const error = await store.snapshot().catch((e) => e);
    expect(error.code).toBe('forbidden');
    expect(JSON.stringify([error.message, String(error.cause)])).not.toContain('fff');
    await store.close();
  });

  test('our own commit that landed while the answer was lost is a success, once', async () => {
    const place = await empty();
    const backend = await forgejo(place);
    await openStore(backend).commit(put('tenants/a', '1'));
    let lost = 0;
    const store = openStore({
      ...backend,
      async publish(parent, commits) {
        const ids = await backend.publish(parent, commits);
        if (lost++ === 0) throw new Error('the connection broke');
        return ids;
      },
    });
    await store.commit(put('tenants/b', '2'));
    expect(lost).toBe(1);
    expect(await store.log('tenants/b', 9)).toHaveLength(1);
    await store.close();
  });
});
