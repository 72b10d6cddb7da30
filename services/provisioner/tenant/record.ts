import { AppError } from '@hackspace/kit/errors.ts';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NAME, type TenantInput } from './tenant.ts';

/** Where a tenant stands. `deleted` is a tombstone: the name is never given out again. */
export const STATES = ['active', 'grace', 'suspended', 'exported', 'draining', 'deleted'] as const;
export type TenantState = (typeof STATES)[number];

/** Who a member is: names and addresses change and are reused, `iss` and `sub` are not. */
export interface Subject {
  iss: string;
  sub: string;
}

/** A tenant as the tenants repo keeps it, beside what is rendered from it. */
export interface TenantRecord {
  version: 1;
  name: string;
  owner: Subject;
  plan: string;
  repository: TenantInput['repository'];
  wants: TenantInput['wants'];
  /** The member's own wish; independent of `state`. */
  suspend: boolean;
  state: TenantState;
  /** Why it left `active`: a lapsed membership can be undone, a wish to delete cannot. */
  reason: 'lapsed' | 'requested' | null;
  /** When it was created and when it came into this state: RFC 3339, UTC. */
  created: string;
  since: string;
}

const subject = z.strictObject({
  iss: z.string().min(1).max(500),
  sub: z.string().min(1).max(255),
});
const recordSchema = z.strictObject({
  version: z.literal(1),
  name: z.string().regex(NAME),
  owner: subject,
  plan: z.string().max(63),
  repository: z.strictObject({
    url: z.string().max(300),
    ref: z.string().max(200),
    path: z.string().max(200),
  }),
  wants: z.strictObject({ calendar: z.boolean() }),
  suspend: z.boolean(),
  state: z.enum(STATES),
  reason: z.enum(['lapsed', 'requested']).nullable(),
  created: z.iso.datetime(),
  since: z.iso.datetime(),
});

/**
 * Checks a subject that a token or a config named. A missing or empty claim is a deny, never a
 * wildcard. Throws AppError `unauthenticated`.
 */
export function parseSubject(input: unknown): Subject {
  const result = subject.safeParse(input);
  if (!result.success || !/^[\x21-\x7e]+$/.test(result.data.iss + result.data.sub)) {
    throw new AppError('unauthenticated', 'Cannot tell who you are: the login names no subject');
  }
  return result.data;
}

export function newRecord(input: TenantInput, owner: Subject, now: number): TenantRecord {
  const time = stamp(now);
  return {
    version: 1,
    name: input.name,
    owner: { iss: owner.iss, sub: owner.sub },
    plan: input.plan,
    repository: { ...input.repository },
    wants: { ...input.wants },
    suspend: input.suspend,
    state: 'active',
    reason: null,
    created: time,
    since: time,
  };
}

/** Epoch milliseconds as RFC 3339 in whole seconds. */
export function stamp(now: number): string {
  return new Date(Math.floor(now / 1000) * 1000).toISOString().replace('.000', '');
}

export function recordBytes(record: TenantRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(record, null, 2) + '\n');
}

/** Reads a record back. Throws AppError `internal`: a repo that somebody edited badly. */
export function parseRecord(bytes: Uint8Array, name: string): TenantRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('internal', `Cannot read the record of tenant ${name}: not JSON`, { cause });
  }
  const result = recordSchema.safeParse(value);
  if (!result.success || result.data.name !== name) {
    const why = result.success ? 'it names another tenant' : result.error.issues[0]!.message;
    throw new AppError('internal', `Cannot read the record of tenant ${name}: ${why}`);
  }
  return result.data;
}

export function sameSubject(a: Subject, b: Subject): boolean {
  return a.iss === b.iss && a.sub === b.sub;
}

/** The key of a subject in paths and state: hides nothing, but is always of one shape. */
export function subjectKey(subject: Subject): string {
  return createHash('sha256').update(JSON.stringify([subject.iss, subject.sub])).digest('hex')
    .slice(0, 32);
}

/** Which tenants a member has: beside the records, so that the limit is checked in one read. */
export interface MemberIndex {
  version: 1;
  owner: Subject;
  tenants: string[];
}

export function indexBytes(index: MemberIndex): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({ ...index, tenants: [...index.tenants].sort() }, null, 2) + '\n',
  );
}

const indexSchema = z.strictObject({
  version: z.literal(1),
  owner: subject,
  tenants: z.array(z.string().regex(NAME)).max(1000),
});

export function parseIndex(bytes: Uint8Array | undefined, owner: Subject): MemberIndex {
  if (bytes === undefined) return { version: 1, owner, tenants: [] };
  try {
    const index = indexSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    if (sameSubject(index.owner, owner)) return index;
  } catch {
    // told below
  }
  throw new AppError('internal', 'Cannot read the list of a member’s tenants: it is damaged');
}

export const recordPath = (name: string) => `tenants/${name}/tenant.json`;
/** Spread over 256 folders: git writes a folder anew for each change of a file in it. */
export function indexPath(subject: Subject): string {
  const key = subjectKey(subject);
  return `members/${key.slice(0, 2)}/${key}.json`;
}
