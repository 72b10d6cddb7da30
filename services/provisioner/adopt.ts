import { AppError } from '@hackspace/kit/errors.ts';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Person, Snapshot, Store } from './store/store.ts';
import type { Policy } from './tenant/policy.ts';
import { namespaceOf } from './tenant/names.ts';
import { newRecord, parseSubject, recordPath, type TenantRecord } from './tenant/record.ts';
import { parseTenant } from './tenant/tenant.ts';
import { changeOf } from './tenants.ts';

/** Whose each folder is: nothing in the manifests says so. */
export const ownersSchema = z.record(
  z.string(),
  z.strictObject({ iss: z.string(), sub: z.string(), plan: z.string().optional() }),
);
export type Owners = z.output<typeof ownersSchema>;

const flux = z.object({
  kind: z.enum(['GitRepository', 'Kustomization']),
  apiVersion: z.string().regex(/\.toolkit\.fluxcd\.io\//),
  spec: z.object({
    url: z.string().optional(),
    ref: z.object({ branch: z.string().optional(), tag: z.string().optional() }).optional(),
    path: z.string().optional(),
  }),
});

const namespace = z.object({
  kind: z.literal('Namespace'),
  metadata: z.object({ name: z.string() }),
});

/**
 * The record that a folder written by hand, or by another program, would have. Throws AppError
 * `invalid` when it could not have been claimed, or when Flux would delete a namespace of another
 * name (unless `move`): then it has to be mended by hand first.
 */
export async function recordOf(
  snapshot: Snapshot,
  policy: Policy,
  name: string,
  owner: Owners[string],
  options: { now: number; move?: boolean },
): Promise<TenantRecord> {
  const repository: Record<string, string> = {};
  for (const path of await snapshot.list(`tenants/${name}`)) {
    if (!/\.ya?ml$/.test(path)) continue;
    const text = new TextDecoder().decode(await snapshot.read(path));
    for (const document of parseAllDocuments(text)) {
      const value = 'toJS' in document ? document.toJS({ maxAliasCount: 20 }) : undefined;
      const space = namespace.safeParse(value).data?.metadata.name;
      if (space !== undefined && space !== namespaceOf(name) && !options.move) {
        const why = `with its file Flux would delete the namespace ${space} and all that is in it`;
        throw new AppError('invalid', `Cannot adopt ${name}: ${why}; see --move`);
      }
      const found = flux.safeParse(value);
      if (!found.success) continue;
      const { kind, spec } = found.data;
      if (kind === 'GitRepository' && spec.url) {
        repository.url = spec.url.replace(/\/$/, '');
        if (spec.ref?.branch) repository.ref = spec.ref.branch;
        else if (spec.ref?.tag) repository.ref = `refs/tags/${spec.ref.tag}`;
      } else if (kind === 'Kustomization' && spec.path) {
        const path = spec.path.replace(/^\.?\/*/, './').replace(/(.)\/+$/, '$1');
        repository.path = path === '.' ? './' : path;
      }
    }
  }
  if (!repository.url) {
    throw new AppError('invalid', `Cannot adopt ${name}: no GitRepository is in its folder`);
  }
  const plan = owner.plan === undefined ? {} : { plan: owner.plan };
  const input = parseTenant({ name, repository, ...plan }, policy);
  return newRecord(input, parseSubject({ iss: owner.iss, sub: owner.sub }), options.now);
}

export interface Adoption {
  name: string;
  /** What became of it: `adopted`, `would be adopted`, or why not. */
  what: string;
  ok: boolean;
}

export interface AdoptOptions {
  dryRun: boolean;
  /** Whether namespaces of other names may go: what was worth keeping is kept elsewhere. */
  move?: boolean;
  committer: Person;
  now: number;
}

/** Takes over every folder below `tenants/` that has no record yet: one commit each. */
export async function adopt(
  store: Store,
  policy: Policy,
  owners: Owners,
  options: AdoptOptions,
): Promise<Adoption[]> {
  const snapshot = await store.snapshot();
  const paths = await snapshot.list('tenants');
  const names = [...new Set(paths.map((path) => path.split('/')[1]!))]
    .filter((name) => !paths.includes(recordPath(name)));
  const adoptions: Adoption[] = [];
  for (const name of Object.keys(owners)) {
    if (paths.includes(recordPath(name))) {
      adoptions.push({ name, what: 'is a tenant already', ok: true });
    } else if (!names.includes(name)) {
      adoptions.push({ name, what: 'has no folder below tenants/', ok: false });
    }
  }
  for (const name of names) {
    const owner = Object.hasOwn(owners, name) ? owners[name] : undefined;
    if (!owner) {
      adoptions.push({ name, what: 'has no owner in the file', ok: false });
      continue;
    }
    try {
      if (options.dryRun) await recordOf(snapshot, policy, name, owner, options);
      else await adoptOne(store, policy, name, owner, options);
      adoptions.push({ name, what: options.dryRun ? 'would be adopted' : 'adopted', ok: true });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      adoptions.push({ name, what: error.message, ok: false });
    }
  }
  return adoptions;
}

async function adoptOne(
  store: Store,
  policy: Policy,
  name: string,
  owner: Owners[string],
  options: AdoptOptions,
): Promise<void> {
  await store.commit({
    author: options.committer,
    edit: async (snapshot) => {
      const record = await recordOf(snapshot, policy, name, owner, options);
      const files = await changeOf(snapshot, policy, undefined, record);
      for (const path of await snapshot.list(`tenants/${name}`)) {
        if (!files.has(path)) files.set(path, null);
      }
      return {
        files,
        subject: `tenants: adopt ${name}`,
        trailers: [['Subject', `${owner.iss}#${owner.sub}`]],
        result: undefined,
      };
    },
  });
}
