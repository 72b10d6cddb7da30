import { AppError } from '@hackspace/kit/errors.ts';
import { createPatch } from 'diff';
import { createHash } from 'node:crypto';
import type { Claims, Membership } from './membership/membership.ts';
import type { LogEntry, Snapshot, Store } from './store/store.ts';
import type { Policy } from './tenant/policy.ts';
import {
  indexBytes,
  indexPath,
  newRecord,
  parseIndex,
  parseRecord,
  recordPath,
  sameSubject,
  stamp,
  type Subject,
  type TenantRecord,
} from './tenant/record.ts';
import { render } from './tenant/render.ts';
import { changeSchema, NAME, parse, parseTenant, type TenantInput } from './tenant/tenant.ts';

/** Whoever asks, from a login that was verified. */
export interface Actor {
  subject: Subject;
  /** A display name: may be anything. */
  name: string;
  admin: boolean;
  claims?: Claims | undefined;
}

export interface Context {
  requestId: string;
  /** The `preview` that was agreed to: anything else than what was shown is refused. */
  preview?: string | undefined;
}

/** One file of a preview as a unified diff. */
export interface FileDiff {
  path: string;
  kind: 'added' | 'changed' | 'removed';
  diff: string;
}

export interface Preview {
  record: TenantRecord;
  files: FileDiff[];
  /** Hash of what would be committed, blind to the clock. */
  preview: string;
}

export interface Written {
  record: TenantRecord;
  /** The commit, or undefined when everything was there already. */
  commit: string | undefined;
}

export interface TenantsPorts {
  store: Store;
  membership: Membership;
  policy: Policy;
  now?: () => number;
}

/** A decision about one tenant: what is there, and what shall be. */
type Decide = (
  snapshot: Snapshot,
) => Promise<{ before: TenantRecord | undefined; after: TenantRecord }>;

/** What members and administrators can do with tenants; the API and the pages are thin over this. */
export class Tenants {
  readonly policy: Policy;
  readonly #store: Store;
  readonly #membership: Membership;
  readonly #now: () => number;

  constructor(ports: TenantsPorts) {
    this.policy = ports.policy;
    this.#store = ports.store;
    this.#membership = ports.membership;
    this.#now = ports.now ?? Date.now;
  }

  /** What `claim` would commit. Throws what `claim` would throw. */
  async preview(actor: Actor, input: unknown): Promise<Preview> {
    const tenant = parseTenant(input, this.policy);
    await this.#mustPay(actor);
    return await this.#show(this.#claimed(actor, tenant));
  }

  /**
   * Gives a name to whoever asks first. Asking again for the same is a success without a commit.
   * Throws AppError `invalid`, `forbidden` (not paying), `unavailable` (unknown), `conflict`.
   */
  async claim(actor: Actor, input: unknown, context: Context): Promise<Written> {
    const tenant = parseTenant(input, this.policy);
    await this.#mustPay(actor);
    return await this.#write(actor, context, `claim ${tenant.name}`, this.#claimed(actor, tenant));
  }

  async previewUpdate(actor: Actor, name: string, input: unknown): Promise<Preview> {
    const change = parse(changeSchema(this.policy), input, 'Cannot accept this change');
    await this.#mustPay(actor);
    return await this.#show(this.#updated(actor, name, change));
  }

  /** Replaces everything but the name. Also brings back a lapsed tenant whose member pays again. */
  async update(actor: Actor, name: string, input: unknown, context: Context): Promise<Written> {
    const change = parse(changeSchema(this.policy), input, 'Cannot accept this change');
    await this.#mustPay(actor);
    return await this.#write(actor, context, `update ${name}`, this.#updated(actor, name, change));
  }

