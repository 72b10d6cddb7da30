import type { Policy } from './policy.ts';
import { stamp, type TenantRecord, type TenantState } from './record.ts';

/** What the membership says of a tenant's owner. `unknown` decides nothing, ever. */
export type Answer = 'yes' | 'no' | 'unknown';

/** What earlier sweeps saw of a tenant; lost history only makes the next step come later. */
export interface History {
  /** Definite "no"s in a row since the tenant came into its state. */
  noes: number;
  /** When its owner was told of the state it is in (epoch ms); undefined: not yet. */
  told?: number | undefined;
  /** The archive for an export is made. */
  exported?: boolean | undefined;
  /** The cluster says that nothing of the tenant's own is left. */
  drained?: boolean | undefined;
}

/** One step of a tenant's life: a commit. `lapse` steps count against the circuit breaker. */
export interface Step {
  to: TenantState;
  kind: 'lapse' | 'restore' | 'finish';
  why: string;
}

export type Lifecycle = Policy['lifecycle'];

/**
 * The next step of a tenant, if it is due. At most one at a time, so that a jump of the clock moves
 * nobody from active to deleted; each state asks for its own run of "no"s and for its own notice.
 */
export function nextStep(
  record: TenantRecord,
  answer: Answer,
  history: History,
  rules: Lifecycle,
  now: number,
): Step | undefined {
  const { state } = record;
  if (state === 'deleted') return undefined;
  if (state === 'draining') {
    if (answer === 'yes' && record.reason === 'lapsed') return restored();
    if (history.drained || overdue(record, rules.drain, now)) {
      const why = history.drained ? 'nothing of it runs any more' : 'draining took too long';
      return { to: 'deleted', kind: 'finish', why };
    }
    return undefined;
  }
  if (answer === 'yes') return state === 'active' ? undefined : restored();
  if (answer !== 'no' || history.noes < rules.answers) return undefined;
  if (state === 'active') {
    return { to: 'grace', kind: 'lapse', why: 'the membership is not paid' };
  }
  // Nobody loses anything without having been told, and then had the whole time.
  const told = history.told;
  if (told === undefined) return undefined;
  const due = dueOf(record, rules, told)!;
  if (now < due) return undefined;
  if (state === 'grace') {
    return { to: 'suspended', kind: 'lapse', why: 'the time of grace is over' };
  }
  if (state === 'suspended') {
    if (!history.exported) return undefined;
    return { to: 'exported', kind: 'lapse', why: 'it was suspended for long; an archive is kept' };
  }
  return { to: 'draining', kind: 'lapse', why: 'the archive was not asked for in time' };
}

function restored(): Step {
  return { to: 'active', kind: 'restore', why: 'the membership is paid again' };
}

/** When a tenant's next step is due (epoch ms) if nothing changes; undefined when none will come. */
export function dueOf(record: TenantRecord, rules: Lifecycle, told?: number): number | undefined {
  const wait = { grace: rules.grace, suspended: rules.suspended, exported: rules.exported };
  if (!(record.state in wait)) return undefined;
  return Math.max(Date.parse(record.since), told ?? 0) + wait[record.state as keyof typeof wait];
}

function overdue(record: TenantRecord, wait: number, now: number): boolean {
  return now >= Date.parse(record.since) + wait;
}

/** The record after a step. */
export function advance(record: TenantRecord, step: Step, now: number): TenantRecord {
  const reason = step.kind === 'restore' ? null : record.reason ?? 'lapsed';
  return { ...record, state: step.to, reason, since: stamp(now) };
}
