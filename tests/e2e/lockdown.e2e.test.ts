import { hostname } from 'node:os';
import { createServer, type Server } from 'node:http';
import { lookup } from 'node:dns/promises';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { render } from '../../services/provisioner/tenant/render.ts';
import {
  asWritten,
  attempts,
  type Lane,
  reason,
  refusedBy,
  tryIt,
} from '../infra/lockdown/attempt.ts';
import { ATTACKER, escapes, type Manifest } from '../infra/lockdown/escapes.ts';
import { reachOf } from '../infra/lockdown/reach.ts';
import { lockdownPage, PAGE, type Row } from '../infra/lockdown/page.ts';
import {
  applyAsFlux,
  shippedPolicy,
  tenantManifests,
  tenantRecord,
} from '../infra/lockdown/world.ts';
import { type Flux, startFlux } from '../peers/flux.ts';
import { needs } from '../peers/lib/needs.ts';
import { waitFor } from '../peers/lib/wait.ts';
import { type House, knowNewKinds, openHouse, type SignedRepository } from './flux/house.ts';

/** A message of Flux with this run's addresses, revisions and folders taken out. */
const steady = (message: string) =>
  message.replace(/127\.0\.0\.1:\d+/g, 'git.hackspace.example').replace(
    /http:\/\/git\./g,
    'https://git.',
  );

/** The Kustomization's verdict on a commit: the condition, once that commit was tried. */
async function verdict(flux: Flux, namespace: string, name: string, commit: string) {
  const path =
    `/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/${namespace}/kustomizations/${name}`;
  let last: { status: string; message: string } | undefined;
  await waitFor(`${namespace}/${name} to judge ${commit.slice(0, 8)}`, async () => {
    const { status } = await flux.kubernetes.call(path);
    last = status?.conditions?.find((c: { type: string }) => c.type === 'Ready');
    return status?.lastAttemptedRevision?.includes(commit) && last?.status !== 'Unknown';
  }, { everyMs: 30, explain: () => JSON.stringify(last) });
  return last!;
}

const HOME = `tenant-${ATTACKER}`;
const key = (
  m: { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } },
) => [m.apiVersion, m.kind, m.metadata.namespace ?? '', m.metadata.name].join(' ');

