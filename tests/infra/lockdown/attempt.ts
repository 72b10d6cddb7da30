/** Trying an escape on a real API server, and telling a refusal from an accident. */
import type { Kubernetes } from '../../peers/kubernetes.ts';
import { ATTACKER, type Escape, type Manifest } from './escapes.ts';

export const APPLIER = 'system:serviceaccount:flux-system:tenants';
export const TENANT = `system:serviceaccount:tenant-${ATTACKER}:tenant`;
/** `forged`: the identity that applies the tenants repository. `own`: the tenant's own. */
export const lanes = { forged: APPLIER, own: TENANT };
export type Lane = keyof typeof lanes;

export interface Attempt {
  escape: Escape;
  lane: Lane;
  verb: 'apply' | 'delete';
  object: Manifest;
}
export interface Outcome {
  attempt: Attempt;
  refused: boolean;
  /** `rbac`, `admission` (a policy of ours), `pod-security`, `schema`; undefined when not refused. */
  by?: 'rbac' | 'admission' | 'pod-security' | 'schema';
  message: string;
}

export function attempts(escapes: Escape[]): Attempt[] {
  return escapes.flatMap((escape) =>
    (['forged', 'own'] as const).flatMap((lane) => [
      ...escape.objects.map((object) => ({ escape, lane, verb: 'apply' as const, object })),
      ...(escape.deletes ?? []).map((object) => ({
        escape,
        lane,
        verb: 'delete' as const,
        object,
      })),
    ])
  );
}

/** A member's own manifests do not carry the provisioner's label: another rule refuses that alone. */
export function asWritten(object: Manifest, lane: Lane): Manifest {
  if (lane === 'forged' || object.kind === 'Namespace') return object;
  const { labels: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** One server-side dry run as the lane's identity: what Flux does before it applies anything. */
export async function tryIt(cluster: Kubernetes, attempt: Attempt): Promise<Outcome> {
  const object = asWritten(attempt.object, attempt.lane);
  const impersonate = { 'impersonate-user': lanes[attempt.lane] };
  const path = await pathOf(cluster, object);
  const answer = attempt.verb === 'delete'
    ? await cluster.ask(`${path}?dryRun=All`, { method: 'DELETE', headers: impersonate })
    : await cluster.ask(`${path}?dryRun=All&force=true&fieldManager=kustomize-controller`, {
      method: 'PATCH',
      headers: { ...impersonate, 'content-type': 'application/apply-patch+yaml' },
      body: JSON.stringify(object),
    });
  const status = answer.json();
  const message = status.kind === 'Status' ? status.message ?? '' : `accepted: ${object.kind}`;
  const by = answer.status < 300 ? undefined : refusedBy(message);
  return { attempt, refused: by !== undefined, ...(by ? { by } : {}), message };
}

const known = new WeakMap<Kubernetes, Map<string, Promise<string>>>();

/** The REST path of an object, by the server's own list of resources. */
export async function pathOf(cluster: Kubernetes, { apiVersion, kind, metadata }: Manifest) {
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plurals = known.get(cluster) ?? known.set(cluster, new Map()).get(cluster)!;
  const key = `${apiVersion} ${kind}`;
  if (!plurals.has(key)) {
    plurals.set(
      key,
      cluster.call(base).then(({ resources }: { resources: { kind: string; name: string }[] }) =>
        resources.find((each) => each.kind === kind && !each.name.includes('/'))!.name
      ),
    );
  }
  const within = metadata.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${base}${within}/${await plurals.get(key)}/${metadata.name}`;
}

/** Who refused, by the server's words; undefined for anything that is not a judgement of the request. */
export function refusedBy(message: string): Outcome['by'] {
  // A policy whose expression failed refuses everything: that proves nothing and is a fault of ours.
  if (/resulted in error/.test(message)) return undefined;
  if (/ValidatingAdmissionPolicy 'hackspace-[a-z-]+' .*denied request: /.test(message)) {
    return 'admission';
  }
  if (/violates PodSecurity/.test(message)) return 'pod-security';
  if (
    /cannot [a-z]+ resource|attempting to grant RBAC permissions not currently held/.test(message)
  ) {
    return 'rbac';
  }
  if (/ is invalid:/.test(message)) return 'schema';
  return undefined;
}

/** The server's sentence without its preamble. */
export function reason(message: string): string {
  const text = message.replace(/\s+/g, ' ');
  return /denied request: (.*)$/.exec(text)?.[1] ?? /(violates PodSecurity .*)$/.exec(text)?.[1] ??
    /(cannot [a-z]+ resource.*)$/.exec(text)?.[1] ??
    /(attempting to grant RBAC permissions not currently held)/.exec(text)?.[1] ??
    /is invalid: (.*)$/.exec(text)?.[1] ?? text;
}
