import { afterEach, beforeEach, expect, test } from 'vitest';
import { adopt } from './adopt.ts';
import { OWNER } from './tenant/fixtures.ts';
import { readTenant } from './tenants.ts';
import { COMMITTER, input, person, type World, world } from './testing.ts';
import { rewrite, verify } from './verify.ts';

let w: World;
beforeEach(async () => w = await world());
afterEach(() => w.close());
const bytes = (text: string) => new TextEncoder().encode(text);

async function byHand(files: Record<string, string | null>) {
  await w.store.commit({
    author: COMMITTER,
    edit: () => ({
      files: new Map(Object.entries(files).map(([p, t]) => [p, t === null ? null : bytes(t)])),
      subject: 'by hand',
      trailers: [],
      result: undefined,
    }),
  });
}
const drift = async () =>
  (await verify(await w.store.snapshot(), w.policy)).map((d) => `${d.path}: ${d.what}`);

test('verify finds what was changed, lost, added or orphaned by hand, and nothing else', async () => {
  await w.tenants.claim(person('paying'), input('garden'), { requestId: 'request-1' });
  expect(await drift()).toEqual([]);
  await byHand({
    'tenants/garden/resourcequota.yaml': 'kind: ResourceQuota\n',
    'tenants/garden/networkpolicy-deny.yaml': null,
    'tenants/garden/admin.yaml': 'kind: ClusterRoleBinding\n',
    'tenants/other/x.yaml': 'x: 1\n',
    'tenants/broken/tenant.json': '{}',
    'tenants/loose.yaml': 'x: 1\n',
  });
  expect((await drift()).sort()).toEqual([
    'tenants/broken/tenant.json: Cannot read the record of tenant broken: Invalid input: expected 1',
    'tenants/garden/admin.yaml: is not of the provisioner',
    'tenants/garden/networkpolicy-deny.yaml: is missing',
    'tenants/garden/resourcequota.yaml: differs',
    'tenants/loose.yaml: belongs to no tenant',
    'tenants/other: has no record; see `import`',
  ]);
  expect(await rewrite(w.store, w.policy, ['garden', 'garden'], COMMITTER)).toEqual(['garden']);
  expect((await drift()).filter((line) => line.includes('garden'))).toEqual([]);
});

const SOURCE = `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: old}
spec: {interval: 1m, url: 'https://codeberg.org/ada/space/', ref: {branch: trunk}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: old}
spec: {path: /deploy/, prune: true}
`;

test('existing tenants are adopted with their repository; what could not be claimed is not', async () => {
  await byHand({
    'tenants/ada/all.yaml': SOURCE,
    'tenants/bob/all.yaml': SOURCE.replace('codeberg.org', '10.0.0.1'),
    'tenants/eve/x.yaml': 'kind: Namespace\n',
    'tenants/zoe/all.yaml': SOURCE,
  });
  const owner = (sub: string) => ({ iss: OWNER.iss, sub });
  const owners = { ada: owner('ada'), bob: owner('bob'), eve: owner('eve') };
  const options = { committer: COMMITTER, now: w.clock.now };
  const dry = await adopt(w.store, w.policy, owners, { ...options, dryRun: true });
  expect(dry.map((a) => `${a.name} ${a.ok}`)).toEqual([
    'ada true',
    'bob false',
    'eve false',
    'zoe false',
  ]);
  expect(dry[1]!.what).toMatch(/is on a host that this space does not allow/);
  await adopt(w.store, w.policy, owners, { ...options, dryRun: false });
  expect(await readTenant(await w.store.snapshot(), 'ada')).toMatchObject({
    owner: owner('ada'),
    repository: { url: 'https://codeberg.org/ada/space', ref: 'trunk', path: './deploy' },
  });
  expect((await drift()).filter((line) => line.includes('/ada'))).toEqual([]);
  expect((await w.tenants.mine(person('ada'))).map((r) => r.name)).toEqual(['ada']);
  const again = await adopt(w.store, w.policy, { ada: owner('ada'), none: owner('x') }, {
    ...options,
    dryRun: false,
  });
  expect(again.slice(0, 2).map((a) => `${a.name} ${a.what}`)).toEqual([
    'ada is a tenant already',
    'none has no folder below tenants/',
  ]);
});

test('nobody’s namespace is given up to Flux without having been told', async () => {
  const space = (name: string) => `${SOURCE}---\nkind: Namespace\nmetadata: {name: ${name}}\n`;
  await byHand({
    'tenants/ada/all.yaml': space('ada'),
    'tenants/bob/all.yaml': space('tenant-bob'),
  });
  const owners = { ada: { iss: OWNER.iss, sub: 'ada' }, bob: { iss: OWNER.iss, sub: 'bob' } };
  const options = { committer: COMMITTER, now: w.clock.now, dryRun: false };
  const [ada, bob] = await adopt(w.store, w.policy, owners, options);
  expect([ada!.ok, bob!.ok]).toEqual([false, true]);
  expect(ada!.what).toMatch(/would delete the namespace ada and all that is in it; see --move/);
  const moved = await adopt(w.store, w.policy, owners, { ...options, move: true });
  expect(moved.map((a) => a.what)).toEqual(['is a tenant already', 'adopted']);
});
