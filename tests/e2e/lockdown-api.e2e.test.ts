import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kubernetes, startKubernetes } from '../peers/kubernetes.ts';
import { needs } from '../peers/lib/needs.ts';
import { type Attempt, attempts, reason, TENANT, tryIt } from '../infra/lockdown/attempt.ts';
import { escapes } from '../infra/lockdown/escapes.ts';
import { members } from '../infra/lockdown/members.ts';
import {
  applyAsFlux,
  lock,
  shippedPolicy,
  tenantManifests,
  tenantRecord,
  twoTenants,
} from '../infra/lockdown/world.ts';

const describeAttempt = ({ escape, lane, verb, object }: Attempt) =>
  `${escape.id} ${lane}: ${verb} ${object.kind} ${
    object.metadata.namespace ?? ''
  }/${object.metadata.name}`;

needs('kubernetes')('the lock of flux/tenancy, on a real API server', () => {
  let cluster: Kubernetes;

  beforeAll(async () => {
    cluster = await startKubernetes();
    await lock(cluster);
    await twoTenants(cluster);
    // A namespace that only an attacker with the provisioner's credential would make: no guards in it.
    const [bare] = tenantManifests(tenantRecord('bare', shippedPolicy()), shippedPolicy());
    await applyAsFlux(cluster, [bare]);
  });
  afterAll(() => cluster?.stop());

  test('no expression of a policy is mistyped', async () => {
    await expect.poll(async () => {
      const { items } = await cluster.call(
        '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
      );
      return items.filter((p: { metadata: { name: string } }) =>
        p.metadata.name.startsWith('hackspace-')
      ).map((p: { metadata: { name: string }; status?: { typeChecking?: unknown } }) => [
        p.metadata.name,
        p.status?.typeChecking ?? 'not checked',
      ]).filter(([, found]: [string, object]) => JSON.stringify(found) !== '{}');
    }, { timeout: 20_000 }).toEqual([]);
  });

  test('every escape is refused, as a forged commit and as the tenant', async () => {
    const open: string[] = [];
    for (const attempt of attempts(escapes)) {
      const outcome = await tryIt(cluster, attempt);
      if (!outcome.refused) open.push(`${describeAttempt(attempt)}: ${outcome.message}`);
    }
    expect(open).toEqual([]);
  });

  test(
    'with cluster-admin given by mistake, admission alone still holds both identities',
    async () => {
      const name = 'given-by-mistake';
      const subject = (namespace: string, account: string) => ({
        kind: 'ServiceAccount',
        name: account,
        namespace,
      });
      await cluster.apply(JSON.stringify({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'ClusterRole',
          name: 'cluster-admin',
        },
        subjects: [subject('flux-system', 'tenants'), subject('tenant-mallory', 'tenant')],
      }));
      try {
        const open: string[] = [];
        for (const attempt of attempts(escapes)) {
          const outcome = await tryIt(cluster, attempt);
          if (!outcome.refused) open.push(describeAttempt(attempt));
          else if (outcome.by === 'rbac') {
            open.push(`${describeAttempt(attempt)}: RBAC, ${reason(outcome.message)}`);
          }
        }
        // Policies are exempt from policies (so that a cluster can be mended): RBAC alone guards those.
        expect(open).toEqual([
          '19 forged: apply ValidatingAdmissionPolicyBinding /hackspace-flux-sources',
          '19 own: apply ValidatingAdmissionPolicyBinding /hackspace-flux-sources',
        ]);
      } finally {
        await cluster.kubectl(['delete', 'clusterrolebinding', name]);
      }
    },
    300_000,
  );

  test('what a member may do is accepted', async () => {
    for (const [title, object] of Object.entries(members)) {
      await expect(
        applyAsFlux(cluster, [object], TENANT).then(() => 'accepted', (e) => String(e)),
        title,
      ).resolves.toBe('accepted');
    }
  });

  test('a tenant in each state of its life is accepted, and leaves in two commits', async () => {
    const policy = shippedPolicy();
    const record = tenantRecord('garden', policy);
    for (const state of ['active', 'grace', 'suspended', 'exported', 'draining'] as const) {
      await applyAsFlux(cluster, tenantManifests({ ...record, state }, policy));
      const applier = ['--dry-run=server', '--as', 'system:serviceaccount:flux-system:tenants'];
      for (
        const [what, refusal] of [
          [['ns', 'tenant-garden'], 'only after a commit that set it to draining'],
          [['-n', 'tenant-garden', 'kustomization', 'tenant'], 'set its namespace to draining'],
        ] as const
      ) {
        const gone = () => cluster.kubectl(['delete', ...what, ...applier]);
        if (state === 'draining') await expect.poll(gone, { timeout: 20_000 }).toContain('deleted');
        else await expect(gone(), state).rejects.toThrow(refusal);
      }
    }
  });
});
