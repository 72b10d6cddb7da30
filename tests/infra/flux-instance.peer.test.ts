import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { beforeAll, expect, test } from 'vitest';
import { kustomizeEnvironment } from '../e2e/flux/house.ts';
import { kustomizeLockdown, lockdown } from '../peers/flux.ts';
import { kustomize } from '../peers/kustomize.ts';
import { needs } from '../peers/lib/needs.ts';
import { crdsMissing, moduleOf } from './crds.ts';
import { type Document, documentsOf } from './documents.ts';

// The Flux Operator does not run here. What it would apply is made as it makes it: its own manifests of this
// Flux, its own patch for `multitenant` (both from its module), ours after it, by the real kustomize.
needs('kustomize')('the controllers as the FluxInstance makes them', () => {
  let rendered: Document[];
  const { spec } = documentsOf('flux/clusters').map((e) => e.document)
    .find((d) => d.kind === 'FluxInstance');

  beforeAll(async () => {
    if (crdsMissing()) return;
    const operator = await moduleOf('flux-operator');
    const manifests = join(operator, 'config/data/flux', `v${spec.distribution.version}`);
    const source = readFileSync(join(operator, 'internal/builder/profiles.go'), 'utf8');
    const profile = /const profileClusterMultitenant = `([\s\S]*?)`/.exec(source)![1]!
      .replace('%s', spec.cluster.tenantDefaultServiceAccount);
    const folder = mkdtempSync(join(tmpdir(), 'hackspace-instance-'));
    try {
      const resources = ['rbac', 'policies', ...spec.components].map((name) => `${name}.yaml`);
      for (const file of resources) copyFileSync(join(manifests, file), join(folder, file));
      const { url, ref, path, interval } = spec.sync;
      const metadata = { name: 'flux-system', namespace: 'flux-system' };
      const sync = [
        { kind: 'GitRepository', group: 'source', spec: { url, interval, ref: { name: ref } } },
        {
          kind: 'Kustomization',
          group: 'kustomize',
          spec: { path, prune: true, interval, sourceRef: { kind: 'GitRepository', ...metadata } },
        },
      ].map(({ kind, group, spec }) =>
        stringify({ apiVersion: `${group}.toolkit.fluxcd.io/v1`, kind, metadata, spec })
      );
      writeFileSync(join(folder, 'sync.yaml'), sync.join('---\n'));
      const list = {
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        namespace: 'flux-system',
        resources: [...resources, 'sync.yaml'],
        patches: [...parse(profile), ...spec.kustomize.patches],
      };
      writeFileSync(join(folder, 'kustomization.yaml'), stringify(list));
      const text = await kustomize().ok(['build', folder]);
      rendered = parseAllDocuments(text).map((each) => each.toJS());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  const container = (name: string) =>
    rendered.find((d) => d.kind === 'Deployment' && d.metadata.name === name)
      .spec.template.spec.containers[0];

  test.skipIf(crdsMissing())('they have the flags that the controllers of the tests have', () => {
    expect(spec.cluster.multitenant).toBe(true);
    expect(container('kustomize-controller').args)
      .toEqual(expect.arrayContaining(kustomizeLockdown));
    expect(container('helm-controller').args).toEqual(expect.arrayContaining(lockdown));
    expect(container('notification-controller').args).toContain('--no-cross-namespace-refs=true');
    for (const name of spec.components) {
      expect(container(name).args.join(' '), name).not.toContain('--insecure-kubeconfig');
    }
  });

  test.skipIf(crdsMissing())('the platform’s own Kustomization says who it is', () => {
    const platform = rendered.find((d) => d.kind === 'Kustomization');
    expect(platform.spec.serviceAccountName).toBe('kustomize-controller');
  });

  test.skipIf(crdsMissing())(
    'HTTP of kustomize-controller ends at a closed port, but for what it needs',
    () => {
      const { env, args } = container('kustomize-controller');
      const set = Object.fromEntries(
        env.map((each: { name: string; value?: string }) => [each.name, each.value]),
      );
      expect(set).toMatchObject(kustomizeEnvironment());
      expect(set.HTTP_PROXY).toBe('http://127.0.0.1:9');
      const free = set.NO_PROXY!.split(',');
      // Where artifacts are advertised, and where events go: both as the operator's manifests say.
      const hostOf = (list: string[], flag: string) =>
        list.find((arg) => arg.startsWith(flag))!.split('=')[1]!.replace(/^http:\/\//, '')
          .replace(/\/$/, '').replace('$(RUNTIME_NAMESPACE)', 'flux-system');
      expect(free).toContain(hostOf(container('source-controller').args, '--storage-adv-addr'));
      expect(free).toContain(hostOf(args, '--events-addr'));
      expect(free).toHaveLength(3);
    },
  );
});
