import { AppError } from '@hackspace/kit/errors.ts';
import {
  LABEL_MANAGED,
  LABEL_STATE,
  LABEL_TENANT,
  MANAGER,
  namespaceOf,
  STORE,
  TENANT,
  TENANT_ROLE,
} from './names.ts';
import type { Plan, Policy } from './policy.ts';
import { recordBytes, recordPath, type TenantRecord } from './record.ts';
import { toYaml, type Value } from './yaml.ts';

type Manifest = { [key: string]: Value };

/** Whether a tenant's workloads stand still: by its member's wish or for want of membership. */
export function isStopped(record: TenantRecord): boolean {
  return record.suspend || record.state === 'suspended' || record.state === 'exported' ||
    record.state === 'draining';
}

/**
 * Every file of a tenant in the tenants repo: the record, its manifests and their index, by path,
 * sorted. Same record and policy, same bytes. `deleted` leaves the record alone (a tombstone);
 * `draining` leaves out the Kustomization, so that Flux prunes with the rights still there.
 * Throws AppError `invalid` when the policy no longer knows the tenant's plan.
 */
export function render(record: TenantRecord, policy: Policy): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const folder = `tenants/${record.name}`;
  if (record.state !== 'deleted') {
    const manifests = manifestsOf(record, policy);
    const names = [...manifests.keys()].sort();
    manifests.set('kustomization.yaml', {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: names,
    });
    const encoder = new TextEncoder();
    for (const file of [...manifests.keys()].sort()) {
      files.set(`${folder}/${file}`, encoder.encode(toYaml(manifests.get(file)!)));
    }
  }
  files.set(recordPath(record.name), recordBytes(record));
  return files;
}

/** The manifests of a tenant by file name: what `render` writes, as objects. */
export function manifestsOf(record: TenantRecord, policy: Policy): Map<string, Manifest> {
  const plan = Object.hasOwn(policy.plans, record.plan) ? policy.plans[record.plan] : undefined;
  if (!plan) {
    throw new AppError(
      'invalid',
      `Cannot render tenant ${record.name}: plan ${record.plan} is not in the policy`,
    );
  }
  const stopped = isStopped(record);
  const object = (apiVersion: string, kind: string, name: string, rest: Manifest): Manifest => ({
    apiVersion,
    kind,
    metadata: {
      name,
      namespace: namespaceOf(record.name),
      labels: labels(record),
      annotations: {
        // A parent with postBuild must never expand anything in here.
        'kustomize.toolkit.fluxcd.io/substitute': 'disabled',
        // Guards and rights go with the namespace, last: not with a file that left the repository.
        ...(SYNCED.includes(kind) ? {} : { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' }),
      },
    },
    ...rest,
  });
  const manifests = new Map<string, Manifest>([
    ['namespace.yaml', namespace(record)],
    [
      'resourcequota.yaml',
      object('v1', 'ResourceQuota', TENANT, { spec: { hard: hard(plan, stopped) } }),
    ],
    ['limitrange.yaml', object('v1', 'LimitRange', TENANT, { spec: { limits: limits(plan) } })],
    [
      'networkpolicy-deny.yaml',
      object('networking.k8s.io/v1', 'NetworkPolicy', 'default-deny', {
        spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
      }),
    ],
    [
      'networkpolicy-allow.yaml',
      object('networking.k8s.io/v1', 'NetworkPolicy', TENANT, {
        spec: allowed(policy),
      }),
    ],
    [
      'serviceaccount.yaml',
      object('v1', 'ServiceAccount', TENANT, {
        automountServiceAccountToken: false,
      }),
    ],
    [
      'rolebinding.yaml',
      object('rbac.authorization.k8s.io/v1', 'RoleBinding', TENANT, {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: TENANT_ROLE },
        subjects: subjects(record, policy),
      }),
    ],
    [
      'gitrepository.yaml',
      object('source.toolkit.fluxcd.io/v1', 'GitRepository', TENANT, {
        spec: gitRepository(record, policy),
      }),
    ],
  ]);
  if (record.state !== 'draining') {
    manifests.set(
      'sync.yaml',
      object('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', TENANT, {
        spec: sync(record, policy, stopped),
      }),
    );
  }
  if (policy.vault) {
    manifests.set(
      'secretstore.yaml',
      object('external-secrets.io/v1', 'SecretStore', STORE, {
        spec: secretStore(policy.vault),
      }),
    );
  }
  return manifests;
}

/** What Flux may prune when its file is gone; all else stays as long as the namespace. */
const SYNCED = ['GitRepository', 'Kustomization', 'SecretStore'];

function labels(record: TenantRecord): Manifest {
  return { [LABEL_MANAGED]: MANAGER, [LABEL_TENANT]: record.name };
}

function namespace(record: TenantRecord): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: namespaceOf(record.name),
      labels: {
        ...labels(record),
        [LABEL_STATE]: record.state,
        'pod-security.kubernetes.io/enforce': 'restricted',
        'pod-security.kubernetes.io/enforce-version': 'latest',
      },
      annotations: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' },
    },
  };
}

