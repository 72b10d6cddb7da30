import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kubernetes, startKubernetes } from '../peers/kubernetes.ts';
import { kubectlPath } from '../peers/kubernetes/build.ts';
import { here } from '../peers/lib/here.ts';
import { needs } from '../peers/lib/needs.ts';
import { run } from '../peers/lib/run.ts';
import { installCrds } from './crds.ts';
import { type Document, documentsOf, ROOT } from './documents.ts';

const FLUX = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations';

/** The commands of a runbook that make a Job of a CronJob, one after another. */
function jobCommands(runbook: string): string[] {
  const page = readFileSync(join(ROOT, 'docs/runbooks', runbook), 'utf8');
  return [...page.matchAll(/^kubectl .* create job .*\|\n.*$/gm)].map(([text]) => text);
}

needs('kubernetes')('kickflux, debugflux and toggleflux', () => {
  let cluster: Kubernetes;
  const bin = mkdtempSync(join(tmpdir(), 'hackspace-scripts-'));
  const script = (name: string, ...args: string[]) =>
    run('sh', [here(import.meta, `../../flux/scripts/${name}`), ...args], {
      env: { PATH: `${bin}:${process.env.PATH}`, KUBECONFIG: cluster.kubeconfig },
    });
  const status = (name: string, ready: string, message: string) =>
    cluster.call(`${FLUX}/${name}/status`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: {
        status: {
          conditions: [{
            type: 'Ready',
            status: ready,
            reason: 'Test',
            message,
            lastTransitionTime: '2026-11-23T00:00:00Z',
          }],
        },
      },
    });

  beforeAll(async () => {
    symlinkSync(kubectlPath()!, join(bin, 'kubectl'));
    cluster = await startKubernetes();
    await installCrds(cluster, ['source-controller', 'kustomize-controller', 'helm-controller']);
    await cluster.apply('{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}');
    for (const name of ['infra', 'tenants']) {
      await cluster.apply(`
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: ${name}, namespace: flux-system}
spec: {interval: 1h, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: ${name}, namespace: flux-system}
spec: {interval: 1h, url: 'https://git.hackspace.example/x'}
`);
    }
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(bin, { recursive: true });
  });

  test('debugflux tells what is not ready and why, and is silent when all is', async () => {
    await status('infra', 'True', 'Applied');
    await status('tenants', 'False', "dependency 'tenancy' is not ready");
    const { code, stdout } = await script('debugflux');
    expect(code).toBe(1);
    expect(stdout).toContain(
      "False  Kustomization flux-system/tenants: dependency 'tenancy' is not ready",
    );
    expect(stdout).toContain('never  GitRepository flux-system/tenants: not looked at yet');
    expect(stdout).not.toContain('Kustomization flux-system/infra');
    expect(await script('debugflux', 'default')).toMatchObject({
      code: 0,
      stdout: 'everything is ready\n',
    });
  });

  test('kickflux asks for a reconciliation of sources and of the named alone', async () => {
    expect(await script('kickflux', 'infra')).toMatchObject({ code: 0 });
    const asked = async (path: string) =>
      (await cluster.call(path)).metadata.annotations?.['reconcile.fluxcd.io/requestedAt'];
    expect(await asked(`${FLUX}/infra`)).toMatch(/^\d{4}-/);
    expect(await asked(`${FLUX}/tenants`)).toBeUndefined();
    const sources = '/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories';
    expect(await asked(`${sources}/tenants`)).toMatch(/^\d{4}-/);
  });

  test('toggleflux stops and resumes, and refuses to guess', async () => {
    const suspended = async () => (await cluster.call(`${FLUX}/tenants`)).spec.suspend;
    expect((await script('toggleflux', 'off', 'tenants')).stderr).toContain('stays so until');
    expect(await suspended()).toBe(true);
    expect((await script('debugflux')).stdout).toContain(
      'off    Kustomization flux-system/tenants: suspended',
    );
    expect((await script('toggleflux', 'on', 'tenants')).code).toBe(0);
    expect(await suspended()).toBe(false);
    for (const args of [[], ['off'], ['of', 'tenants']]) {
      expect(await script('toggleflux', ...args)).toMatchObject({ code: 2 });
    }
    expect((await script('toggleflux', 'off', 'nobody')).code).not.toBe(0);
  });

  test('the runbook’s Jobs are the nightly ones, told to restore or to wait', async () => {
    const documents = documentsOf('manifests/core').map((e) => e.document);
    const ask = (path: string) => cluster.call(`/apis/batch/v1/namespaces/${path}`);
    const container = (of: { spec: Document }) => of.spec.template.spec.containers[0];
    const [restore, fetch] = jobCommands('restore-core.md');
    for (
      const [name, cronJob, command, job, variable] of [
        ['keycloak', 'backup', restore, 'restore', { name: 'RESTORE', value: '20261126T020700Z' }],
        ['forgejo', 'backup', restore, 'restore', { name: 'RESTORE', value: '20261126T020700Z' }],
        ['synapse', 'backup', restore, 'restore', { name: 'RESTORE', value: '20261126T020700Z' }],
        ['openbao', 'openbao-backup', fetch, 'fetch', { name: 'FETCH', value: '1' }],
      ] as const
    ) {
      for (
        const each of documents.filter((d) =>
          d.kind === 'Namespace' && d.metadata.name === name ||
          d.kind === 'CronJob' && d.metadata.namespace === name
        )
      ) await cluster.apply(JSON.stringify(each));
      const text = command!.replaceAll('NAME', name).replace('=BACKUP', '=20261126T020700Z');
      const env = { PATH: `${bin}:${process.env.PATH}`, KUBECONFIG: cluster.kubeconfig };
      const ran = await run('sh', ['-euc', text], { env });
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
      const made = container(await ask(`${name}/jobs/${job}`));
      const nightly = container((await ask(`${name}/cronjobs/${cronJob}`)).spec.jobTemplate);
      expect(made.env).toContainEqual(variable);
      expect(made.env).toHaveLength(nightly.env.length);
      expect({ ...made, env: [] }).toEqual({ ...nightly, env: [] });
    }
  });
});
