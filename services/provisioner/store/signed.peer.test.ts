import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type Flux, startFlux } from '../../../tests/peers/flux.ts';
import type { GitRepository } from '../../../tests/peers/git.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { runOk } from '../../../tests/peers/lib/run.ts';
import { COMMITTER } from '../testing.ts';
import { put } from './contract.ts';
import { gitRemote, type RemoteOptions } from './git-remote.ts';
import { openStore } from './queue.ts';

needs('flux')('signed commits, as Flux’ real source-controller verifies them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-signed-'));
  const source = ['GitRepository', 'flux-system', 'tenants'] as const;
  let flux: Flux;
  let repository: GitRepository;
  let count = 0;

  async function key(name: string): Promise<string> {
    const path = join(folder, name);
    await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path]);
    return path;
  }
  const open = async (over: Partial<RemoteOptions>) =>
    openStore(
      await gitRemote({
        url: repository.url,
        dir: join(folder, `copy-${count++}`),
        branch: 'main',
        committer: COMMITTER,
        ...over,
      }),
      { deadlineMs: 1500 },
    );

  beforeAll(async () => {
    flux = await startFlux();
    repository = await flux.git.createRepository('tenants');
    const publicKey = readFileSync(`${await key('provisioner')}.pub`, 'utf8');
    // Our own manifest, on loopback, looking often: what it verifies is what is tried here.
    const text = readFileSync('flux/tenancy/tenants-repo.yaml', 'utf8');
    const tenants = parseAllDocuments(text)[0]!.toJS();
    delete tenants.spec.secretRef;
    Object.assign(tenants.spec, { url: repository.url, interval: '1s' });
    const { name } = tenants.spec.verify.secretRef;
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: 'flux-system' },
      stringData: { 'provisioner.sshpub': publicKey },
    };
    for (const object of [secret, tenants]) await flux.kubernetes.apply(JSON.stringify(object));
  });
  afterAll(async () => {
    await flux?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('ours are taken; a stranger’s are not, and we vouch for none of theirs', async () => {
    const store = await open({ signingKeyFile: join(folder, 'provisioner') });
    const { commit } = await store.commit(put('tenants/a', '1'));
    await Promise.all(['b', 'c', 'd'].map((name) => store.commit(put(`tenants/${name}`, '1'))));
    const last = (await store.commit(put('tenants/e', '1'))).commit!;
    expect(last).not.toBe(commit);
    const { revision } = await flux.waitReady(...source, last);

    // Whoever may write to the forge, with a key of their own or none.
    const another = await open({});
    await another.commit(put('tenants/evil', 'unsigned'));
    await flux.waitRefused(...source, /not signed|signature/i);
    await expect(store.commit(put('tenants/f', '1'))).rejects.toMatchObject({
      code: 'unavailable',
      cause: { message: expect.stringContaining('signed by nobody whom we know') },
    });
    const { status, ...refused } = await flux.ready(...source);
    expect([status, refused.revision]).toEqual(['False', revision]);

    // An administrator has looked at it, taken it out, and says so with the provisioner's key.
    const work = join(folder, 'work');
    const git = (...args: string[]) => runOk('git', ['-C', work, ...args]);
    await runOk('git', ['clone', '-q', repository.folder, work]);
    for (
      const [name, value] of Object.entries({
        'user.name': 'admin',
        'user.email': 'admin@hackspace.test',
        'gpg.format': 'ssh',
        'user.signingKey': join(folder, 'provisioner'),
      })
    ) await git('config', name, value);
    await git('revert', '-S', '--no-edit', 'HEAD');
    await git('push', '-q', 'origin', 'main');
    const after = (await store.commit(put('tenants/g', '1'))).commit!;
    await flux.waitReady(...source, after);
    expect(await repository.git('ls-tree', '-r', '--name-only', 'main')).not.toContain('evil');
    await Promise.all([store.close(), another.close()]);
  });

  test('a signature by another key is refused, though it is one', async () => {
    const signingKeyFile = await key('stranger');
    const trusting = { signersFile: join(folder, 'provisioner.pub') };
    const store = await open({ signingKeyFile, ...trusting });
    await store.commit(put('tenants/evil', 'signed'));
    await flux.waitRefused(...source, /verif|signature/i);
    await store.close();
  });
});
