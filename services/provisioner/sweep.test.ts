import { afterEach, beforeEach, expect, test } from 'vitest';
import { DAY } from './tenant/fixtures.ts';
import { filesOf, readTenant } from './tenants.ts';
import { input, person, type World, world } from './testing.ts';

let w: World;
beforeEach(async () => w = await world());
afterEach(() => w.close());
const context = { requestId: 'request-1' };

async function claim(...subs: string[]) {
  await Promise.all(subs.map((sub) => w.tenants.claim(person(sub), input(sub), context)));
}
async function days(n: number) {
  const steps = [];
  for (let i = 0; i < n; i++) {
    w.clock.now += DAY;
    steps.push(...(await w.sweep.run()).steps.map((s) => `day ${i + 1}: ${s.name} ${s.to}`));
  }
  return steps;
}
const stateOf = async (name: string) => (await readTenant(await w.store.snapshot(), name))?.state;

test('the whole way down: told at each step, in two commits at the end, then a tombstone', async () => {
  await claim('garden');
  w.membership.fallback = 'no';
  const steps = await days(150);
  expect(steps).toEqual([
    'day 3: garden grace',
    'day 33: garden suspended',
    'day 93: garden exported',
    'day 123: garden draining',
    'day 124: garden deleted',
  ]);
  expect(w.notifier.told.map((t) => `${t.kind} ${t.due?.slice(0, 10)}`)).toEqual([
    'grace 2026-12-26',
    'suspended 2027-02-24',
    'exported 2027-03-26',
    'draining undefined',
    'deleted undefined',
  ]);
  expect([...w.archives.keys()]).toEqual(['garden']);
  const files = await filesOf(await w.store.snapshot(), 'garden');
  expect([...files.keys()]).toEqual(['tenants/garden/tenant.json']);
  expect((await w.store.log('tenants/garden', 99)).map((e) => e.subject)).toEqual([
    'tenants: garden is deleted',
    'tenants: garden is draining',
    'tenants: garden is exported',
    'tenants: garden is suspended',
    'tenants: garden is grace',
    'tenants: claim garden',
  ]);
});

test.each([[5, 'grace'], [40, 'suspended'], [100, 'exported'], [123, 'draining']])(
  'a member who pays again after %i days gets everything back from %s',
  async (n, state) => {
    await claim('garden');
    const before = await filesOf(await w.store.snapshot(), 'garden');
    w.membership.fallback = 'no';
    await days(n);
    expect(await stateOf('garden')).toBe(state);
    w.membership.fallback = 'yes';
    await days(1);
    const after = await filesOf(await w.store.snapshot(), 'garden');
    const text = (files: Map<string, Uint8Array>) =>
      [...files].filter(([p]) => !p.endsWith('.json')).map(([p, b]) =>
        p + new TextDecoder().decode(b)
      );
    expect(text(after)).toEqual(text(before));
    expect(w.notifier.told.at(-1)!.kind).toBe('active');
  },
);

test('not knowing takes nothing, however long', async () => {
  await claim('garden');
  w.membership.fallback = 'unknown';
  expect(await days(400)).toEqual([]);
  expect(w.notifier.told).toEqual([]);
});

test('a "yes" in between starts the count again; sweeps close together count once', async () => {
  await claim('garden');
  for (const answer of ['no', 'no', 'yes', 'no', 'no'] as const) {
    w.membership.fallback = answer;
    expect(await days(1)).toEqual([]);
  }
  for (let i = 0; i < 5; i++) await w.sweep.run();
  expect(await stateOf('garden')).toBe('active');
  expect(await days(1)).toEqual(['day 1: garden grace']);
});

test('nobody is suspended without having been told', async () => {
  await claim('garden');
  w.membership.fallback = 'no';
  w.notifier.down = true;
  await days(100);
  expect(await stateOf('garden')).toBe('grace');
  w.notifier.down = false;
  expect(await days(40)).toEqual(['day 31: garden suspended']);
});

test('a jump of the clock, either way, takes nobody further by itself', async () => {
  await claim('garden');
  w.membership.fallback = 'no';
  await days(4);
  expect(await stateOf('garden')).toBe('grace');
  w.clock.now += 3650 * DAY;
  expect((await w.sweep.run()).steps).toEqual([]);
  w.clock.now -= 7300 * DAY;
  expect((await w.sweep.run()).steps).toEqual([]);
  w.clock.now += 3650 * DAY;
  expect(await days(5)).toEqual([]); // back in time: still in its grace
  expect(await stateOf('garden')).toBe('grace');
});

test('40 % lapsing at once opens the breaker: nothing happens, an admin is told, an override counts', async () => {
  const subs = Array.from({ length: 20 }, (_, i) => `m${String(i).padStart(2, '0')}x`);
  await claim(...subs);
  for (const sub of subs.slice(0, 8)) w.membership.answers.set(sub, 'no');
  expect(await days(5)).toEqual([]);
  const report = (await w.sweep.lastReport())!;
  expect(report.breaker).toEqual({ open: true, count: 8, limit: 3 });
  expect(w.notifier.admin.at(-1)).toMatch(/8 tenants would lapse at once/);
  expect((await w.sweep.run({ override: 7 })).steps).toEqual([]);
  // a restoration is never held back
  expect((await w.sweep.run({ override: 8 })).steps).toHaveLength(8);
});