function hard(plan: Plan, stopped: boolean): Manifest {
  return {
    'requests.cpu': plan.requestsCpu,
    'requests.memory': plan.requestsMemory,
    'limits.cpu': plan.limitsCpu,
    'limits.memory': plan.limitsMemory,
    'requests.storage': plan.storage,
    pods: stopped ? '0' : String(plan.pods),
    services: String(plan.services),
    'services.nodeports': '0',
    'services.loadbalancers': '0',
    persistentvolumeclaims: String(plan.volumes),
    secrets: String(plan.secrets),
    // kube-root-ca.crt is one of them
    configmaps: String(plan.configMaps + 1),
    // One source and one Kustomization, ours: another would run what a suspension cannot reach.
    'count/gitrepositories.source.toolkit.fluxcd.io': '1',
    'count/kustomizations.kustomize.toolkit.fluxcd.io': '1',
    'count/helmreleases.helm.toolkit.fluxcd.io': '0',
    'count/helmrepositories.source.toolkit.fluxcd.io': '0',
    'count/helmcharts.source.toolkit.fluxcd.io': '0',
    'count/ocirepositories.source.toolkit.fluxcd.io': '0',
    'count/buckets.source.toolkit.fluxcd.io': '0',
    'count/receivers.notification.toolkit.fluxcd.io': '0',
    'count/jobs.batch': String(plan.pods * 2),
  };
}

function limits(plan: Plan): Value[] {
  return [
    {
      type: 'Container',
      default: { cpu: plan.defaultCpu, memory: plan.defaultMemory },
      defaultRequest: { cpu: plan.defaultCpu, memory: plan.defaultMemory },
      max: { cpu: plan.limitsCpu, memory: plan.limitsMemory },
    },
    { type: 'PersistentVolumeClaim', max: { storage: plan.storage } },
  ];
}

function allowed(policy: Policy): Manifest {
  const inNamespace = (name: string): Manifest => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
  });
  const dns: Value = {
    to: [{
      ...inNamespace('kube-system'),
      podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
    }],
    ports: [{ protocol: 'UDP', port: 53 }, { protocol: 'TCP', port: 53 }],
  };
  const v4 = policy.network.closed.filter((range) => !range.includes(':'));
  const internet: Value = { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: v4 } }] };
  return {
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{
      from: [{ podSelector: {} }, ...policy.network.ingressFrom.map(inNamespace)],
    }],
    egress: [
      dns,
      { to: [{ podSelector: {} }] },
      ...(policy.network.internet ? [internet] : []),
    ],
  };
}

function subjects(record: TenantRecord, policy: Policy): Value[] {
  const account = { kind: 'ServiceAccount', name: TENANT, namespace: namespaceOf(record.name) };
  if (!policy.users) return [account];
  return [account, {
    apiGroup: 'rbac.authorization.k8s.io',
    kind: 'User',
    name: policy.users.prefix + record.owner.sub,
  }];
}

function gitRepository(record: TenantRecord, policy: Policy): Manifest {
  const { url, ref } = record.repository;
  return {
    interval: seconds(policy.flux.interval),
    timeout: '60s',
    url,
    ref: ref.startsWith('refs/') ? { name: ref } : { branch: ref },
    recurseSubmodules: false,
    // kustomize fetches remote FILES that a kustomization.yaml names even under --no-remote-bases;
    // a file that never enters the artifact names none. Flux then takes the path's plain YAML.
    ignore: 'kustomization.yaml\nkustomization.yml\nKustomization\n',
  };
}

function sync(record: TenantRecord, policy: Policy, stopped: boolean): Manifest {
  return {
    interval: seconds(policy.flux.interval),
    retryInterval: seconds(policy.flux.retryInterval),
    timeout: seconds(policy.flux.timeout),
    path: record.repository.path,
    prune: true,
    wait: policy.flux.wait && !stopped,
    targetNamespace: namespaceOf(record.name),
    serviceAccountName: TENANT,
    sourceRef: { kind: 'GitRepository', name: TENANT },
    ...(stopped ? { patches: STOP } : {}),
  };
}

/**
 * What makes a suspension real: `spec.suspend` only stops reconciling and would leave every pod
 * running. Bare pods and one-off Jobs are pruned; volumes, Secrets and ConfigMaps stay.
 */
const STOP: Value[] = [
  ...['Deployment', 'StatefulSet', 'ReplicaSet', 'ReplicationController'].map((kind) => ({
    target: { kind },
    patch: '- {op: add, path: /spec/replicas, value: 0}\n',
  })),
  { target: { kind: 'CronJob' }, patch: '- {op: add, path: /spec/suspend, value: true}\n' },
  ...['DaemonSet', 'Job', 'Pod', 'HorizontalPodAutoscaler'].map((kind) => ({
    target: { kind },
    patch: `kind: ${kind}\nmetadata: {name: any}\n$patch: delete\n`,
  })),
];

function secretStore(vault: NonNullable<Policy['vault']>): Manifest {
  return {
    provider: {
      vault: {
        server: vault.server,
        // Keys lie below tenants/<namespace>/: the role's templated policy in the vault and the
        // admission policy on ExternalSecrets hold every tenant to its own.
        path: vault.kv,
        version: 'v2',
        ...(vault.caBundle ? { caBundle: vault.caBundle } : {}),
        auth: {
          jwt: {
            path: vault.mount,
            role: vault.role,
            kubernetesServiceAccountToken: {
              serviceAccountRef: { name: TENANT, audiences: [vault.audience] },
              expirationSeconds: 600,
            },
          },
        },
      },
    },
  };
}

/** Milliseconds as Flux writes durations: whole seconds, at least one. */
function seconds(ms: number): string {
  return `${Math.max(1, Math.round(ms / 1000))}s`;
}
