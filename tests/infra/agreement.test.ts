import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { configSchema as icsProxy } from '../../services/ics-proxy/config.ts';
import { configSchema as provisioner } from '../../services/provisioner/config.ts';
import { policySchema } from '../../services/provisioner/tenant/policy.ts';
import { manifestsOf } from '../../services/provisioner/tenant/render.ts';
import { newRecord } from '../../services/provisioner/tenant/record.ts';
import { parseTenant } from '../../services/provisioner/tenant/tenant.ts';
import { schema as unsealer } from '../../services/unsealer/config.ts';
import { type Document, documentsOf } from './documents.ts';
import { documented } from './tenant-vault.ts';

// What the provisioner renders, what a member's repository contains and what the lock admits are three
// files written by three hands. The API server judges them in manifests.peer.test.ts; this is the rest.

const find = (folder: string, kind: string, name: string): Document =>
  documentsOf(folder).map((e) => e.document).find((d) =>
    d.kind === kind && d.metadata.name === name
  );
const config = (folder: string, name: string, file = 'config.yaml') =>
  parse(find(folder, 'ConfigMap', name).data[file]);

const settings: Record<string, string> = find('flux/tenancy', 'ConfigMap', 'settings').data;
const policy = policySchema.parse(config('manifests/services', 'provisioner', 'policy.yaml'));

/** Kubernetes' quantities as numbers. */
function quantity(text: string): number {
  const [, number, unit = ''] = /^([\d.]+)(m|Ki|Mi|Gi|Ti)?$/.exec(text)!;
  const factors: Record<string, number> = {
    '': 1,
    m: 1e-3,
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
    Ti: 2 ** 40,
  };
  return Number(number) * factors[unit]!;
}

test('the configs in the manifests are ones the services take', () => {
  provisioner.parse(config('manifests/services', 'provisioner'));
  icsProxy.parse(config('manifests/services', 'ics-proxy'));
  icsProxy.parse(config('manifests/tenant', 'ics-proxy'));
  unsealer.parse(config('manifests/services', 'unsealer'));
});

test('the provisioner allows what the lock allows', () => {
  expect(policy.repositories).toEqual(settings.gitOrigins!.split(' '));
  expect(policy.vault?.server).toBe(settings.vaultServer);
  expect(policy.network.ingressFrom).toEqual([settings.gateway!.split('/')[0]]);
});

test('the provisioner wakes the Receiver there is, by a key that Flux gets from the vault', () => {
  const { receiver, store } = provisioner.parse(config('manifests/services', 'provisioner'));
  const [namespace, name] = receiver!.name.split('/');
  const own = documentsOf('flux/infra/config').map((e) => e.document).filter((d) =>
    d.metadata.namespace === namespace
  );
  const of = (kind: string, called: string) =>
    own.find((d) => d.kind === kind && d.metadata.name === called);
  const { spec } = of('Receiver', name!);
  expect(spec.type).toBe('generic-hmac');
  const tracked = spec.resources.map((each: { kind: string; name: string }) =>
    find('flux/tenancy', each.kind, each.name).spec.url
  );
  expect(tracked).toEqual([store.kind === 'git-remote' && store.url]);

  const [secret] = own.filter((d) =>
    d.kind === 'ExternalSecret' && d.spec.target.name === spec.secretRef.name
  );
  const [data] = secret!.spec.data;
  expect(data.secretKey).toBe('token'); // as notification-controller reads it
  const { vault } = of('SecretStore', secret!.spec.secretStoreRef.name).spec.provider;
  expect(vault.server).toBe(settings.vaultServer);
  const { role, policy } = documented(vault.auth.jwt.role);
  const { serviceAccountRef } = vault.auth.jwt.kubernetesServiceAccountToken;
  expect(of('ServiceAccount', serviceAccountRef.name)).toBeDefined();
  expect(serviceAccountRef.audiences).toEqual(role.bound_audiences);
  expect(role.bound_subject).toBe(
    `system:serviceaccount:${namespace}:${serviceAccountRef.name}`,
  );
  expect(policy).toBe(
    `path "${vault.path}/data/${data.remoteRef.key}" { capabilities = ["read"] }`,
  );

  const route = own.find((d) => d.kind === 'HTTPRoute')!;
  const [parent] = route.spec.parentRefs;
  const { listeners: [listener] } = find('flux/infra/config', 'Gateway', parent.name).spec;
  expect(new URL(receiver!.url).hostname).toBe(listener.hostname);
  expect(route.spec.hostnames).toEqual([listener.hostname]);
  expect(listener.allowedRoutes.namespaces.selector.matchLabels).toEqual({
    'kubernetes.io/metadata.name': namespace,
  });
  expect(`${parent.namespace}/${parent.name}`).not.toBe(settings.gateway);
});

