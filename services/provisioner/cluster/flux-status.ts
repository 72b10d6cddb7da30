import { AppError } from '@hackspace/kit/errors.ts';
import { z } from 'zod';
import { namespaceOf, TENANT } from '../tenant/names.ts';
import type { Policy } from '../tenant/policy.ts';
import type { TenantRecord } from '../tenant/record.ts';
import { manifestsOf } from '../tenant/render.ts';
import type { KubeGet } from './kube.ts';
import { plainWords } from './words.ts';

export interface ClusterStep {
  key: 'fetched' | 'applied' | 'healthy';
  state: 'done' | 'pending' | 'failed' | 'unknown';
  /** RFC 3339: since when. */
  at?: string | undefined;
  /** What was seen, in plain words. */
  text: string;
  help?: string | undefined;
}

export interface QuotaLine {
  /** `limits.memory`, `pods`, … as Kubernetes names it. */
  name: string;
  used: string;
  hard: string;
  /** Used of hard, 0 to 100. */
  percent: number;
}

export interface ClusterStatus {
  steps: ClusterStep[];
  /** The commit of the member's own repository that is applied. */
  revision?: string | undefined;
  quota: QuotaLine[];
  /** What on the cluster is not what the tenants repo says, in plain words. */
  drift: string[];
}

const condition = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTransitionTime: z.string().optional(),
  observedGeneration: z.number().optional(),
});
const fluxObject = z.object({
  metadata: z.object({ generation: z.number().default(0) }),
  spec: z.record(z.string(), z.unknown()),
  status: z.object({
    observedGeneration: z.number().optional(),
    conditions: z.array(condition).default([]),
    artifact: z.object({ revision: z.string(), lastUpdateTime: z.string().optional() }).optional(),
    lastAppliedRevision: z.string().optional(),
    lastAttemptedRevision: z.string().optional(),
  }).default({ conditions: [] }),
});
type FluxObject = z.output<typeof fluxObject>;
const quotaObject = z.object({
  spec: z.object({ hard: z.record(z.string(), z.string()).default({}) }),
  status: z.object({
    hard: z.record(z.string(), z.string()).default({}),
    used: z.record(z.string(), z.string()).default({}),
  }).default({ hard: {}, used: {} }),
});

/** How far a tenant has come on the cluster: two Flux objects and a quota, read and put in words. */
export function fluxStatus(get: KubeGet, policy: Policy) {
  async function read<S extends z.ZodType>(
    schema: S,
    path: string,
  ): Promise<z.output<S> | undefined> {
    const { status, json } = await get(path);
    if (status === 404) return undefined;
    const parsed = schema.safeParse(json);
    if (status === 200 && parsed.success) return parsed.data;
    const why = status === 200 ? 'an answer of another shape' : `answer ${status}`;
    throw new AppError('unavailable', `Cannot ask the cluster: ${why}`);
  }
  const at = (name: string, group: string, kind: string) =>
    `/${group}/namespaces/${namespaceOf(name)}/${kind}/${TENANT}`;
  const source = (name: string) =>
    read(fluxObject, at(name, 'apis/source.toolkit.fluxcd.io/v1', 'gitrepositories'));
  const sync = (name: string) =>
    read(fluxObject, at(name, 'apis/kustomize.toolkit.fluxcd.io/v1', 'kustomizations'));
  const quota = (name: string) => read(quotaObject, at(name, 'api/v1', 'resourcequotas'));

  return {
    /** Throws AppError `unavailable` when the cluster does not tell. */
    async statusOf(record: TenantRecord): Promise<ClusterStatus> {
      const [repository, kustomization, limits] = await Promise.all([
        source(record.name),
        sync(record.name),
        quota(record.name),
      ]);
      const steps = [fetched(repository), ...applied(repository, kustomization)];
      return {
        steps,
        revision: kustomization?.status.lastAppliedRevision,
        quota: limits ? quotaLines(limits) : [],
        drift: driftOf(record, policy, repository, kustomization, limits),
      };
    },
    /** Whether the tenant's Kustomization, and with it what it had applied, is gone. */
    async drained(name: string): Promise<boolean> {
      return (await sync(name)) === undefined;
    },
  };
}

/**
 * The Ready condition, if it is about the spec as it is now. The condition's own generation counts:
 * that of the whole status stays behind for as long as fetching fails.
 */
function ready(object: FluxObject) {
  const found = object.status.conditions.find((c) => c.type === 'Ready');
  const seen = found?.observedGeneration ?? object.status.observedGeneration ?? -1;
  return seen < object.metadata.generation ? undefined : found;
}

function fetched(repository: FluxObject | undefined): ClusterStep {
  const key = 'fetched';
  if (!repository) {
    return { key, state: 'pending', text: 'The cluster has not seen your space yet' };
  }
  const c = ready(repository);
  const revision = repository.status.artifact?.revision;
  if (c?.status === 'True' && revision) {
    return {
      key,
      state: 'done',
      at: c.lastTransitionTime,
      text: `Your repository was read: ${revision}`,
    };
  }
  if (c?.status === 'False') {
    return { key, state: 'failed', at: c.lastTransitionTime, ...plainWords(c.reason, c.message) };
  }
  return { key, state: 'pending', text: 'Your repository is being read' };
}

