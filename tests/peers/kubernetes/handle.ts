/** What a test holds of a cluster, wherever the cluster came from. */
import { Buffer } from 'node:buffer';
import { type Answer, type Ask, ask } from '../lib/http.ts';
import { runOk } from '../lib/run.ts';
import { waitFor } from '../lib/wait.ts';
import { kubectlPath } from './build.ts';

/** `given`: the cluster of KUBECONFIG. `container`: @testcontainers/k3s. `built`: the control plane from source. */
export type KubernetesSource = 'given' | 'container' | 'built';

export interface KubectlOptions {
  stdin?: string;
  /** Default 60,000 milliseconds. */
  timeoutMs?: number;
}

/** Admin credentials of a kubeconfig's current context. */
export interface Access {
  server: string;
  ca: string;
  cert?: string;
  key?: string;
  token?: string;
}

export interface Namespace extends AsyncDisposable {
  readonly name: string;
}

export class Kubernetes implements AsyncDisposable {
  readonly source: KubernetesSource;
  /** One line for people: what this cluster is, and what it is not. */
  readonly what: string;
  /** Path of the admin kubeconfig. */
  readonly kubeconfig: string;
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly access: Access;
  readonly #end: () => Promise<void>;

  constructor(
    source: KubernetesSource,
    what: string,
    kubeconfig: string,
    access: Access,
    end: () => Promise<void>,
  ) {
    this.source = source;
    this.what = what;
    this.kubeconfig = kubeconfig;
    this.server = access.server;
    this.ca = access.ca;
    this.access = access;
    this.#end = end;
  }

  /** Standard output of kubectl; a failure rejects with what it said. */
  kubectl(args: string[], options: KubectlOptions = {}): Promise<string> {
    const path = kubectlPath();
    if (!path) throw new Error('Cannot run kubectl: neither built nor on PATH');
    return runOk(path, ['--kubeconfig', this.kubeconfig, ...args], options);
  }

  /** Server-side apply of one or more YAML documents. */
  apply(yaml: string, ...args: string[]): Promise<string> {
    return this.kubectl(['apply', '--server-side', '-f', '-', ...args], { stdin: yaml });
  }

  /** A request to the API with the admin's credentials, or with `token` alone. */
  ask(path: string, { token, ...options }: Ask & { token?: string } = {}): Promise<Answer> {
    const { server, ca, cert, key, token: own } = this.access;
    const bearer = token ?? own;
    const headers = {
      ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
      ...options.headers,
    };
    const client = token === undefined && cert && key ? { cert, key } : {};
    return ask(server + path, { ca, ...client, ...options, headers });
  }

  /** `ask` that insists on 2xx and returns the parsed body. */
  // deno-lint-ignore no-explicit-any -- the shape is the server's
  async call(path: string, options: Ask & { token?: string } = {}): Promise<any> {
    const answer = await this.ask(path, options);
    if (answer.status < 200 || answer.status > 299) {
      const what = `${options.method ?? 'GET'} ${path}`;
      throw new Error(`Cannot ${what}: ${answer.status}: ${answer.text.slice(0, 500)}`);
    }
    return answer.json();
  }

  /** A token of a ServiceAccount by TokenRequest; without audiences, one for the API itself. */
  async createToken(
    namespace: string,
    serviceAccount: string,
    { audiences, seconds = 600 }: { audiences?: string[]; seconds?: number } = {},
  ): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    const spec = { expirationSeconds: seconds, ...(audiences ? { audiences } : {}) };
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
    return (await this.call(path, { method: 'POST', body })).status.token;
  }

  /** `/openid/v1/jwks`. */
  async jwks(): Promise<{ keys: Record<string, string>[] }> {
    return await this.call('/openid/v1/jwks');
  }

  /** A namespace of its own, with its default ServiceAccount there; deletion is asked for, not waited for. */
  async createNamespace(prefix: string, labels: Record<string, string> = {}): Promise<Namespace> {
    const name = `${prefix}-${Math.random().toString(36).slice(2, 8)}`;
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    await this.call('/api/v1/namespaces', { method: 'POST', body });
    const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
    await waitFor(`the default account of ${name}`, async () => {
      return (await this.ask(account)).status === 200;
    });
    return {
      name,
      [Symbol.asyncDispose]: async () => {
        await this.ask(`/api/v1/namespaces/${name}`, { method: 'DELETE' }).catch(() => {});
      },
    };
  }

  stop(): Promise<void> {
    return this.#end();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.#end();
  }
}

/** The current context of a kubeconfig, through kubectl: files it points to are read in. */
export async function readAccess(kubeconfig: string): Promise<Access> {
  const path = kubectlPath();
  if (!path) throw new Error('Cannot read a kubeconfig: kubectl is neither built nor on PATH');
  const args = ['--kubeconfig', kubeconfig, 'config', 'view', '--raw', '--flatten', '--minify'];
  const view = JSON.parse(await runOk(path, [...args, '-o', 'json']));
  const cluster = view.clusters[0].cluster;
  const user = view.users[0].user;
  const pem = (base64: string) => Buffer.from(base64, 'base64').toString('utf8');
  return {
    server: cluster.server,
    ca: pem(cluster['certificate-authority-data']),
    ...(user['client-certificate-data']
      ? { cert: pem(user['client-certificate-data']), key: pem(user['client-key-data']) }
      : {}),
    ...(user.token ? { token: user.token } : {}),
  };
}
