import { namespaceOf } from '../tenant/names.ts';
import { toYaml } from '../tenant/yaml.ts';

export interface KubeconfigOptions {
  /** The API server as members reach it. */
  server: string;
  /** Its CA as PEM; public. */
  ca: string;
  /** The name of the cluster in the member's contexts. */
  cluster: string;
  issuer: string;
  /** A public client: members have no secret. */
  clientId: string;
}

/** A kubeconfig that logs in through the browser with kubelogin. Holds no secret: may be shared. */
export function kubeconfig(name: string, options: KubeconfigOptions): string {
  const context = `${options.cluster}-${name}`;
  return toYaml({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{
      name: options.cluster,
      cluster: {
        server: options.server,
        'certificate-authority-data': Buffer.from(options.ca).toString('base64'),
      },
    }],
    users: [{
      name: context,
      user: {
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: 'kubectl',
          args: [
            'oidc-login',
            'get-token',
            `--oidc-issuer-url=${options.issuer}`,
            `--oidc-client-id=${options.clientId}`,
            '--oidc-pkce-method=S256',
          ],
          installHint: 'kubectl krew install oidc-login (github.com/int128/kubelogin)',
          interactiveMode: 'IfAvailable',
          provideClusterInfo: false,
        },
      },
    }],
    contexts: [{
      name: context,
      context: { cluster: options.cluster, user: context, namespace: namespaceOf(name) },
    }],
    'current-context': context,
  });
}
