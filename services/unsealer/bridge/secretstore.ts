/** Reads an External Secrets (Cluster)SecretStore as it is meant to use a bridge. Pure. */
import { z } from 'zod';
import type { BridgeConfig } from './config.ts';
import { failed, type Finding, other, well } from './findings.ts';

const REF = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  audiences: z.array(z.string()).optional(),
});
const STORE = z.object({
  kind: z.enum(['SecretStore', 'ClusterSecretStore']),
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    provider: z.object({
      vault: z.object({
        server: z.string(),
        auth: z.object({
          jwt: z.object({
            path: z.string().default('jwt'),
            role: z.string().optional(),
            kubernetesServiceAccountToken: z.object({
              serviceAccountRef: REF,
              audiences: z.array(z.string()).optional(),
            }).optional(),
          }).optional(),
          kubernetes: z.object({
            mountPath: z.string().default('kubernetes'),
            role: z.string(),
            serviceAccountRef: REF.optional(),
          }).optional(),
        }),
      }),
    }),
  }),
});

/** `document`: the manifest, parsed. Untrusted input. */
export function examineStore(id: string, bridge: BridgeConfig, document: unknown): Finding[] {
  const parsed = STORE.safeParse(document);
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => issue.path.join('.')).slice(0, 5).join(', ');
    const text = `not a (Cluster)SecretStore of provider vault: ${where}`;
    return [
      other(id, 'not-a-secretstore', text, 'kubectl explain secretstore.spec.provider.vault'),
    ];
  }
  const { kind, metadata, spec } = parsed.data;
  const { jwt, kubernetes } = spec.provider.vault.auth;
  const findings: Finding[] = [];
  const name = `${kind} ${metadata.name}`;
  const add = (failure: Parameters<typeof failed>[1], text: string, mend: string) =>
    void findings.push(failed(id, failure, `${name}: ${text}`, mend));

  const wanted = jwt ? bridge.jwt : bridge.kubernetes;
  const ref = jwt?.kubernetesServiceAccountToken?.serviceAccountRef ??
    kubernetes?.serviceAccountRef;
  const at = jwt ? 'auth.jwt.kubernetesServiceAccountToken' : 'auth.kubernetes';
  if (!wanted || (!jwt && !kubernetes)) {
    const text = `${name} uses an auth method that the bridge does not have`;
    return [other(id, 'other-auth-method', text, 'Use auth.jwt or auth.kubernetes')];
  }
  const path = (jwt ? jwt.path : kubernetes!.mountPath).replace(/^auth\//, '');
  const role = jwt ? jwt.role : kubernetes!.role;
  if (path !== wanted.mount) {
    add(10, `logs in at ${path}, the bridge is ${wanted.mount}`, `path: ${wanted.mount}`);
  }
  if (role !== wanted.role) {
    add(10, `asks for role ${role ?? '(none)'}, not ${wanted.role}`, `role: ${wanted.role}`);
  }
  if (kind === 'ClusterSecretStore' && ref && !ref.namespace) {
    const text = 'serviceAccountRef has no namespace: a ClusterSecretStore needs one';
    add(14, text, `${at}.serviceAccountRef.namespace: ${bridge.client.namespace}`);
  }
  if (ref && ref.name !== bridge.client.name) {
    add(
      10,
      `logs in as ${ref.name}, the bridge binds ${bridge.client.name}`,
      `name: ${bridge.client.name}`,
    );
  }
  const asked = [...ref?.audiences ?? [], ...jwt?.kubernetesServiceAccountToken?.audiences ?? []];
  if (!asked.includes(wanted.audience)) {
    const said = asked.length ? asked.join(', ') : 'none, so vault is asked for';
    add(6, `audiences: ${said}`, `${at}.serviceAccountRef.audiences: [${wanted.audience}]`);
  }
  return findings.length ? findings : [well(id, 'secretstore', `${name} fits the bridge`)];
}
