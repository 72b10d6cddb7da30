/** What the identity behind the tenants repository can do at all, asked of the API server kind by kind. */
import type { Kubernetes } from '../../peers/kubernetes.ts';
import { APPLIER } from './attempt.ts';

export interface Reach {
  /** `group/resource` that RBAC lets it write, anywhere. */
  kinds: string[];
  /** `kind namespace` where a well-formed object of the attacker's was accepted (server-side dry run). */
  written: string[];
  /** Every namespace that was tried. */
  namespaces: string[];
  /** How many kinds the API server has that can be written. */
  all: number;
}
interface Resource {
  group: string;
  version: string;
  name: string;
  kind: string;
  namespaced: boolean;
}

async function resources(cluster: Kubernetes): Promise<Resource[]> {
  const { groups } = await cluster.call('/apis');
  const versions = [
    'v1',
    ...groups.map((g: { preferredVersion: { groupVersion: string } }) =>
      g.preferredVersion.groupVersion
    ),
  ];
  const lists = await Promise.all(versions.map(async (groupVersion: string) => {
    const base = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
    const { resources } = await cluster.call(base);
    const [version, group = ''] = groupVersion.split('/').reverse();
    return resources.filter((r: { verbs: string[] }) =>
      r.verbs.some((verb) => ['create', 'update', 'patch', 'delete'].includes(verb))
    ).map((r: { name: string; kind: string; namespaced: boolean }) => ({ ...r, group, version }));
  }));
  return lists.flat();
}

async function mayWrite(cluster: Kubernetes, { group, name }: Resource): Promise<boolean> {
  const [resource, subresource] = name.split('/');
  const asked = await Promise.all(
    ['create', 'update', 'patch', 'delete'].map((verb) =>
      cluster.call('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        method: 'POST',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: APPLIER,
            groups: [
              'system:serviceaccounts',
              'system:serviceaccounts:flux-system',
              'system:authenticated',
            ],
            resourceAttributes: { group, resource, verb, ...(subresource ? { subresource } : {}) },
          },
        },
      })
    ),
  );
  return asked.some(({ status }) => status.allowed);
}

/** Objects as an attacker would make them: well formed, and labelled as the policies ask. */
function wellFormed(
  { group, version, kind }: Resource,
  namespace: string,
): Record<string, unknown> {
  const tenant = namespace.replace(/^tenant-/, '');
  const labels = {
    'app.kubernetes.io/managed-by': 'hackspace-provisioner',
    'hackspace.dev/tenant': tenant,
    'pod-security.kubernetes.io/enforce': 'restricted',
  };
  const name = kind === 'Namespace' ? namespace : kind === 'SecretStore' ? 'openbao' : 'tenant';
  const hard = {
    pods: '1',
    'requests.cpu': '1',
    'requests.memory': '1Gi',
    'limits.memory': '1Gi',
    'requests.storage': '1Gi',
    persistentvolumeclaims: '1',
  };
  const account = { kind: 'ServiceAccount', name: 'tenant', namespace };
  const bodies: Record<string, Record<string, unknown>> = {
    ResourceQuota: { spec: { hard } },
    LimitRange: { spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] } },
    NetworkPolicy: { spec: { podSelector: {}, policyTypes: ['Ingress'] } },
    RoleBinding: {
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'hackspace-tenant',
      },
      subjects: [account],
    },
  };
  return {
    apiVersion: group ? `${group}/${version}` : version,
    kind,
    metadata: { name, labels, ...(kind === 'Namespace' ? {} : { namespace }) },
    ...bodies[kind],
  };
}

export async function reachOf(cluster: Kubernetes): Promise<Reach> {
  const all = await resources(cluster);
  const writable: Resource[] = [];
  for (const resource of all) if (await mayWrite(cluster, resource)) writable.push(resource);
  const { items } = await cluster.call('/api/v1/namespaces');
  const namespaces: string[] = items.map((n: { metadata: { name: string } }) => n.metadata.name)
    .sort();
  const written: string[] = [];
  for (const namespace of namespaces) {
    for (const resource of writable) {
      const object = wellFormed(resource, namespace);
      // The rendered objects of a tenant are the best-formed there are.
      const from = `${base(resource, 'tenant-mallory')}/${
        (object.metadata as { name: string }).name
      }`;
      const rendered = resource.namespaced && !('spec' in object || 'roleRef' in object)
        ? (await cluster.ask(from)).json()
        : undefined;
      const { spec } = rendered ?? {};
      const body = JSON.stringify(spec ? { ...object, spec: retargeted(spec, namespace) } : object);
      const answer = await cluster.ask(
        `${base(resource, namespace)}/${(object.metadata as { name: string }).name}` +
          '?dryRun=All&force=true&fieldManager=kustomize-controller',
        {
          method: 'PATCH',
          body,
          headers: { 'content-type': 'application/apply-patch+yaml', 'impersonate-user': APPLIER },
        },
      );
      if (answer.status < 300) written.push(`${resource.kind} ${namespace}`);
    }
  }
  const kinds = writable.map((r) => `${r.group ? `${r.group}/` : ''}${r.name}`).sort();
  return { kinds, written, namespaces, all: all.length };
}

function base({ group, version, name, namespaced }: Resource, namespace: string): string {
  const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
  return namespaced ? `${root}/namespaces/${namespace}/${name}` : `${root}/${name}`;
}

const retargeted = (spec: unknown, namespace: string) =>
  JSON.parse(JSON.stringify(spec).replaceAll('tenant-mallory', namespace));