  /** Stops or starts a tenant at its member's wish; stopping needs no membership. */
  async suspend(actor: Actor, name: string, suspend: boolean, context: Context): Promise<Written> {
    if (!suspend) await this.#mustPay(actor);
    const what = `${suspend ? 'stop' : 'start'} ${name}`;
    return await this.#write(actor, context, what, async (snapshot) => {
      const before = await this.#owned(snapshot, actor, name);
      return { before, after: { ...before, suspend } };
    });
  }

  /** Begins the deletion: the drain now, the namespace with a later sweep. `typed` is the name again. */
  async remove(actor: Actor, name: string, typed: string, context: Context): Promise<Written> {
    if (typed !== name) {
      throw new AppError('invalid', `Cannot delete ${name}: the name typed to confirm is another`);
    }
    return await this.#write(actor, context, `drain ${name}`, async (snapshot) => {
      const before = await this.#owned(snapshot, actor, name, true);
      if (before.state === 'draining' && before.reason === 'requested') {
        return { before, after: before };
      }
      const since = stamp(this.#now());
      return { before, after: { ...before, state: 'draining', reason: 'requested', since } };
    });
  }

  /** The tenant, if it is the actor's own or the actor is an administrator; else as if it were not. */
  async get(actor: Actor, name: string): Promise<TenantRecord> {
    return await this.#owned(await this.#store.snapshot(), actor, name, true);
  }

  /** The actor's tenants, those being deleted included. */
  async mine(actor: Actor): Promise<TenantRecord[]> {
    const snapshot = await this.#store.snapshot();
    const index = parseIndex(await snapshot.read(indexPath(actor.subject)), actor.subject);
    const found = await Promise.all(index.tenants.map((name) => readTenant(snapshot, name)));
    return found.filter((r) =>
      r !== undefined && sameSubject(r.owner, actor.subject)
    ) as TenantRecord[];
  }

  /** Every tenant, tombstones included, by name. For administrators. */
  async list(actor: Actor): Promise<TenantRecord[]> {
    if (!actor.admin) {
      throw new AppError('forbidden', 'Cannot list all tenants: for administrators');
    }
    return await readTenants(await this.#store.snapshot());
  }

  /** The commits that touched a tenant, newest first. */
  async audit(actor: Actor, name: string, limit = 50): Promise<LogEntry[]> {
    await this.get(actor, name);
    return await this.#store.log(`tenants/${name}`, Math.min(Math.max(1, limit), 500));
  }

  /** Every file of a tenant as committed: for its archive. */
  async files(actor: Actor, name: string): Promise<Map<string, Uint8Array>> {
    await this.get(actor, name);
    return await filesOf(await this.#store.snapshot(), name);
  }

  async #mustPay(actor: Actor): Promise<void> {
    const answer = await this.#membership.check(actor.subject, actor.claims);
    if (answer === 'yes') return;
    if (answer === 'no') {
      throw new AppError('forbidden', 'Cannot do this for you: your membership is not paid');
    }
    throw new AppError(
      'unavailable',
      'Cannot tell now whether your membership is paid: nothing is lost, try again in a minute',
      { retryAfter: 60 },
    );
  }

  #claimed(actor: Actor, tenant: TenantInput): Decide {
    return async (snapshot) => {
      const before = await readTenant(snapshot, tenant.name);
      const after = newRecord(tenant, actor.subject, this.#now());
      if (before === undefined) {
        await this.#mustHaveRoom(snapshot, actor, tenant.name);
        return { before, after };
      }
      if (before.state === 'deleted') {
        const why = 'it was used before, and names are never given out again';
        throw new AppError('conflict', `Cannot give you the name ${tenant.name}: ${why}`);
      }
      if (!sameSubject(before.owner, actor.subject)) {
        throw new AppError('conflict', `Cannot give you the name ${tenant.name}: it is taken`);
      }
      const same = {
        ...after,
        state: before.state,
        reason: before.reason,
        created: before.created,
        since: before.since,
      };
      if (JSON.stringify(same) !== JSON.stringify(before)) {
        const why = 'you have it already, with other settings; change those instead';
        throw new AppError('conflict', `Cannot claim ${tenant.name}: ${why}`);
      }
      return { before, after: before };
    };
  }

  async #mustHaveRoom(snapshot: Snapshot, actor: Actor, name: string): Promise<void> {
    const index = parseIndex(await snapshot.read(indexPath(actor.subject)), actor.subject);
    if (index.tenants.filter((n) => n !== name).length >= this.policy.tenantsPerMember) {
      const most = `${this.policy.tenantsPerMember} for each member`;
      throw new AppError('conflict', `Cannot give you another tenant: at most ${most}`);
    }
  }

  #updated(actor: Actor, name: string, change: Omit<TenantInput, 'name'>): Decide {
    return async (snapshot) => {
      const before = await this.#owned(snapshot, actor, name);
      const lapsed = before.state !== 'active';
      const back = lapsed && sameSubject(before.owner, actor.subject)
        ? { state: 'active' as const, reason: null, since: stamp(this.#now()) }
        : {};
      return { before, after: { ...before, ...change, ...back } };
    };
  }

  /** Throws `not_found` for what is not there and for what is another's alike: names are private. */
  async #owned(
    snapshot: Snapshot,
    actor: Actor,
    name: string,
    leaving = false,
  ): Promise<TenantRecord> {
    const record = NAME.test(name) ? await readTenant(snapshot, name) : undefined;
    const theirs = record && (actor.admin || sameSubject(record.owner, actor.subject));
    if (!theirs || (record.state === 'deleted' && !actor.admin)) {
      throw new AppError('not_found', 'Cannot find this tenant among yours');
    }
    if (!leaving && record.state === 'draining' && record.reason === 'requested') {
      throw new AppError('conflict', `Cannot change ${name}: it is being deleted`);
    }
    if (!leaving && record.state === 'deleted') {
      throw new AppError('conflict', `Cannot change ${name}: it is deleted`);
    }
    return record;
  }

  async #show(decide: Decide): Promise<Preview> {
    const snapshot = await this.#store.snapshot();
    const { before, after } = await decide(snapshot);
    const files = await changeOf(snapshot, this.policy, before, after);
    const shown = await diffOf(snapshot, files);
    return { record: after, files: shown, preview: previewHash(after, this.policy) };
  }

  async #write(actor: Actor, context: Context, what: string, decide: Decide): Promise<Written> {
    const { commit, result } = await this.#store.commit<TenantRecord>({
      author: authorOf(actor),
      edit: async (snapshot) => {
        const { before, after } = await decide(snapshot);
        if (context.preview && context.preview !== previewHash(after, this.policy)) {
          throw new AppError(
            'conflict',
            'Cannot go on: what was shown is no longer what would be done',
          );
        }
        return {
          files: await changeOf(snapshot, this.policy, before, after),
          subject: `tenants: ${what}`,
          trailers: [
            ['Subject', `${actor.subject.iss}#${actor.subject.sub}`],
            ['Request-Id', context.requestId],
            ...changedTrailer(before, after),
          ],
          result: after,
        };
      },
    });
    return { record: result, commit };
  }
}

