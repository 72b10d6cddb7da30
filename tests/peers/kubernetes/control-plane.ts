/** The built control plane as plain processes: etcd, API server, controller manager. No kubelet: no pod runs. */
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../../versions.json' with { type: 'json' };
import { statusOf } from '../lib/http.ts';
import { type Child, openSandbox, type Sandbox } from '../lib/sandbox.ts';
import { createAuthority } from '../lib/tls.ts';
import { controlPlane } from './build.ts';
import { type Access, Kubernetes } from './handle.ts';

export interface ControlPlaneOptions {
  /** Default false. True: discovery and JWKS can be read without a token where RBAC lets `system:unauthenticated`. */
  anonymous?: boolean;
  /** `iss` of ServiceAccount tokens; default `https://kubernetes.default.svc.cluster.local`. */
  issuer?: string;
  /** What a token without audiences is for, and what the API takes; default issuer and `k3s`. */
  audiences?: string[];
  /** Default true. False: API server only, ready sooner; no default ServiceAccounts, nothing reconciled. */
  controllers?: boolean;
  apiServerArgs?: string[];
  controllerArgs?: string[];
}

export const defaultIssuer = 'https://kubernetes.default.svc.cluster.local';

/** A cluster whose parts can be stopped and whose token key can be changed. */
export class ControlPlane extends Kubernetes {
  readonly apiServer: Child;
  readonly controllers: Child | undefined;
  readonly issuer: string;
  readonly #sandbox: Sandbox;

  constructor(
    sandbox: Sandbox,
    kubeconfig: string,
    access: Access,
    issuer: string,
    parts: { apiServer: Child; controllers: Child | undefined },
  ) {
    const version = versions.tools.kubernetes;
    const what =
      `Kubernetes v${version} control plane built from source: not k3s, no kubelet, no pod runs`;
    super('built', what, kubeconfig, access, () => sandbox.end());
    this.#sandbox = sandbox;
    this.issuer = issuer;
    this.apiServer = parts.apiServer;
    this.controllers = parts.controllers;
  }

