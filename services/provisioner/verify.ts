import { describe } from '@hackspace/kit/errors.ts';
import type { Person, Snapshot, Store } from './store/store.ts';
import type { Policy } from './tenant/policy.ts';
import { indexPath, parseIndex, parseRecord, recordPath } from './tenant/record.ts';
import { render } from './tenant/render.ts';
import { changeOf, readTenant } from './tenants.ts';

/** One thing in the tenants repo that is not what the provisioner would have written. */
export interface Drift {
  name: string;
  path: string;
  what: string;
}

/** Compares every tenant of the repo with what `render` makes of its record under this policy. */
export async function verify(snapshot: Snapshot, policy: Policy): Promise<Drift[]> {
  const drift: Drift[] = [];
  const folders = new Map<string, string[]>();
  for (const path of await snapshot.list('tenants')) {
    const [, name, file] = path.split('/');
    if (file === undefined) drift.push({ name: '', path, what: 'belongs to no tenant' });
    else folders.set(name!, [...folders.get(name!) ?? [], path]);
  }
  for (const [name, paths] of folders) {
    try {
      drift.push(...await verifyOne(snapshot, policy, name, paths));
    } catch (error) {
      drift.push({ name, path: recordPath(name), what: describe(error) });
    }
  }
  return drift;
}

async function verifyOne(
  snapshot: Snapshot,
  policy: Policy,
  name: string,
  paths: string[],
): Promise<Drift[]> {
  const bytes = await snapshot.read(recordPath(name));
  if (!bytes) return [{ name, path: `tenants/${name}`, what: 'has no record; see `import`' }];
  const record = parseRecord(bytes, name);
  const wanted = render(record, policy);
  const drift: Drift[] = [];
  for (const [path, want] of wanted) {
    const have = await snapshot.read(path);
    if (!have) drift.push({ name, path, what: 'is missing' });
    else if (!Buffer.from(want).equals(have)) drift.push({ name, path, what: 'differs' });
  }
  for (const path of paths) {
    if (!wanted.has(path)) drift.push({ name, path, what: 'is not of the provisioner' });
  }
  const path = indexPath(record.owner);
  const index = parseIndex(await snapshot.read(path), record.owner);
  if (index.tenants.includes(name) !== (record.state !== 'deleted')) {
    drift.push({ name, path, what: 'does not agree with the record' });
  }
  return drift;
}

/** Writes tenants again as the policy now says: one commit for each that differs. */
export async function rewrite(
  store: Store,
  policy: Policy,
  names: Iterable<string>,
  committer: Person,
): Promise<string[]> {
  const done = await Promise.all([...new Set(names)].map((name) =>
    store.commit<string>({
      author: committer,
      edit: async (snapshot) => {
        const record = await readTenant(snapshot, name);
        return {
          files: record ? await changeOf(snapshot, policy, record, record) : new Map(),
          subject: `tenants: render ${name} by the policy as it is now`,
          trailers: [],
          result: name,
        };
      },
    })
  ));
  return done.filter(({ commit }) => commit).map(({ result }) => result);
}
