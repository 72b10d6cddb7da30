/** A cluster with the lock on: CRDs, flux/tenancy, and two tenants as the provisioner renders them. */
import { manifestsOf } from '../../../services/provisioner/tenant/render.ts';
import { type Policy, policySchema } from '../../../services/provisioner/tenant/policy.ts';
import { newRecord, type TenantRecord } from '../../../services/provisioner/tenant/record.ts';
import { parseTenant } from '../../../services/provisioner/tenant/tenant.ts';
import { ControlPlane, type Kubernetes } from '../../peers/kubernetes.ts';
import { here } from '../../peers/lib/here.ts';
import { waitFor } from '../../peers/lib/wait.ts';
import { crdNames, installCrds } from '../crds.ts';
import { APPLIER } from './attempt.ts';
import { ATTACKER, VICTIM } from './escapes.ts';

export const TENANCY = here(import.meta, '../../../flux/tenancy');

/** What the provisioner is configured with where flux/tenancy/settings.yaml is used as shipped. */
export function shippedPolicy(over: Record<string, unknown> = {}): Policy {
  const plan = { storage: '10Gi', pods: 10, limitsCpu: '2', limitsMemory: '2Gi' };
  return policySchema.parse({
    plans: { small: { title: 'Small', requestsCpu: '500m', requestsMemory: '1Gi', ...plan } },
    defaultPlan: 'small',
    repositories: ['https://git.hackspace.example'],
    vault: { server: 'https://bao.core.hackspace.example:8200' },
    users: { prefix: 'oidc:' },
    network: { ingressFrom: ['traefik'] },
    ...over,
  });
}

export function tenantRecord(
  name: string,
  policy: Policy,
  url = `https://git.hackspace.example/${name}/apps`,
): TenantRecord {
  const owner = { iss: 'https://login.hackspace.example/realms/hackspace', sub: `sub-of-${name}` };
  return newRecord(parseTenant({ name, repository: { url } }, policy), owner, Date.now());
}

/** The manifests of a tenant as JSON documents, namespace first. */
export function tenantManifests(record: TenantRecord, policy: Policy): Record<string, unknown>[] {
  const files = new Map(manifestsOf(record, policy));
  const namespace = files.get('namespace.yaml')!;
  files.delete('namespace.yaml');
  files.delete('kustomization.yaml');
  return [namespace, ...files.values()];
}

export const asList = (items: unknown[]) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

/**
 * Applied by the same identity, and under the same field manager, as Flux would; again, as Flux does,
 * while the namespace's quota has not been counted yet.
 */
export async function applyAsFlux(
  cluster: Kubernetes,
  items: unknown[],
  as = APPLIER,
): Promise<void> {
  const args = ['--as', as, '--field-manager=kustomize-controller', '--force-conflicts'];
  for (let tries = 1;; tries++) {
    try {
      await cluster.apply(asList(items), ...args);
      return;
    } catch (error) {
      if (tries > 300 || !/status unknown for quota/.test(String(error))) throw error;
      await new Promise((done) => setTimeout(done, 200));
    }
  }
}

/** Returns once the last policy is in force. */
export async function lock(cluster: Kubernetes): Promise<void> {
  await installCrds(cluster, crdNames);
  if (cluster instanceof ControlPlane) {
    // The quota controller looks for new kinds every half minute; at its start it knows them all.
    await cluster.controllers?.stop('SIGKILL');
    await cluster.controllers?.start();
  }
  await cluster.apply('{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}');
  await cluster.kubectl(['apply', '--server-side', '-k', TENANCY]);
  const probe = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'tenant-probe' } };
  const stdin = JSON.stringify(probe);
  await waitFor(
    'the policies to be in force',
    () =>
      cluster.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin }).then(
        () => false,
        (error) => /hackspace-namespaces/.test(String(error)),
      ),
    { ms: 60_000 },
  );
}

export async function twoTenants(cluster: Kubernetes): Promise<void> {
  const policy = shippedPolicy();
  for (const name of [ATTACKER, VICTIM]) {
    await applyAsFlux(cluster, tenantManifests(tenantRecord(name, policy), policy));
  }
  await waitFor('the quota to be counted', async () => {
    const args = ['-n', `tenant-${ATTACKER}`, 'get', 'resourcequota', 'tenant', '-o'];
    return (await cluster.kubectl([...args, 'jsonpath={.status.used.pods}'])) === '0';
  });
}