test('the breaker lets members come back while it is open', async () => {
  await claim('back', ...Array.from({ length: 9 }, (_, i) => `gone${i}x`));
  w.membership.answers.set('back', 'no');
  await days(3);
  expect(await stateOf('back')).toBe('grace');
  w.membership.fallback = 'no';
  w.membership.answers.set('back', 'yes');
  expect(await days(4)).toEqual(['day 1: back active']);
});

test('a dry run says what would happen and does nothing', async () => {
  await claim('garden');
  w.membership.fallback = 'no';
  await days(2);
  w.clock.now += DAY;
  const { revision } = await w.store.snapshot();
  const report = await w.sweep.run({ dryRun: true });
  expect(report.steps.map((s) => `${s.name} ${s.from} ${s.to}`)).toEqual(['garden active grace']);
  expect((await w.store.snapshot()).revision).toBe(revision);
  expect((await w.sweep.run()).steps).toHaveLength(1); // the dry run counted nothing
});

test('a deletion goes on when the cluster is empty, or when its hour is over', async () => {
  await claim('quick', 'slow');
  for (const sub of ['quick', 'slow']) await w.tenants.remove(person(sub), sub, sub, context);
  w.drained.add('quick');
  w.clock.now += 60_000;
  expect((await w.sweep.run()).steps.map((s) => s.name)).toEqual(['quick']);
  w.clock.now += 3600_000;
  expect((await w.sweep.run()).steps.map((s) => `${s.name}: ${s.why}`)).toEqual([
    'slow: draining took too long',
  ]);
});

test('a member without an address: the admin is told, and time goes on', async () => {
  await claim('nowhere');
  w.membership.fallback = 'no';
  expect(await days(33)).toEqual(['day 3: nowhere grace', 'day 33: nowhere suspended']);
  expect(w.notifier.admin[0]).toMatch(/nowhere is grace; its member has no address/);
});

test('a change by the member while the sweep runs wins over the sweep', async () => {
  await claim('garden');
  w.membership.fallback = 'no';
  await days(2);
  w.clock.now += DAY;
  const [report] = await Promise.all([
    w.sweep.run(),
    w.tenants.remove(person('garden'), 'garden', 'garden', context),
  ]);
  expect(await stateOf('garden')).toBe('draining');
  expect(report.steps.length).toBeLessThanOrEqual(1);
});

test('swept by a timer of the operator’s (every: 0s), daily or hourly, "no"s are counted', async () => {
  for (const perDay of [1, 24]) {
    await using own = await world({ sweep: { every: 0 } });
    await own.tenants.claim(person('garden'), input('garden'), context);
    own.membership.fallback = 'no';
    const steps: string[] = [];
    for (let i = 0; i < 4 * perDay && steps.length === 0; i++) {
      own.clock.now += DAY / perDay;
      const report = await own.sweep.run();
      steps.push(...report.steps.map((s) => `day ${Math.ceil((i + 1) / perDay)}: ${s.to}`));
    }
    expect(steps).toEqual([perDay === 1 ? 'day 3: grace' : 'day 2: grace']);
    own.clock.now += 3650 * DAY; // a jump takes nobody further here either
    expect((await own.sweep.run()).steps).toEqual([]);
  }
});

test('two replicas that find a sweep due at once: one sweeps, each member is told once', async () => {
  const subs = Array.from({ length: 8 }, (_, i) => `gone${i}x`);
  await using own = await world({ sweep: { breaker: { share: 1, min: 99 } } });
  const { tenants, clock, notifier } = own;
  await Promise.all(subs.map((sub) => tenants.claim(person(sub), input(sub), context)));
  await tenants.remove(person('gone0x'), 'gone0x', 'gone0x', context);
  own.membership.fallback = 'no';
  const replicas = [own.sweep, own.sweepOf(own.store)];
  for (let day = 0; day < 5; day++) {
    clock.now += day === 0 ? 60_000 : DAY;
    const reports = await Promise.all(replicas.map((sweep) => sweep.runIfDue()));
    expect(reports.filter(Boolean)).toHaveLength(1);
  }
  expect(notifier.told.map((t) => `${t.to} ${t.kind}`).sort()).toEqual([
    'gone0x@hackspace.example deleted',
    'gone0x@hackspace.example draining',
    ...subs.slice(1).map((sub) => `${sub}@hackspace.example grace`),
  ]);
});

test('a service that ends while it sweeps leaves no lock behind', async () => {
  await claim('garden');
  void w.sweep.run();
  while (!(await w.state.get('sweep/lock'))) await new Promise((done) => setTimeout(done, 1));
  await w.sweep.close();
  expect(await w.state.get('sweep/lock')).toBeUndefined();
  expect((await w.sweepOf(w.store).run()).tenants).toBe(1);
});

test('a sweep asked for while another is under way is refused, a dry run is not', async () => {
  await claim('garden');
  const other = w.sweepOf(w.store);
  const running = w.sweep.run();
  await expect(other.run()).rejects.toMatchObject({
    code: 'conflict',
    message: 'Cannot sweep: another sweep is under way; ask again when it has ended',
  });
  expect((await other.run({ dryRun: true })).tenants).toBe(1);
  await running;
  expect((await other.run()).tenants).toBe(1);
});
