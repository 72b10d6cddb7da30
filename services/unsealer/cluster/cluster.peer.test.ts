import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import { openDirectory } from '@hackspace/kit/state.ts';
import { type Kubernetes, startKubernetes } from '../../../tests/peers/kubernetes.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { type Api, openKubernetes } from '../bridge/api.ts';
import { openHold } from '../hold.ts';
import { until } from '../testing.ts';
import { watchAnnotation } from './annotation.ts';
import { hints } from './discovery.ts';
import { startElection } from './election.ts';

setupLogging({ service: 'unsealer', write: () => {} });

needs('kubernetes')('a real Kubernetes API', () => {
  let kube: Kubernetes;
  let api: Api;
  let namespace: string;

  beforeAll(async () => {
    kube = await startKubernetes();
    namespace = (await kube.createNamespace('unsealer')).name;
    const folder = mkdtempSync(join(tmpdir(), 'cluster-'));
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const { cert, key, token } = kube.access;
    api = await openKubernetes({
      url: kube.server,
      caFile: file('ca', kube.ca),
      ...(cert ? { certFile: file('crt', cert), keyFile: file('key', key!) } : {}),
      ...(token ? { tokenFile: file('token', token) } : {}),
    });
  });
  afterAll(async () => {
    api?.close();
    await kube?.stop();
  });

  test('of three helpers one is elected; when it goes, one other is', async () => {
    const make = (identity: string) =>
      startElection(api, { namespace, lease: 'unsealer', duration: 1500, identity });
    let helpers = ['a', 'b', 'c'].map(make);
    let most = 0;
    const count = () => helpers.filter((helper) => helper.elected()).length;
    const watch = setInterval(() => most = Math.max(most, count()), 5);
    await until('one elected', () => count() === 1);
    const first = helpers.find((helper) => helper.elected())!;
    await first.stop();
    helpers = helpers.filter((helper) => helper !== first);
    await until('another elected', () => count() === 1, 10_000);
    clearInterval(watch);
    expect(most).toBe(1);
    await Promise.all(helpers.map((helper) => helper.stop()));
  });

  test('the annotation holds, from before the first look, and lifts', async () => {
    const state = await openDirectory(mkdtempSync(join(tmpdir(), 'hold-')));
    const hold = await openHold({ state });
    await kube.kubectl(['-n', namespace, 'create', 'configmap', 'unsealer']);
    const annotate = (value: string) =>
      kube.kubectl(['-n', namespace, 'annotate', 'configmap', 'unsealer', `x.dev/hold${value}`]);
    const path = `/api/v1/namespaces/${namespace}/configmaps/unsealer`;
    const watch = watchAnnotation(api, hold, { path, key: 'x.dev/hold', every: 50 });
    expect(hold.current().held).toBe(true);
    await until('free', () => !hold.current().held);
    await annotate('=ana: audit');
    await until('held', () => hold.current().held);
    expect(hold.current().reasons).toEqual(['annotation x.dev/hold: ana: audit']);
    await annotate('-');
    await until('free again', () => !hold.current().held);
    await watch.stop();
    const gone = await openHold({ state });
    const missing = watchAnnotation(api, gone, { path: `${path}-none`, key: 'x', every: 50 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(gone.current().held).toBe(true);
    await missing.stop();
  });

  test('pods by label are hints', async () => {
    await kube.apply(
      `{apiVersion: v1, kind: Pod, metadata: {name: bao-0, namespace: ${namespace}, labels: {app: bao}},
spec: {containers: [{name: c, image: none}]}}`,
    );
    // No kubelet runs here: the address is put in by hand, as one would.
    await kube.kubectl([
      '-n',
      namespace,
      'patch',
      'pod',
      'bao-0',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"podIP":"10.1.2.3","podIPs":[{"ip":"10.1.2.3"}]}}',
    ]);
    const discover = { namespace, labels: 'app=bao', port: 8200, san: 'bao.test', every: 1000 };
    expect(await hints(discover, api)).toEqual([{ id: 'bao-0', url: 'https://10.1.2.3:8200' }]);
  });
});
