// A tenant's life on a real Kubernetes API with Flux' real controllers: from the commit to the
// namespace, stopped and started, lapsed and back, deleted without a trace or a stuck finalizer.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectory } from '@hackspace/kit/state.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fluxStatus } from '../../services/provisioner/cluster/flux-status.ts';
import { kubeReader } from '../../services/provisioner/cluster/kube.ts';
import { gitRemote } from '../../services/provisioner/store/git-remote.ts';
import { openStore } from '../../services/provisioner/store/queue.ts';
import type { Store } from '../../services/provisioner/store/store.ts';
import { Sweep } from '../../services/provisioner/sweep.ts';
import { DAY, examplePolicy } from '../../services/provisioner/tenant/fixtures.ts';
import { type Actor, Tenants } from '../../services/provisioner/tenants.ts';
import {
  COMMITTER,
  person,
  RecordingNotifier,
  ScriptedMembership,
} from '../../services/provisioner/testing.ts';
import { type Flux, startFlux } from '../peers/flux.ts';
import type { GitRepository } from '../peers/git.ts';
import { needs } from '../peers/lib/needs.ts';
import { waitFor } from '../peers/lib/wait.ts';

/** All that the provisioner may do on the cluster; its README shows the same. */
const READER = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: provisioner, namespace: flux-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: hackspace-provisioner-reader}
rules:
  - {apiGroups: [source.toolkit.fluxcd.io], resources: [gitrepositories], verbs: [get]}
  - {apiGroups: [kustomize.toolkit.fluxcd.io], resources: [kustomizations], verbs: [get]}
  - {apiGroups: [''], resources: [resourcequotas], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: hackspace-provisioner-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: hackspace-provisioner-reader}
subjects: [{kind: ServiceAccount, name: provisioner, namespace: flux-system}]
`;

const APPS = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: 'registry.example/web:1'}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: '0 3 * * *'
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: x, image: 'registry.example/x:1'}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`;

/** The quota controller learns of new kinds every 30 s; a quota made before counts them 5 minutes late. */
async function kindsCounted({ kubernetes }: Flux): Promise<void> {
  const count = 'count/kustomizations.kustomize.toolkit.fluxcd.io';
  let n = 0;
  await waitFor('Flux kinds to be counted', async () => {
    const name = `probe-${n++}`;
    const path = '/api/v1/namespaces/default/resourcequotas';
    const metadata = { name, namespace: 'default' };
    const body = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata,
      spec: { hard: { [count]: '1' } },
    };
    await kubernetes.call(path, { method: 'POST', body });
    await new Promise((done) => setTimeout(done, 500));
    const { status } = await kubernetes.call(`${path}/${name}`);
    await kubernetes.ask(`${path}/${name}`, { method: 'DELETE' });
    return status?.used?.[count] !== undefined;
  }, { ms: 90_000, everyMs: 1500 });
}

