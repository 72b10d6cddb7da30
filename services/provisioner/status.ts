import type { ClusterStatus } from './cluster/flux-status.ts';
import type { Service } from './service.ts';
import type { Answer } from './tenant/lifecycle.ts';
import type { TenantRecord } from './tenant/record.ts';
import type { Actor } from './tenants.ts';

export interface StatusStep {
  key: 'membership' | 'committed' | 'fetched' | 'applied' | 'healthy';
  state: 'done' | 'pending' | 'failed' | 'unknown';
  at?: string;
  text: string;
  help?: string;
}

export interface SpaceStatus {
  tenant: TenantRecord;
  steps: StatusStep[];
  quota: ClusterStatus['quota'];
  /** What on the cluster is not what was committed; absent when the cluster does not tell. */
  drift?: string[];
  /** When the next step of a lapsed membership comes (RFC 3339). */
  due?: string;
}

const MEMBERSHIP: Record<Answer, Omit<StatusStep, 'key'>> = {
  yes: { state: 'done', text: 'Your membership is paid' },
  no: {
    state: 'failed',
    text: 'Your membership is not paid',
    help: 'What runs goes on for its time of grace; pay and everything stays.',
  },
  unknown: {
    state: 'unknown',
    text: 'Nobody can tell now whether your membership is paid',
    help: 'Nothing is lost and nothing is stopped; it is asked again.',
  },
};

/** A tenant from membership to healthy. What cannot be asked shows as unknown, never as an error. */
export async function spaceStatus(
  ports: Pick<Service, 'tenants' | 'membership' | 'cluster' | 'sweep'>,
  actor: Actor,
  name: string,
): Promise<SpaceStatus> {
  const tenant = await ports.tenants.get(actor, name);
  const [answer, [commit], cluster, due] = await Promise.all([
    ports.membership.check(tenant.owner),
    ports.tenants.audit(actor, name, 1),
    ports.cluster?.statusOf(tenant).catch(() => undefined),
    ports.sweep.dueOf(tenant),
  ]);
  const unknown = (key: StatusStep['key']): StatusStep => ({
    key,
    state: 'unknown',
    text: ports.cluster ? 'The cluster does not tell now' : 'Nobody asks the cluster here',
  });
  const steps: StatusStep[] = [
    { key: 'membership', at: thisMinute(), ...MEMBERSHIP[answer] },
    {
      key: 'committed',
      state: 'done',
      ...(commit ? { at: commit.time } : {}),
      text: commit ? `Committed: ${commit.commit.slice(0, 12)}` : 'Committed',
    },
    ...(cluster?.steps.map((step) =>
      Object.fromEntries(
        Object.entries(step).filter(([, v]) => v !== undefined),
      ) as unknown as StatusStep
    ) ?? [unknown('fetched'), unknown('applied'), unknown('healthy')]),
  ];
  return {
    tenant,
    steps,
    quota: cluster?.quota ?? [],
    ...(cluster ? { drift: cluster.drift } : {}),
    ...(due === undefined ? {} : { due: new Date(due).toISOString() }),
  };
}

/** When the membership was asked: now, but no page changes more than once a minute for it. */
function thisMinute(): string {
  return new Date(Math.floor(Date.now() / 60_000) * 60_000).toISOString();
}
