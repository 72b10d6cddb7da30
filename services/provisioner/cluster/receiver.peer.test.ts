import { Secret } from '@hackspace/kit/secret.ts';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Flux, startFlux } from '../../../tests/peers/flux.ts';
import type { GitRepository } from '../../../tests/peers/git.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { put } from '../store/contract.ts';
import { gitRemote } from '../store/git-remote.ts';
import { openStore } from '../store/queue.ts';
import { COMMITTER } from '../testing.ts';
import { fluxReceiver, hookUrl } from './receiver.ts';

const KEY = 'a-key-of-the-receiver-0123456789';
const source = ['GitRepository', 'flux-system', 'tenants'] as const;

needs('flux', 'flux-notification')('waking Flux through its real Receiver', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-receiver-'));
  let flux: Flux;
  let repository: GitRepository;
  let hook: string;
  let count = 0;

  beforeAll(async () => {
    flux = await startFlux({ notification: true });
    repository = await flux.git.createRepository('tenants');
    await repository.commit({ 'tenants/first': '1' });
    const objects = [
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'receiver', namespace: 'flux-system' },
        stringData: { token: KEY },
      },
      {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'GitRepository',
        metadata: { name: 'tenants', namespace: 'flux-system' },
        // By itself it would look again in an hour.
        spec: { url: repository.url, interval: '60m', ref: { branch: 'main' } },
      },
      {
        apiVersion: 'notification.toolkit.fluxcd.io/v1',
        kind: 'Receiver',
        metadata: { name: 'tenants', namespace: 'flux-system' },
        spec: {
          type: 'generic-hmac',
          secretRef: { name: 'receiver' },
          resources: [{
            apiVersion: 'source.toolkit.fluxcd.io/v1',
            kind: 'GitRepository',
            name: 'tenants',
          }],
        },
      },
    ];
    for (const object of objects) await flux.kubernetes.apply(JSON.stringify(object));
    await flux.waitReady(...source);
    await flux.waitReady('Receiver', 'flux-system', 'tenants');
    const path = '/apis/notification.toolkit.fluxcd.io/v1/namespaces/flux-system/receivers/tenants';
    hook = flux.webhooks + (await flux.kubernetes.call(path)).status.webhookPath;
  });
  afterAll(async () => {
    await flux?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** A commit by the provisioner, told to `url` under `key`; returns its id. */
  async function commit(url: string, key: string): Promise<string> {
    const receiver = fluxReceiver(url, new Secret(key));
    const store = openStore(
      await gitRemote({
        url: repository.url,
        dir: join(folder, `copy-${count++}`),
        branch: 'main',
        committer: COMMITTER,
      }),
      { onPublish: (revision) => receiver.woken(revision) },
    );
    const done = await store.commit(put(`tenants/${count}`, 'x'));
    await store.close();
    await receiver.close();
    return done.commit!;
  }

  test('a commit is fetched within seconds of it, an hour before Flux would have looked', async () => {
    const begun = performance.now();
    const revision = await commit(hook, KEY);
    await flux.waitReady(...source, revision);
    process.stdout.write(`commit to fetched: ${Math.round(performance.now() - begun)} ms\n`);
  });

  test('the path that Flux gave is the one that key and name make', () => {
    expect(hookUrl(flux.webhooks!, 'flux-system/tenants', new Secret(KEY))).toBe(hook);
    expect(hookUrl(hook, 'any/other', new Secret(KEY))).toBe(hook);
  });

  test('a wrong key or another path wakes nobody, and the next right call brings all', async () => {
    const before = (await flux.ready(...source)).revision;
    await commit(hook, 'another key');
    const revision = await commit(`${hook}0`, KEY);
    await new Promise((done) => setTimeout(done, 2000));
    expect((await flux.ready(...source)).revision).toBe(before);
    const receiver = fluxReceiver(hook, new Secret(KEY));
    receiver.woken(revision);
    await receiver.close();
    await flux.waitReady(...source, revision);
  });
});