  /** PEM of the key that signs ServiceAccount tokens: whoever holds it can sign what this cluster would. */
  tokenKey(): string {
    return readFileSync(join(this.#sandbox.folder, 'pki', 'sa.key'), 'utf8');
  }

  /** As after a rebuilt cluster: a new signing key, so that every token signed before is refused. */
  async rotateTokenKey(): Promise<void> {
    writeTokenKey(join(this.#sandbox.folder, 'pki'));
    for (const part of [this.controllers, this.apiServer]) await part?.stop('SIGKILL');
    await this.apiServer.start();
    await this.controllers?.start();
  }
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const folder = controlPlane.folder();
  if (!folder) throw new Error('Cannot start Kubernetes: not built; npm run peers -- kubernetes');
  const program = (name: string) => join(folder, 'bin', name);
  const sandbox = await openSandbox('kubernetes');
  try {
    const pki = join(sandbox.folder, 'pki');
    const authority = await createAuthority(pki, 'kubernetes test CA');
    const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
    const names = ['localhost', ...service, 'kubernetes.default.svc.cluster.local'];
    const [, admin, manager] = await Promise.all([
      authority.issue('server', {
        subject: '/CN=kube-apiserver',
        sans: [...names.map((n) => `DNS:${n}`), 'IP:127.0.0.1', 'IP:10.43.0.1'],
      }),
      authority.issue('admin', { subject: '/O=system:masters/CN=system:admin', client: true }),
      authority.issue('manager', { subject: '/CN=system:kube-controller-manager', client: true }),
    ]);
    writeTokenKey(pki);
    const [port, etcdPort, peerPort] = [
      await sandbox.port(),
      await sandbox.port(),
      await sandbox.port(),
    ];
    const server = `https://127.0.0.1:${port}`;
    const access: Access = { server, ca: authority.cert, cert: admin.cert, key: admin.key };
    const kubeconfig = writeKubeconfig(sandbox, 'admin', access);
    const managerConfig = writeKubeconfig(sandbox, 'manager', { ...access, ...manager });

    await startEtcd(sandbox, program('etcd'), etcdPort, peerPort);
    const issuer = options.issuer ?? defaultIssuer;
    const apiServer = await sandbox.spawn(
      'kube-apiserver',
      program('kube-apiserver'),
      apiServerArgs({ port, etcdPort, pki, issuer, options }),
      { ready: () => statusOf(`${server}/readyz`, access).then((s) => s === 200) },
    );
    // Ready says nothing of the controllers; they work once the first account is there.
    const account = `${server}/api/v1/namespaces/default/serviceaccounts/default`;
    const controllers = options.controllers === false ? undefined : await sandbox.spawn(
      'kube-controller-manager',
      program('kube-controller-manager'),
      controllerArgs({ sandbox, pki, kubeconfig: managerConfig, options }),
      { ready: () => statusOf(account, access).then((s) => s === 200) },
    );
    return new ControlPlane(sandbox, kubeconfig, access, issuer, { apiServer, controllers });
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

function startEtcd(sandbox: Sandbox, program: string, port: number, peerPort: number) {
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
  return sandbox.spawn('etcd', program, [
    ...['--name', 'default', '--data-dir', join(sandbox.folder, 'etcd'), '--log-level', 'warn'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `default=${peer}`],
    '--unsafe-no-fsync', // data live as long as the test
  ]);
}

function apiServerArgs({ port, etcdPort, pki, issuer, options }: {
  port: number;
  etcdPort: number;
  pki: string;
  issuer: string;
  options: ControlPlaneOptions;
}): string[] {
  const file = (name: string) => join(pki, name);
  return [
    ...['--bind-address', '127.0.0.1', '--secure-port', String(port)],
    ...['--advertise-address', '127.0.0.1', '--endpoint-reconciler-type', 'none'],
    ...['--etcd-servers', `http://127.0.0.1:${etcdPort}`],
    ...['--tls-cert-file', file('server.crt'), '--tls-private-key-file', file('server.key')],
    ...['--client-ca-file', file('ca.crt'), `--anonymous-auth=${options.anonymous ?? false}`],
    ...['--service-account-issuer', issuer],
    ...['--api-audiences', (options.audiences ?? [issuer, 'k3s']).join(',')],
    ...['--service-account-key-file', file('sa.pub')],
    ...['--service-account-signing-key-file', file('sa.key')],
    ...['--service-cluster-ip-range', '10.43.0.0/16', '--allow-privileged'],
    ...['--authorization-mode', 'Node,RBAC', '--enable-admission-plugins', 'NodeRestriction'],
    ...options.apiServerArgs ?? [],
  ];
}

function controllerArgs({ sandbox, pki, kubeconfig, options }: {
  sandbox: Sandbox;
  pki: string;
  kubeconfig: string;
  options: ControlPlaneOptions;
}): string[] {
  const file = (name: string) => join(pki, name);
  return [
    ...['--kubeconfig', kubeconfig, '--secure-port', '0', '--leader-elect=false'],
    // The default of 20 requests a second doubles the start.
    ...['--kube-api-qps', '500', '--kube-api-burst', '1000', '--use-service-account-credentials'],
    ...['--service-account-private-key-file', file('sa.key'), '--root-ca-file', file('ca.crt')],
    ...[
      '--cluster-signing-cert-file',
      file('ca.crt'),
      '--cluster-signing-key-file',
      file('ca.key'),
    ],
    ...['--flex-volume-plugin-dir', join(sandbox.folder, 'flex')],
    ...options.controllerArgs ?? [],
  ];
}

/** RSA, so that tokens are RS256. */
function writeTokenKey(pki: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  mkdirSync(pki, { recursive: true });
  const secret = privateKey.export({ type: 'pkcs1', format: 'pem' });
  writeFileSync(join(pki, 'sa.key'), secret, { mode: 0o600 });
  writeFileSync(join(pki, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

function writeKubeconfig(sandbox: Sandbox, name: string, access: Access): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const user = {
    'client-certificate-data': base64(access.cert!),
    'client-key-data': base64(access.key!),
  };
  const cluster = { server: access.server, 'certificate-authority-data': base64(access.ca) };
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'default', cluster }],
    users: [{ name: 'default', user }],
    contexts: [{ name: 'default', context: { cluster: 'default', user: 'default' } }],
    'current-context': 'default',
  };
  const path = join(sandbox.folder, `${name}.kubeconfig`);
  writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
  return path;
}