/** What a member changed, for the log: `Changed: path ./apps; plan large`. No value may hold `; `. */
function changedTrailer(before: TenantRecord | undefined, after: TenantRecord) {
  if (!before) return [];
  const facts = ({ plan, repository, wants }: TenantRecord) => ({
    plan,
    ...repository,
    calendar: wants.calendar ? 'yes' : 'no',
  });
  const was: Record<string, string> = facts(before);
  const changed = Object.entries(facts(after)).filter(([key, value]) => was[key] !== value);
  const line = changed.map(([key, value]) => `${key} ${value}`).join('; ');
  return line ? [['Changed', line] as const] : [];
}

/** Author of a member's commits: stable, and no address that somebody could be written to. */
export function authorOf(actor: Pick<Actor, 'name' | 'subject'>) {
  let host = 'login.invalid';
  try {
    host = new URL(actor.subject.iss).hostname;
  } catch {
    // an issuer that is no URL
  }
  return { name: actor.name, email: `${actor.subject.sub}@members.noreply.${host}` };
}

/** The files that turn one record into the next, those to be removed and the index included. */
export async function changeOf(
  snapshot: Snapshot,
  policy: Policy,
  before: TenantRecord | undefined,
  after: TenantRecord,
): Promise<Map<string, Uint8Array | null>> {
  const files = new Map<string, Uint8Array | null>(render(after, policy));
  if (before) {
    for (const path of await snapshot.list(`tenants/${after.name}`)) {
      if (!files.has(path)) files.set(path, null);
    }
  }
  const lives = after.state !== 'deleted';
  if (!before || (before.state !== 'deleted') !== lives) {
    const path = indexPath(after.owner);
    const index = parseIndex(await snapshot.read(path), after.owner);
    const others = index.tenants.filter((name) => name !== after.name);
    const tenants = lives ? [...others, after.name] : others;
    files.set(path, tenants.length > 0 ? indexBytes({ ...index, tenants }) : null);
  }
  return files;
}

async function diffOf(
  snapshot: Snapshot,
  files: Map<string, Uint8Array | null>,
): Promise<FileDiff[]> {
  const decoder = new TextDecoder();
  const shown: FileDiff[] = [];
  for (const [path, bytes] of files) {
    if (!path.startsWith('tenants/')) continue;
    const old = await snapshot.read(path);
    const [was, will] = [old && decoder.decode(old), bytes && decoder.decode(bytes)];
    if ((was ?? null) === will) continue;
    shown.push({
      path,
      kind: was === undefined ? 'added' : will === null ? 'removed' : 'changed',
      diff: createPatch(path, was ?? '', will ?? '', undefined, undefined, { context: 3 }),
    });
  }
  return shown;
}

/** Blind to `created` and `since`, which move with the clock. */
function previewHash(record: TenantRecord, policy: Policy): string {
  const still = { ...record, created: '1970-01-01T00:00:00Z', since: '1970-01-01T00:00:00Z' };
  const hash = createHash('sha256');
  for (const [path, bytes] of render(still, policy)) {
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex').slice(0, 32);
}

export async function readTenant(
  snapshot: Snapshot,
  name: string,
): Promise<TenantRecord | undefined> {
  const bytes = await snapshot.read(recordPath(name));
  return bytes && parseRecord(bytes, name);
}

/** Every tenant of the repo, by name. Throws at the first record that is damaged. */
export async function readTenants(snapshot: Snapshot): Promise<TenantRecord[]> {
  const paths = (await snapshot.list('tenants')).filter((p) =>
    /^tenants\/[^/]+\/tenant\.json$/.test(p)
  );
  const records: TenantRecord[] = [];
  for (let i = 0; i < paths.length; i += 500) {
    const some = paths.slice(i, i + 500).map((path) => readTenant(snapshot, path.split('/')[1]!));
    for (const record of await Promise.all(some)) if (record) records.push(record);
  }
  return records;
}

export async function filesOf(snapshot: Snapshot, name: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const path of await snapshot.list(`tenants/${name}`)) {
    files.set(path, (await snapshot.read(path))!);
  }
  return files;
}