test('no plan grants more than the ceiling', () => {
  for (const [name, plan] of Object.entries(policy.plans)) {
    expect(plan.pods, name).toBeLessThanOrEqual(quantity(settings.maxPods!));
    expect(plan.volumes, name).toBeLessThanOrEqual(quantity(settings.maxClaims!));
    expect(quantity(plan.requestsCpu), name).toBeLessThanOrEqual(quantity(settings.maxCpu!));
    expect(quantity(plan.requestsMemory), name).toBeLessThanOrEqual(quantity(settings.maxMemory!));
    expect(quantity(plan.limitsMemory), name).toBeLessThanOrEqual(quantity(settings.maxMemory!));
    expect(quantity(plan.storage), name).toBeLessThanOrEqual(quantity(settings.maxStorage!));
  }
});

test('the applier may write every kind that is rendered, and no other', () => {
  const record = newRecord(
    parseTenant({ name: 'garden', repository: { url: 'https://codeberg.org/a/b' } }, policy),
    { iss: 'https://login.hackspace.example', sub: 'x' },
    0,
  );
  const kinds = [...manifestsOf(record, policy)].filter(([file]) => file !== 'kustomization.yaml')
    .map(([, manifest]) => `${manifest.kind}`.toLowerCase().replace(/y$/, 'ie') + 's');
  const role = find('flux/tenancy', 'ClusterRole', 'hackspace-tenants-applier');
  const writable = role.rules.filter((rule: { verbs: string[] }) => rule.verbs.includes('create'))
    .flatMap((rule: { resources: string[] }) => rule.resources);
  expect(new Set(writable)).toEqual(new Set(kinds));
});

test('a member’s repository holds only kinds its role may write, and names no namespace', () => {
  const role = find('flux/tenancy', 'ClusterRole', 'hackspace-tenant');
  const writable = role.rules.filter((rule: { verbs: string[] }) => rule.verbs.includes('create'))
    .flatMap((rule: { resources: string[] }) => rule.resources);
  for (const { path, document } of documentsOf('manifests/tenant')) {
    const plural = document.kind.toLowerCase().replace(/y$/, 'ie') + 's';
    expect(writable, `${path} ${document.kind}`).toContain(plural);
    expect(document.metadata.namespace, path).toBeUndefined();
  }
});

test('member-prod’s own Kustomizations say who they are, and `tenants` is not one of the mighty', () => {
  const all = documentsOf('flux').map((e) => e.document).filter((d) => d.kind === 'Kustomization');
  expect(all.length).toBeGreaterThan(4);
  for (const { metadata: { name }, spec } of all) {
    expect(spec.serviceAccountName, name).toBe(
      name === 'tenants' ? 'tenants' : 'kustomize-controller',
    );
    expect(spec.postBuild, name).toBeUndefined();
  }
});

test('pods of the house are rootless, read-only, bounded and probed', () => {
  const pods = ['manifests/core', 'manifests/services', 'manifests/tenant'].flatMap(documentsOf)
    .flatMap(({ path, document: { kind, metadata, spec } }) => {
      const template = kind === 'CronJob' ? spec.jobTemplate.spec.template : spec?.template;
      return template?.spec
        ? [{ what: `${path} ${kind}/${metadata.name}`, kind, pod: template.spec }]
        : [];
    });
  expect(pods.length).toBeGreaterThan(14);
  for (const { what, kind, pod } of pods) {
    expect(pod.securityContext, what).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod.automountServiceAccountToken, what).toBe(false);
    for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
      expect(container.securityContext, what).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources, what).toMatchObject({
        requests: { cpu: expect.any(String), memory: expect.any(String) },
        limits: { memory: expect.any(String) },
      });
    }
    if (/Job/.test(kind)) continue;
    expect(pod.containers[0].readinessProbe, what).toBeDefined();
    expect(pod.containers[0].livenessProbe, what).toBeDefined();
  }
});

test('every name that a machine of the house asks for is in its own zone', () => {
  const zone = parseZone(find('manifests/core', 'ConfigMap', 'dns').data['hackspace.example']);
  const text = ['manifests/core', 'manifests/services', 'flux']
    .flatMap((folder) => documentsOf(folder)).map(({ document }) => JSON.stringify(document))
    .join();
  const names = new Set(text.match(/[a-z0-9*.-]+(?=\.hackspace\.example\b)/g));
  // A registry is yours, wherever it is; members' domain alone is no host.
  for (const name of ['registry', 'members']) names.delete(name);
  expect(names.size).toBeGreaterThan(8);
  const unknown = [...names].filter((name) => !zone.some((pattern) => pattern.test(name)));
  expect(unknown).toEqual([]);
});

const parseZone = (text: string): RegExp[] =>
  [...text.matchAll(/^([\w.*-]+)\s+A\s/gm)].map(([, name]) =>
    new RegExp(`^${name!.replaceAll('.', '\\.').replace('*', '.+')}$`)
  );
