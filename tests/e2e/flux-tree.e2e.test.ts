import { Secret } from '@hackspace/kit/secret.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shippedPolicy, tenantRecord } from '../infra/lockdown/world.ts';
import { fluxReceiver, hookUrl } from '../../services/provisioner/cluster/receiver.ts';
import { render } from '../../services/provisioner/tenant/render.ts';
import { needs } from '../peers/lib/needs.ts';
import { waitFor } from '../peers/lib/wait.ts';
import { type House, knowNewKinds, openHouse, RECEIVER_KEY } from './flux/house.ts';

const configMap = (name: string, namespace = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n` +
  (namespace ? `  namespace: ${namespace}\n` : '') + 'data: {made: by-a-member}\n';

const claim = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ceph-block
  resources: {requests: {storage: 1Gi}}
`;

needs('flux', 'flux-helm', 'flux-notification', 'git')(
  'member-prod, reconciled by Flux from git',
  () => {
    let house: House;
    let member: Awaited<ReturnType<House['member']>>;
    beforeAll(async () => {
      house = await openHouse();
    }, 600_000);
    afterAll(() => house?.[Symbol.asyncDispose]());

    test('the whole tree becomes ready, in its order', async () => {
      const names = [
        'flux-system',
        'infra-crds',
        'infra-controllers',
        'infra-config',
        'tenancy',
        'tenants',
      ];
      for (const name of names) {
        await waitFor(`Kustomization ${name}`, () => house.readyAt.has(name), {
          ms: 420_000,
          explain: () => JSON.stringify([...house.readyAt]),
        });
      }
      const at = (name: string) => house.readyAt.get(name)!;
      const order = [
        ['infra-crds', 'infra-controllers'],
        ['infra-controllers', 'infra-config'],
        ['infra-crds', 'tenancy'],
        ['tenancy', 'tenants'],
        ['infra-config', 'tenants'],
      ] as const;
      for (const [first, then] of order) {
        expect(at(first), `${first} before ${then}`).toBeLessThan(at(then));
      }
      process.stdout.write(
        `ready after ms: ${JSON.stringify(Object.fromEntries(house.readyAt))}\n`,
      );
      for (
        const name of ['cilium', 'cert-manager', 'traefik', 'external-secrets', 'rook-ceph-cluster']
      ) {
        await house.flux.waitReady('HelmRelease', 'flux-system', name);
      }
      await knowNewKinds(house);
    }, 600_000);

    test(
      'a commit gives a member a guarded namespace, and its repository is applied there only',
      async () => {
        const { flux, tenants } = house;
        member = await house.member('ada');
        await member.replace({
          'web.yaml': configMap('web'),
          'else.yaml': configMap('elsewhere', 'default'),
        });
        const policy = shippedPolicy({ repositories: [house.origin] });
        const record = tenantRecord('ada', policy, member.url);
        const files = Object.fromEntries(
          [...render(record, policy)].map((
            [path, bytes],
          ) => [path, new TextDecoder().decode(bytes)]),
        );
        const began = Date.now();
        const commit = await tenants.replace(files, true);
        // As the provisioner does after a commit; by itself Flux would look within a minute.
        await flux.waitReady('Receiver', 'flux-system', 'tenants');
        const key = new Secret(RECEIVER_KEY);
        const receiver = fluxReceiver(hookUrl(flux.webhooks!, 'flux-system/tenants', key), key);
        receiver.woken(commit);
        await receiver.close();
        await flux.waitReady('GitRepository', 'flux-system', 'tenants', commit);
        process.stdout.write(`commit to fetched, by the Receiver: ${Date.now() - began} ms\n`);
        expect(Date.now() - began).toBeLessThan(30_000);
        await flux.waitReady('Kustomization', 'flux-system', 'tenants', commit);
        const { status } = await flux.kubernetes.call(
          '/api/v1/namespaces/tenant-ada/resourcequotas/tenant',
        );
        expect(status.hard.pods).toBe('10');
        for (
          const path of [
            '/apis/networking.k8s.io/v1/namespaces/tenant-ada/networkpolicies/default-deny',
            '/apis/rbac.authorization.k8s.io/v1/namespaces/tenant-ada/rolebindings/tenant',
            '/apis/external-secrets.io/v1/namespaces/tenant-ada/secretstores/openbao',
            '/api/v1/namespaces/tenant-ada/limitranges/tenant',
          ]
        ) await flux.kubernetes.call(path);
        await flux.waitReady('Kustomization', 'tenant-ada', 'tenant');
        process.stdout.write(`commit to member's manifests applied: ${Date.now() - began} ms\n`);
        // targetNamespace puts even a manifest that names another namespace into the tenant's own.
        await flux.kubernetes.call('/api/v1/namespaces/tenant-ada/configmaps/web');
        await flux.kubernetes.call('/api/v1/namespaces/tenant-ada/configmaps/elsewhere');
        expect(
          (await flux.kubernetes.ask('/api/v1/namespaces/default/configmaps/elsewhere')).status,
        )
          .toBe(404);
      },
      120_000,
    );

    test('a commit that the provisioner has not signed is not looked at', async () => {
      const { flux, tenants } = house;
      await tenants.replace({
        'tenants/evil/ns.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: tenant-evil}\n',
      });
      await flux.reconcile('GitRepository', 'flux-system', 'tenants');
      const { message } = await flux.waitRefused(
        'GitRepository',
        'flux-system',
        'tenants',
        /signature|verif/i,
      );
      process.stdout.write(`unsigned: ${message}\n`);
      expect((await flux.kubernetes.ask('/api/v1/namespaces/tenant-evil')).status).toBe(404);
    }, 60_000);

    test('an emptied tenants repository takes no namespace and no data with it', async () => {
      const { flux, tenants } = house;
      // Nothing gives storage here: the claim stays unbound, and the tenant's Kustomization waits for it.
      const data = '/api/v1/namespaces/tenant-ada/persistentvolumeclaims/data';
      await member.replace({ 'web.yaml': configMap('web'), 'data.yaml': claim });
      await flux.reconcile('GitRepository', 'tenant-ada', 'tenant');
      await waitFor('the claim', async () => (await flux.kubernetes.ask(data)).status === 200);
      const commit = await tenants.replace({ 'tenants/.keep': '' }, true);
      await flux.reconcile('GitRepository', 'flux-system', 'tenants');
      await flux.waitRefused(
        'Kustomization',
        'flux-system',
        'tenants',
        /only after a commit that set it to draining/,
      );
      expect(commit).toHaveLength(40);
      const { metadata } = await flux.kubernetes.call('/api/v1/namespaces/tenant-ada');
      expect(metadata.deletionTimestamp).toBeUndefined();
      await flux.kubernetes.call('/api/v1/namespaces/tenant-ada/resourcequotas/tenant');
      const sync =
        '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/tenant-ada/kustomizations/tenant';
      expect((await flux.kubernetes.call(sync)).metadata.deletionTimestamp).toBeUndefined();
      expect((await flux.kubernetes.call(data)).metadata.deletionTimestamp).toBeUndefined();
    }, 60_000);
  },
);