needs('flux', 'flux-helm', 'flux-notification', 'git')(
  'the lock, tried through git and Flux',
  () => {
    let house: House;
    let own: SignedRepository;
    /** The attacker's tenant as the provisioner rendered it. */
    let legitimate: Record<string, string>;
    const rows: Row[] = [];

    const push = async (lane: Lane, objects: Manifest[]) => {
      const { flux, tenants } = house;
      if (lane === 'own') {
        const files = objects.map((
          object,
          i,
        ) => [`${i}.yaml`, stringify(asWritten(object, 'own'))]);
        const commit = await own.replace(Object.fromEntries(files));
        await flux.reconcile('GitRepository', `tenant-${ATTACKER}`, 'tenant');
        return await verdict(flux, `tenant-${ATTACKER}`, 'tenant', commit);
      }
      // The forged object takes the place of the rendered one of the same name, if there is one.
      const forged = new Set(objects.map(key));
      const kept = Object.entries(legitimate).filter(([path, text]) =>
        !path.endsWith('.yaml') || path.endsWith('kustomization.yaml') ||
        !forged.has(key(parse(text)))
      );
      const files = Object.fromEntries(kept);
      objects.forEach((object, i) =>
        files[`tenants/${ATTACKER}/forged-${i}.yaml`] = stringify(object)
      );
      const commit = await tenants.replace(files, true);
      await flux.reconcile('GitRepository', 'flux-system', 'tenants');
      return await verdict(flux, 'flux-system', 'tenants', commit);
    };

    beforeAll(async () => {
      house = await openHouse();
      const { flux } = house;
      await waitFor('the tree', () => house.readyAt.has('tenants'), { ms: 420_000 });
      await knowNewKinds(house);
      own = await house.member(ATTACKER);
      await own.replace({ 'web.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n' });
      const policy = shippedPolicy({ repositories: [house.origin], flux: { wait: false } });
      const record = tenantRecord(ATTACKER, policy, own.url);
      legitimate = Object.fromEntries(
        [...render(record, policy)].map(([path, bytes]) => [path, new TextDecoder().decode(bytes)]),
      );
      const neighbour = tenantRecord('ada', policy, (await house.member('ada')).url);
      for (const [path, bytes] of render(neighbour, policy)) {
        legitimate[path] = new TextDecoder().decode(bytes);
      }
      const commit = await house.tenants.replace(legitimate, true);
      await flux.reconcile('GitRepository', 'flux-system', 'tenants');
      await flux.waitReady('Kustomization', 'flux-system', 'tenants', commit);
      await flux.waitReady('Kustomization', `tenant-${ATTACKER}`, 'tenant');
      // What only an attacker with the provisioner's credential would make: a namespace without guards.
      const [bare] = tenantManifests(tenantRecord('bare', policy, `${house.origin}/bare`), policy);
      await applyAsFlux(flux.kubernetes, [bare]);
    }, 600_000);
    afterAll(() => house?.[Symbol.asyncDispose]());

    test('every escape is refused, committed to both repositories', async () => {
      const open: string[] = [];
      const { kubernetes: cluster } = house.flux;
      // All objects by server-side dry run as the two identities; the first of each escape by git too.
      for (const attempt of attempts(escapes)) {
        const { escape: { id }, lane, verb, object } = attempt;
        const { by = 'OPEN', message } = await tryIt(cluster, attempt);
        const what = `${verb} ${key(asWritten(object, lane))}`;
        rows.push({ id, lane, how: 'API', object: what, by, reason: reason(steady(message)) });
        if (by === 'OPEN') open.push(`${id} ${lane} ${what}: ${message}`);
      }
      for (const { id, objects } of escapes) {
        for (const lane of ['forged', 'own'] as const) {
          const object = objects[0]!;
          const { status, message } = await push(lane, [object]);
          let by: string = status === 'False' ? refusedBy(message) ?? 'OPEN' : 'OPEN';
          let why = reason(steady(message));
          const { kind, metadata: { name, namespace = HOME } } = object;
          if (status === 'True' && lane === 'own' && namespace !== HOME) {
            // targetNamespace moved it: the member's own object, and nothing where it was meant to be.
            const get = ['-n', namespace, 'get', kind, name, '--ignore-not-found', '-o', 'name'];
            if ((await cluster.kubectl(get)) === '') {
              by = 'targetNamespace';
              why = `made in ${HOME} instead of ${namespace}`;
            }
          }
          const what = `commit ${key(asWritten(object, lane))}`;
          rows.push({ id, lane, how: 'git', object: what, by, reason: why });
          if (by === 'OPEN') open.push(`${id} ${lane} ${what}: ${status} ${message}`);
        }
      }
      expect(open).toEqual([]);
    }, 600_000);

    test('a kustomization.yaml of a member is not built, so it fetches nothing', async () => {
      const asked: string[] = [];
      const server = await listen((path) => asked.push(path));
      try {
        const remote = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cm.yaml`;
        const list = stringify({
          apiVersion: 'kustomize.config.k8s.io/v1beta1',
          kind: 'Kustomization',
          resources: [remote],
        });
        const web = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n';
        const files: Record<string, string> = { 'web.yaml': web };
        for (const name of ['kustomization.yaml', 'kustomization.yml', 'Kustomization']) {
          for (const folder of ['', 'sub/']) files[folder + name] = list;
        }
        // A file of the member's that asks for them back is overruled.
        files['.sourceignore'] = '!kustomization.yaml\n!Kustomization\n';
        files['sub/.sourceignore'] = '!kustomization.yaml\n!kustomization.yml\n!Kustomization\n';
        const commit = await own.replace(files);
        await house.flux.reconcile('GitRepository', `tenant-${ATTACKER}`, 'tenant');
        const { status } = await verdict(house.flux, `tenant-${ATTACKER}`, 'tenant', commit);
        expect(status).toBe('True');
        await house.flux.kubernetes.call(`/api/v1/namespaces/tenant-${ATTACKER}/configmaps/beside`);
        expect(asked).toEqual([]);
      } finally {
        server.close();
      }
    }, 60_000);

    test(
      'were one built after all, kustomize-controller’s own HTTP ends at a closed port',
      async (context) => {
        // Go sends loopback ADDRESSES past any proxy; this machine's own name is judged like any other host.
        const name = hostname();
        const found = await lookup(name).catch(() => undefined);
        if (!found?.address.startsWith('127.') || name === 'localhost') {
          context.skip(`the name of this machine (${name}) does not resolve to loopback`);
        }
        const { flux } = house;
        const asked: string[] = [];
        const server = await listen((path) => asked.push(path));
        const remote = `http://${name}:${(server.address() as AddressInfo).port}/cm.yaml`;
        const tryOn = async (on: Flux) => {
          const repository = await on.git.createRepository('remote');
          const commit = await repository.commit({
            'kustomization.yaml': stringify({
              apiVersion: 'kustomize.config.k8s.io/v1beta1',
              kind: 'Kustomization',
              namespace: 'default',
              resources: [remote],
            }),
          });
          await on.kubernetes.apply(remoteProbe(repository.url));
          return await verdict(on, 'flux-system', 'remote-probe', commit);
        };
        try {
          const refused = await tryOn(flux);
          expect(refused.status).toBe('False');
          expect(refused.message).toMatch(
            /proxyconnect tcp: dial tcp 127\.0\.0\.1:9: connect: connection refused/,
          );
          expect(asked).toEqual([]);
          rows.push({
            id: 13,
            lane: 'own',
            how: 'git',
            object: `kustomization.yaml resources: [http://HOST/cm.yaml], were it built`,
            by: 'proxy',
            reason: /(proxyconnect.*refused)/.exec(refused.message)![1]!,
          });
          // The control: without those variables the same file is fetched and applied.
          await using bare = await startFlux();
          await bare.kubernetes.apply(
            '{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: probe}, ' +
              'roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, ' +
              'subjects: [{kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}]}\n---\n' +
              '{apiVersion: v1, kind: ServiceAccount, metadata: {name: kustomize-controller, namespace: flux-system}}',
          );
          expect((await tryOn(bare)).status).toBe('True');
          expect(asked.length).toBeGreaterThan(0);
        } finally {
          server.close();
        }
      },
      120_000,
    );

    test(
      'takeover: with the provisioner’s key and push right, only tenants are reached',
      async () => {
        const { flux } = house;
        await flux.kubernetes.apply(
          '{apiVersion: v1, kind: Namespace, metadata: {name: hackspace-core}}',
        );
        const reach = await reachOf(flux.kubernetes);
        expect(reach.written.filter((each) => !/ tenant-/.test(each))).toEqual([]);
        expect(reach.written.length).toBeGreaterThan(0);
        expect(reach.namespaces.filter((each) => !each.startsWith('tenant-')).length)
          .toBeGreaterThan(
            5,
          );
        const page = lockdownPage(rows, reach);
        if (process.env.HACKSPACE_WRITE_DOCS) writeFileSync(PAGE, page);
        // Where two policies refuse the same thing, which of them speaks first is the server's choice.
        const settled = (text: string) => text.replaceAll(/\| admission \|.*$/gm, '| admission |');
        expect(
          settled(readFileSync(PAGE, 'utf8')),
          'docs/lockdown.md; HACKSPACE_WRITE_DOCS=1 writes it',
        ).toBe(settled(page));
      },
      120_000,
    );
  },
);

function remoteProbe(url: string): string {
  return `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: remote-probe, namespace: flux-system}
spec: {interval: 1m, url: "${url}", ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: remote-probe, namespace: flux-system}
spec:
  interval: 1h
  retryInterval: 1h
  path: ./
  prune: false
  serviceAccountName: kustomize-controller
  sourceRef: {kind: GitRepository, name: remote-probe}
`;
}

async function listen(seen: (path: string) => void): Promise<Server> {
  const server = createServer((request, response) => {
    seen(request.url ?? '');
    response.end('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: remote}\n');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}
