import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Flux, startFlux } from './flux.ts';
import { needs } from './lib/needs.ts';
import { waitFor } from './lib/wait.ts';

const tenant = (namespace: string, url: string) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: tenant, namespace: ${namespace}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant, namespace: ${namespace}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: tenant, namespace: ${namespace}}]
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: tenant, namespace: ${namespace}}
spec: {url: ${url}, interval: 1s, ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: tenant, namespace: ${namespace}}
spec:
  interval: 1s
  path: ./
  prune: true
  serviceAccountName: tenant
  targetNamespace: ${namespace}
  sourceRef: {kind: GitRepository, name: tenant}
`;
const configMap = (name: string, value: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {value: "${value}"}\n`;

needs('flux', 'git')('Flux', () => {
  let flux: Flux;
  beforeAll(async () => {
    flux = await startFlux();
  });
  afterAll(async () => await flux?.stop());

  test('applies what is pushed, prunes what went, as the tenant and no further', async () => {
    const repository = await flux.git.createRepository('tenant');
    const first = await repository.commit({ 'a.yaml': configMap('a', '1') });
    await flux.kubernetes.apply(tenant('tenant-a', repository.url));
    await flux.waitReady('Kustomization', 'tenant-a', 'tenant', first);
    const get = (name: string) =>
      flux.kubernetes.ask(`/api/v1/namespaces/tenant-a/configmaps/${name}`);
    expect((await get('a')).json().data.value).toBe('1');

    const second = await repository.commit({ 'a.yaml': null, 'b.yaml': configMap('b', '2') });
    await flux.waitReady('Kustomization', 'tenant-a', 'tenant', second);
    expect((await get('b')).json().data.value).toBe('2');
    await waitFor('a to be pruned', async () => (await get('a')).status === 404);

    const stolen = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: stolen}\n';
    await repository.commit({ 'stolen.yaml': stolen });
    const refused = await flux.waitRefused('Kustomization', 'tenant-a', 'tenant', /Forbidden/i);
    expect(refused.message).toContain('system:serviceaccount:tenant-a:tenant');
    expect((await flux.kubernetes.ask('/api/v1/namespaces/stolen')).status).toBe(404);
    expect(flux.git.requests.some((r) => r.path.includes('git-upload-pack'))).toBe(true);
  });

  test('a source in another namespace is out of reach', async () => {
    const yaml = tenant('tenant-b', 'http://127.0.0.1:1/none.git')
      .replace('name: tenant}\n', 'name: tenant, namespace: tenant-a}\n');
    await flux.kubernetes.apply(yaml);
    await flux.waitRefused('Kustomization', 'tenant-b', 'tenant', /cross-namespace references/);
  });
});
