import { AppError, describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { State } from '@hackspace/kit/state.ts';
import type { Membership } from './membership/membership.ts';
import type { Notice, Notifier } from './notify/notify.ts';
import type { Person, Store } from './store/store.ts';
import {
  advance,
  type Answer,
  dueOf,
  type History,
  nextStep,
  type Step,
} from './tenant/lifecycle.ts';
import type { Policy } from './tenant/policy.ts';
import type { TenantRecord } from './tenant/record.ts';
import { changeOf, filesOf, readTenant, readTenants } from './tenants.ts';

const log = getLogger(['provisioner', 'sweep']);

export interface SweepOptions {
  /** How far apart sweeps are, in ms; 0: somebody else's timer runs them, once a day is taken for its pace. */
  every: number;
  /** Lapses of one sweep above both of these open the breaker. */
  breaker: { share: number; min: number };
  committer: Person;
}

export interface SweepPorts {
  store: Store;
  membership: Membership;
  policy: Policy;
  state: State;
  notifier: Notifier;
  /** Keeps an archive before a tenant may go on to `exported`; throws when it is not kept. */
  exporter(record: TenantRecord, files: Map<string, Uint8Array>): Promise<void>;
  /** Whether nothing of the tenant's own is left on the cluster; undefined: cannot tell. */
  drained?(name: string): Promise<boolean | undefined>;
  now?: () => number;
}

/** What a sweep did, or with `dryRun` would do. */
export interface SweepReport {
  /** RFC 3339. */
  at: string;
  dryRun: boolean;
  tenants: number;
  answers: Record<Answer, number>;
  steps: { name: string; from: string; to: string; why: string }[];
  told: number;
  /** Open: more tenants would lapse at once than is credible, so none does until somebody looks. */
  breaker: { open: boolean; count: number; limit: number };
  faults: string[];
}

/** What is kept of a tenant between sweeps; `since` ties it to one state of one tenant. */
interface Kept extends History {
  since: string;
  lastNo?: number | undefined;
}

const HISTORY = 'sweep/history';
const REPORT = 'sweep/report';
const LOCK = 'sweep/lock';
/** How long a sweep that was killed keeps the next one out. */
const LOCK_MS = 3600_000;
const DAY = 86_400_000;

/** Walks every tenant: asks who pays, takes the steps that are due, tells people what happened. */
export class Sweep {
  readonly #ports: SweepPorts;
  readonly #options: SweepOptions;
  #running: Promise<unknown> | undefined;

  constructor(ports: SweepPorts, options: SweepOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * `override` lets exactly that many lapses through an open breaker, and no more. Throws AppError
   * `conflict` while another sweep, of any replica, is under way.
   */
  async run(options: { dryRun?: boolean; override?: number } = {}): Promise<SweepReport> {
    if (options.dryRun) return await this.#sweep(true, 0);
    const report = await this.#alone(() => this.#sweep(false, options.override ?? 0));
    if (report) return report;
    const why = 'another sweep is under way; ask again when it has ended';
    throw new AppError('conflict', `Cannot sweep: ${why}`);
  }

  /** A sweep, unless the last one is younger than `every`: survives restarts of the service. */
  async runIfDue(): Promise<SweepReport | undefined> {
    if (!(await this.#isDue())) return undefined;
    // Another replica may have done it since that look.
    return await this.#alone(async () =>
      (await this.#isDue()) ? await this.#sweep(false, 0) : undefined
    );
  }

  async #isDue(): Promise<boolean> {
    const last = await this.lastReport();
    const age = (this.#ports.now ?? Date.now)() - Date.parse(last?.at ?? '1970-01-01T00:00:00Z');
    return age < 0 || age >= this.#options.every;
  }

  /** Two sweeps at once would tell members twice; undefined when another is under way. */
  async #alone<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { state } = this.#ports;
    if (!(await state.add(LOCK, '', LOCK_MS))) return undefined;
    const running = work().finally(() =>
      state.delete(LOCK).catch((error) =>
        log.warn('the next sweep waits for an hour', { error: describe(error) })
      )
    );
    this.#running = running;
    return await running;
  }

  /** Returns when no sweep of this process is under way. */
  async close(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  async lastReport(): Promise<SweepReport | undefined> {
    return await this.#load<SweepReport>(REPORT);
  }

  /** When the tenant's next step is due, by what its owner was told. */
  async dueOf(record: TenantRecord): Promise<number | undefined> {
    const kept = (await this.#load<Record<string, Kept>>(HISTORY))?.[record.name];
    const told = kept?.since === record.since ? kept.told : undefined;
    return dueOf(record, this.#ports.policy.lifecycle, told);
  }

  async #sweep(dryRun: boolean, override: number): Promise<SweepReport> {
    const { store, membership, policy } = this.#ports;
    const now = (this.#ports.now ?? Date.now)();
    const snapshot = await store.snapshot();
    const records = (await readTenants(snapshot)).filter((record) => record.state !== 'deleted');
    const answers = await membership.checkAll(records.map((record) => record.owner));
    const history = await this.#load<Record<string, Kept>>(HISTORY) ?? {};
    const report: SweepReport = {
      at: new Date(now).toISOString(),
      dryRun,
      tenants: records.length,
      answers: { yes: 0, no: 0, unknown: 0 },
      steps: [],
      told: 0,
      breaker: { open: false, count: 0, limit: this.#limit(records.length) },
      faults: [],
    };
    const next: Record<string, Kept> = {};
    const due: { record: TenantRecord; step: Step; kept: Kept }[] = [];
    for (const [i, record] of records.entries()) {
      const answer = answers[i]!;
      report.answers[answer]++;
      const kept = this.#observe(history[record.name], record, answer, now);
      next[record.name] = kept;
      try {
        if (!dryRun) await this.#prepare(record, answer, kept, now);
      } catch (error) {
        report.faults.push(`${record.name}: ${describe(error)}`);
      }
      const step = nextStep(record, answer, kept, policy.lifecycle, now);
      if (step) due.push({ record, step, kept });
    }
    const lapses = due.filter(({ step }) => step.kind === 'lapse').length;
    report.breaker.count = lapses;
    report.breaker.open = lapses > report.breaker.limit && lapses > override;
    if (report.breaker.open) {
      log.error('breaker open: too many would lapse at once', report.breaker);
    }
    for (const { record, step, kept } of due) {
      if (report.breaker.open && step.kind === 'lapse') continue;
      const told = { name: record.name, from: record.state, to: step.to, why: step.why };
      if (dryRun) {
        report.steps.push(told);
        continue;
      }
      try {
        const after = await this.#commit(record, step, now);
        if (!after) continue;
        report.steps.push(told);
        log.info('tenant stepped', told);
        if (after.state === 'deleted') delete next[record.name];
        else next[record.name] = { since: after.since, noes: 0 };
        if (after.state === 'deleted') await this.#tell(after, kept, now).catch(() => {});
      } catch (error) {
        report.faults.push(`${record.name}: ${describe(error)}`);
      }
    }
    if (dryRun) return report;
    report.told = await this.#tellAll(next, now, report);
    if (report.breaker.open) await this.#alert(report);
    if (JSON.stringify(next) !== JSON.stringify(history)) await this.#save(HISTORY, next);
    await this.#save(REPORT, report);
    for (const fault of report.faults) log.warn('sweep fault', { fault });
    return report;
  }

  #limit(tenants: number): number {
    const { share, min } = this.#options.breaker;
    return Math.max(min, Math.ceil(tenants * share));
  }

  /**
   * Counts "no"s. Two sweeps close together count once, and after a pause (a service that was down,
   * a clock that jumped) the count starts again: so a jump alone takes nobody a step further.
   */
  #observe(old: Kept | undefined, record: TenantRecord, answer: Answer, now: number): Kept {
    const kept: Kept = old?.since === record.since ? { ...old } : { since: record.since, noes: 0 };
    if (answer === 'yes') return { ...kept, noes: 0, lastNo: undefined };
    if (answer === 'unknown') return kept;
    const every = this.#options.every || DAY;
    const passed = now - (kept.lastNo ?? -Infinity);
    if (kept.lastNo !== undefined && passed >= 0 && passed < every / 2) return kept;
    const broken = passed < 0 || passed > every * 4;
    return { ...kept, noes: broken ? 1 : kept.noes + 1, lastNo: now };
  }

  /** What must be true before a step: the archive is kept, the cluster is empty. */
  async #prepare(record: TenantRecord, answer: Answer, kept: Kept, now: number): Promise<void> {
    const rules = this.#ports.policy.lifecycle;
    if (record.state === 'draining') kept.drained = await this.#ports.drained?.(record.name);
    if (record.state !== 'suspended' || kept.exported || answer !== 'no') return;
    if (kept.told === undefined || now < dueOf(record, rules, kept.told)!) return;
    const snapshot = await this.#ports.store.snapshot();
    await this.#ports.exporter(record, await filesOf(snapshot, record.name));
    kept.exported = true;
  }

  /** The step as a commit, unless the tenant has moved on meanwhile. */
  async #commit(seen: TenantRecord, step: Step, now: number): Promise<TenantRecord | undefined> {
    const { store, policy } = this.#ports;
    const { result } = await store.commit<TenantRecord | undefined>({
      author: this.#options.committer,
      edit: async (snapshot) => {
        const before = await readTenant(snapshot, seen.name);
        const moved = !before || before.state !== seen.state || before.since !== seen.since;
        const after = moved ? undefined : advance(before, step, now);
        return {
          files: after ? await changeOf(snapshot, policy, before, after) : new Map(),
          subject: `tenants: ${seen.name} is ${step.to}`,
          trailers: [['Subject', `${seen.owner.iss}#${seen.owner.sub}`], ['Reason', step.why]],
          result: after,
        };
      },
    });
    return result;
  }

  async #tellAll(next: Record<string, Kept>, now: number, report: SweepReport): Promise<number> {
    const snapshot = await this.#ports.store.snapshot();
    let told = 0;
    for (const [name, kept] of Object.entries(next)) {
      if (kept.told !== undefined) continue;
      try {
        const record = await readTenant(snapshot, name);
        if (!record || record.since !== kept.since) continue;
        // Somebody who never left needs no letter saying so.
        if (record.state === 'active' && record.since === record.created) {
          kept.told = now;
          continue;
        }
        await this.#tell(record, kept, now);
        kept.told = now;
        told++;
      } catch (error) {
        report.faults.push(`${name}: ${describe(error)}`);
      }
    }
    return told;
  }

  async #tell(record: TenantRecord, kept: Kept, now: number): Promise<void> {
    const { notifier, membership, policy } = this.#ports;
    const address = await membership.addressOf(record.owner);
    const due = dueOf(record, policy.lifecycle, kept.told ?? now);
    const notice: Notice = {
      kind: record.state,
      name: record.name,
      ...(due === undefined ? {} : { due: new Date(due).toISOString() }),
    };
    if (address) await notifier.tellMember(address, notice);
    else await notifier.tellAdmin(`${record.name} is ${record.state}; its member has no address`);
  }

  async #alert(report: SweepReport): Promise<void> {
    const { count, limit } = report.breaker;
    const text = `Nothing was done: ${count} tenants would lapse at once, ${limit} are credible`;
    await this.#ports.notifier.tellAdmin(text).catch((error) =>
      report.faults.push(describe(error))
    );
  }

  async #load<T>(key: string): Promise<T | undefined> {
    const bytes = await this.#ports.state.get(key);
    if (!bytes) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as T;
    } catch (cause) {
      throw new AppError('internal', `Cannot read state ${key}`, { cause });
    }
  }

  #save(key: string, value: unknown): Promise<void> {
    return this.#ports.state.set(key, JSON.stringify(value));
  }
}