needs('flux')('tenants on a real cluster', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hackspace-tenants-'));
  const clock = { now: Date.parse('2026-11-23T12:00:00Z') };
  const membership = new ScriptedMembership();
  const paying = person('paying');
  const context = { requestId: 'request-1' };
  let flux: Flux;
  let store: Store;
  let tenants: Tenants;
  let sweep: Sweep;
  let status: ReturnType<typeof fluxStatus>;
  let own: GitRepository;
  let reader: string;

  beforeAll(async () => {
    flux = await startFlux();
    const cluster = flux.kubernetes;
    for (const file of ['tenant-role', 'applier']) {
      await cluster.apply(await readFile(`flux/tenancy/${file}.yaml`, 'utf8'));
    }
    await cluster.apply(READER);
    await kindsCounted(flux);
    reader = await cluster.createToken('flux-system', 'provisioner', { seconds: 3600 });
    writeFileSync(join(folder, 'token'), reader, { mode: 0o600 });
    writeFileSync(join(folder, 'ca.pem'), cluster.ca);
    const repository = await flux.git.createRepository('tenants');
    own = await flux.git.createRepository('garden');
    await own.commit({ 'apps/all.yaml': APPS });
    const policy = examplePolicy({
      vault: undefined, // External Secrets' kinds are not on this cluster
      repositories: [new URL(own.url).origin],
      flux: { interval: '60s', retryInterval: '2s', wait: false }, // nothing runs pods here
      tenantsPerMember: 2,
    });
    store = openStore(
      await gitRemote({
        url: repository.url,
        dir: join(folder, 'copy'),
        branch: 'main',
        committer: COMMITTER,
      }),
    );
    const kube = {
      server: cluster.server,
      caFile: join(folder, 'ca.pem'),
      tokenFile: join(folder, 'token'),
    };
    status = fluxStatus(kubeReader(kube), policy);
    tenants = new Tenants({ store, membership, policy, now: () => clock.now });
    sweep = new Sweep({
      store,
      membership,
      policy,
      state: await openDirectory(join(folder, 'state')),
      notifier: new RecordingNotifier(),
      exporter: async () => {},
      drained: (name) => status.drained(name),
      now: () => clock.now,
    }, { every: DAY, breaker: { share: 0.5, min: 3 }, committer: COMMITTER });
    await cluster.apply(JSON.stringify({
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'GitRepository',
      metadata: { name: 'tenants', namespace: 'flux-system' },
      spec: { url: repository.url, interval: '1s', ref: { branch: 'main' } },
    }));
    await cluster.apply(JSON.stringify({
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      kind: 'Kustomization',
      metadata: { name: 'tenants', namespace: 'flux-system' },
      spec: {
        interval: '10m',
        retryInterval: '1s',
        path: './tenants',
        prune: true,
        serviceAccountName: 'tenants',
        sourceRef: { kind: 'GitRepository', name: 'tenants' },
      },
    }));
  });
  afterAll(async () => {
    await store?.close();
    await flux?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const repositoryOf = () => ({ url: own.url.replace(/\/$/, ''), path: './apps' });
  const ask = async (path: string) => (await flux.kubernetes.ask(path)).status;
  const object = (path: string) => flux.kubernetes.call(path);
  const web = '/apis/apps/v1/namespaces/tenant-garden/deployments/web';
  const quota = '/api/v1/namespaces/tenant-garden/resourcequotas/tenant';
  const replicas = (n: number) =>
    waitFor(`replicas ${n}`, async () => {
      const answer = await flux.kubernetes.ask(web);
      return answer.status === 200 && answer.json().spec.replicas === n;
    });
  const follow = () => flux.waitReady('Kustomization', 'flux-system', 'tenants');
  async function days(n: number, answer: 'yes' | 'no') {
    membership.fallback = answer;
    for (let i = 0; i < n; i++) {
      clock.now += DAY;
      await sweep.run();
    }
  }
  async function steps(who: Actor, name: string) {
    const seen = await status.statusOf(await tenants.get(who, name));
    return { ...seen, text: seen.steps.map((step) => `${step.key} ${step.state}`).join(', ') };
  }

  test('a commit becomes a namespace, and the member is told how far it has come', async () => {
    const begun = performance.now();
    const { record } = await tenants.claim(
      paying,
      { name: 'garden', repository: repositoryOf() },
      context,
    );
    expect((await status.statusOf(record)).steps[0]!.state).toBe('pending');
    await replicas(2);
    process.stdout.write(`commit to applied: ${Math.round(performance.now() - begun)} ms\n`);
    await waitFor(
      'applied',
      async () => (await steps(paying, 'garden')).text.includes('applied done'),
    );
    const seen = await steps(paying, 'garden');
    expect(seen.text).toBe('fetched done, applied done, healthy done');
    expect(seen.drift).toEqual([]);
    expect(seen.quota.find((line) => line.name === 'persistentvolumeclaims')).toMatchObject({
      used: '1',
      hard: '5',
      percent: 20,
    });
    const namespace = await object('/api/v1/namespaces/tenant-garden');
    expect(namespace.metadata.labels).toMatchObject({
      'hackspace.dev/tenant': 'garden',
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
    for (const policy of ['default-deny', 'tenant']) {
      expect(
        await ask(`/apis/networking.k8s.io/v1/namespaces/tenant-garden/networkpolicies/${policy}`),
      ).toBe(200);
    }
  });

  test('the credential of the provisioner reads three kinds and nothing else', async () => {
    const as = async (path: string, method = 'GET') =>
      (await flux.kubernetes.ask(path, { token: reader, method })).status;
    expect(await as(quota)).toBe(200);
    for (
      const path of [
        '/api/v1/namespaces/tenant-garden/secrets',
        '/api/v1/namespaces/tenant-garden/pods',
        '/api/v1/namespaces',
        '/api/v1/secrets',
        web,
      ]
    ) expect(await as(path), path).toBe(403);
    expect(await as(quota, 'DELETE')).toBe(403);
  });

  test('what goes wrong in the member’s repository is told in plain words', async () => {
    const change = (repository: Record<string, string>) =>
      tenants.update(
        paying,
        'garden',
        { repository: { ...repositoryOf(), ...repository } },
        context,
      );
    const told = async (pattern: RegExp) => {
      await waitFor(`words like ${pattern}`, async () => {
        const { steps } = await status.statusOf(await tenants.get(paying, 'garden'));
        return steps.some((step) => step.state === 'failed' && pattern.test(step.text));
      });
    };
    await change({ ref: 'nothing' });
    await told(/no such branch/);
    try {
      await change({ path: './nowhere' });
      await told(/folder is not in your repository/);
    } finally {
      await change({});
    }
    await own.commit({
      'apps/role.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: stolen}\n',
    });
    await flux.reconcile('GitRepository', 'tenant-garden', 'tenant');
    await told(/make something that tenants may not make/);
    await own.commit({ 'apps/role.yaml': null });
    await flux.reconcile('GitRepository', 'tenant-garden', 'tenant');
    await waitFor(
      'applied again',
      async () => (await steps(paying, 'garden')).text.includes('applied done'),
    );
  });

  test('drift on the cluster is seen', async () => {
    await flux.kubernetes.call(quota, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { spec: { hard: { pods: '99' } } },
    });
    expect((await steps(paying, 'garden')).drift).toEqual([
      'the quota: pods is not what was committed',
    ]);
    await flux.reconcile('Kustomization', 'flux-system', 'tenants');
    await waitFor(
      'the quota to be put right',
      async () => (await object(quota)).spec.hard.pods === '10',
    );
  });

  test('stopped by its member: replicas 0, pods 0, the volume stays; started: back', async () => {
    await tenants.suspend(paying, 'garden', true, context);
    await replicas(0);
    expect((await object(quota)).spec.hard.pods).toBe('0');
    expect((await object('/apis/batch/v1/namespaces/tenant-garden/cronjobs/nightly')).spec.suspend)
      .toBe(true);
    expect(await ask('/api/v1/namespaces/tenant-garden/persistentvolumeclaims/data')).toBe(200);
    await tenants.suspend(paying, 'garden', false, context);
    await replicas(2);
  });

  test('lapsed: nothing in grace, replicas 0 after it; paid again: everything back', async () => {
    await days(20, 'no');
    expect((await tenants.get(paying, 'garden')).state).toBe('grace');
    expect((await object(web)).spec.replicas).toBe(2);
    await days(20, 'no');
    expect((await tenants.get(paying, 'garden')).state).toBe('suspended');
    await replicas(0);
    await days(1, 'yes');
    await replicas(2);
  });

  test('deleted in two commits: drained first, then the namespace; no finalizer sticks', async () => {
    await tenants.claim(paying, { name: 'second', repository: repositoryOf() }, context);
    await waitFor(
      'the second',
      async () => (await ask('/api/v1/namespaces/tenant-second')) === 200,
    );
    await tenants.remove(paying, 'garden', 'garden', context);
    await waitFor('the drain', () => status.drained('garden'));
    expect(await ask(web)).toBe(404);
    expect(await ask('/api/v1/namespaces/tenant-garden')).toBe(200);
    await days(1, 'yes');
    expect(
      (await tenants.list(person('admin', { admin: true }))).map((r) => `${r.name} ${r.state}`),
    )
      .toEqual(['garden deleted', 'second active']);
    await waitFor(
      'the namespace to be gone',
      async () => (await ask('/api/v1/namespaces/tenant-garden')) === 404,
      {
        ms: 60_000,
      },
    );
    await follow();
    expect(await ask('/api/v1/namespaces/tenant-second')).toBe(200);
  });

  test('even the last tenant goes', async () => {
    await tenants.remove(paying, 'second', 'second', context);
    await waitFor('the drain', () => status.drained('second'));
    await days(1, 'yes');
    await waitFor(
      'the namespace to be gone',
      async () => (await ask('/api/v1/namespaces/tenant-second')) === 404,
      {
        ms: 60_000,
      },
    );
  });
});