function applied(repository: FluxObject | undefined, sync: FluxObject | undefined): ClusterStep[] {
  const waiting = (text: string): ClusterStep[] => [
    { key: 'applied', state: 'pending', text },
    { key: 'healthy', state: 'pending', text: 'Waits for the step before' },
  ];
  if (!sync) return waiting('The cluster has not seen your space yet');
  const c = ready(sync);
  const { lastAppliedRevision, lastAttemptedRevision } = sync.status;
  const at = c?.lastTransitionTime;
  const health = sync.status.conditions.find((x) => x.type === 'Healthy');
  if (c?.status === 'True') {
    const current = repository?.status.artifact?.revision;
    const behind = current !== undefined && current !== lastAppliedRevision;
    const done: ClusterStep = behind
      ? { key: 'applied', state: 'pending', at, text: 'A newer commit is being applied' }
      : {
        key: 'applied',
        state: 'done',
        at,
        text: `Applied: ${lastAppliedRevision ?? 'nothing yet'}`,
      };
    const text = sync.spec.wait === true
      ? 'Everything runs'
      : 'Applied; nobody waits for health here';
    return [done, { key: 'healthy', state: 'done', at: health?.lastTransitionTime ?? at, text }];
  }
  if (c?.status === 'False') {
    const words = plainWords(c.reason, c.message);
    if (c.reason === 'HealthCheckFailed' || health?.status === 'False') {
      return [
        {
          key: 'applied',
          state: 'done',
          at,
          text: `Applied: ${lastAttemptedRevision ?? ''}`.trim(),
        },
        { key: 'healthy', state: 'failed', at, ...words },
      ];
    }
    // The same reason stands for "no source yet" and for "the path is not in the source".
    const fetchedIt = repository !== undefined && ready(repository)?.status === 'True';
    if (!fetchedIt && (c.reason === 'ArtifactFailed' || c.reason === 'DependencyNotReady')) {
      return waiting('Waits for your repository');
    }
    return [
      { key: 'applied', state: 'failed', at, ...words },
      { key: 'healthy', state: 'unknown', text: 'Not looked at while nothing is applied' },
    ];
  }
  return waiting('Your files are being applied');
}

function quotaLines(quota: z.output<typeof quotaObject>): QuotaLine[] {
  return Object.entries(quota.status.hard)
    // Zeros are things a plan does not have; they would be noise.
    .filter(([name, hard]) => quantity(hard) > 0 || name === 'pods')
    .map(([name, hard]) => {
      const used = quota.status.used[name] ?? '0';
      const of = quantity(hard);
      const percent = of > 0 ? Math.min(100, Math.round((100 * quantity(used)) / of)) : 0;
      return { name, used, hard, percent };
    })
    .sort((a, b) => b.percent - a.percent || (a.name < b.name ? -1 : 1));
}

const SUFFIX: Record<string, number> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity as a number; NaN for what is none. */
export function quantity(text: string): number {
  const match = /^([0-9.]+)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text);
  return match ? Number(match[1]) * (match[2] ? SUFFIX[match[2]]! : 1) : NaN;
}

function driftOf(
  record: TenantRecord,
  policy: Policy,
  repository: FluxObject | undefined,
  sync: FluxObject | undefined,
  limits: z.output<typeof quotaObject> | undefined,
): string[] {
  const drift: string[] = [];
  const wanted = manifestsOf(record, policy);
  const compare = (what: string, file: string, have: Record<string, unknown> | undefined) => {
    const spec = wanted.get(file)?.spec as Record<string, unknown> | undefined;
    if (!spec || !have) return;
    for (const [key, value] of Object.entries(spec)) {
      if (!contains(have[key], value)) drift.push(`${what}: ${key} is not what was committed`);
    }
    if (have.suspend === true) drift.push(`${what}: an administrator has paused it`);
  };
  compare('the source', 'gitrepository.yaml', repository?.spec);
  compare('the sync', 'sync.yaml', sync?.spec);
  const hard = (wanted.get('resourcequota.yaml')?.spec as { hard: Record<string, string> }).hard;
  for (const [name, value] of Object.entries(hard)) {
    if (limits && quantity(limits.spec.hard[name] ?? '') !== quantity(value)) {
      drift.push(`the quota: ${name} is not what was committed`);
    }
  }
  return drift;
}

/** Whether everything wanted is there; the API server may have added defaults. */
function contains(have: unknown, want: unknown): boolean {
  if (Array.isArray(want)) {
    return Array.isArray(have) && have.length === want.length &&
      want.every((item, i) => contains(have[i], item));
  }
  if (typeof want === 'object' && want !== null) {
    return typeof have === 'object' && have !== null &&
      Object.entries(want).every(([key, value]) =>
        contains((have as Record<string, unknown>)[key], value)
      );
  }
  // Flux's durations come back as Go writes them: 600s as 10m0s.
  if (typeof want === 'string' && /^\d+s$/.test(want) && typeof have === 'string') {
    return goSeconds(have) === Number.parseInt(want, 10);
  }
  return have === want;
}

function goSeconds(text: string): number {
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(h|m|s)/g)) {
    seconds += Number(amount) * { h: 3600, m: 60, s: 1 }[unit as 'h' | 'm' | 's'];
  }
  return seconds;
}
