import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import { startKubernetes } from '../../../tests/peers/kubernetes.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { startOpenBao } from '../../../tests/peers/openbao.ts';
import { makeHelper, until } from '../testing.ts';
import { startUnsealer } from '../unsealer.ts';

setupLogging({ service: 'unsealer', write: () => {} });
const run = promisify(execFile);
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

needs('systemd-analyze')('systemd', () => {
  test('both units are taken by systemd-analyze, and a misspelt one is not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'units-'));
    const verify = async (name: string, text: string) => {
      const file = join(folder, name);
      // The programs they start need not be installed where this runs.
      writeFileSync(file, text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
      const { stderr } = await run('systemd-analyze', ['verify', '--man=no', file])
        .catch((error) => error as { stderr: string });
      return stderr.split('\n').filter((line) => line.includes(name)).join('\n');
    };
    for (const name of ['unsealer.service', 'unsealer-wake.service']) {
      const text = readFileSync(path(name), 'utf8');
      expect(await verify(name, text)).toBe('');
      expect(await verify(name, text.replace('DynamicUser=', 'DynamicUzer='))).toContain(
        'DynamicUzer',
      );
    }
  });
});

needs('kubernetes')('a real Kubernetes API', () => {
  test('takes the Deployment and the static pod, under the restricted profile', async () => {
    await using kube = await startKubernetes();
    await kube.apply(
      `{apiVersion: v1, kind: Namespace, metadata: {name: unsealer, labels: {pod-security.kubernetes.io/enforce: restricted}}}`,
    );
    await until(
      'the default account',
      async () =>
        (await kube.ask('/api/v1/namespaces/unsealer/serviceaccounts/default')).status === 200,
    );
    await kube.apply(readFileSync(path('deployment.yaml'), 'utf8'));
    await until('a pod past admission', async () => {
      const { items } = await kube.call('/api/v1/namespaces/unsealer/pods');
      return items.length === 1;
    });
    await kube.apply(readFileSync(path('static-pod.yaml'), 'utf8'), '--dry-run=server');
  });
});

needs('openbao')('the boot hook', () => {
  test('wakes a helper that would look an hour later, and says so', async () => {
    await using bao = await startOpenBao();
    const world = {
      ca: bao.ca!,
      clusterId: (await bao.node.sealStatus()).cluster_id,
      threshold: 3,
      keys: bao.keys,
      nodes: [{ id: 'bao-0', url: bao.url, san: 'bao-0.test' }],
    };
    const cluster = { poll: { idle: '1h', sealed: '40ms' } };
    const { config, folder } = await makeHelper(world, { holds: [0, 1, 2], cluster });
    const helper = await startUnsealer(config);
    try {
      await until(
        'seen open',
        async () => (await (await fetch(`${helper.url}/status`)).json()).open,
      );
      await bao.call('/v1/sys/seal', { method: 'PUT' });
      await until('sealed', async () => (await bao.node.sealStatus()).sealed);
      const script = join(folder, 'wake.sh');
      copyFileSync(path('wake.sh'), script);
      const env = { ...process.env, UNSEALERS: helper.url, TOKEN_FILE: join(folder, 'token') };
      const { stdout } = await run('sh', [script], { env });
      expect(stdout).toBe(`open, says ${helper.url}\n`);
      expect((await bao.node.sealStatus()).sealed).toBe(false);
      // A wrong token: no wake, and the hook gives up aloud.
      writeFileSync(join(folder, 'wrong'), 'wrong');
      const wrong = { ...env, TOKEN_FILE: join(folder, 'wrong'), SECONDS_TO_TRY: '0' };
      await expect(run('sh', [script], { env: wrong })).rejects.toMatchObject({ code: 1 });
    } finally {
      await helper.close();
    }
  });
});
