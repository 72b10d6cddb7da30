// What a member's repository may hold: the lock must not cost a member anything it was meant to have.
import type { Manifest } from './escapes.ts';

const meta = (name: string) => ({ name, namespace: 'tenant-mallory' });
const pod = {
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [{
    name: 'web',
    image: 'registry.hackspace.example/web:1',
    resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '32Mi' } },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  }],
};

export const members: Record<string, Manifest> = {
  'a Deployment': {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta('web'),
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: pod },
    },
  },
  'a Pod': { apiVersion: 'v1', kind: 'Pod', metadata: meta('once'), spec: pod },
  'a Service': {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta('web'),
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  },
  'a route under its own name': {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: meta('web'),
    spec: {
      parentRefs: [{ name: 'members', namespace: 'traefik' }],
      hostnames: ['mallory.members.hackspace.example', 'www.mallory.members.hackspace.example'],
      rules: [{ backendRefs: [{ name: 'web', port: 80 }] }],
    },
  },
  'an ExternalSecret below its own path': {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: meta('calendar'),
    spec: {
      refreshInterval: '15m',
      secretStoreRef: { name: 'openbao', kind: 'SecretStore' },
      target: { name: 'calendar' },
      data: [{
        secretKey: 'token',
        remoteRef: { key: 'tenants/tenant-mallory/calendar', property: 'token' },
      }],
    },
  },
  'a claim of the members’ storage': {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: meta('data'),
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'ceph-block',
      resources: { requests: { storage: '1Gi' } },
    },
  },
  'a NetworkPolicy among its own pods': {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: meta('own'),
    spec: {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [{ podSelector: {} }] }],
    },
  },
  'an opaque Secret': {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: meta('plain'),
    type: 'Opaque',
    stringData: { note: 'not a token' },
  },
};
