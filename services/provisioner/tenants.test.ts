import { AppError } from '@hackspace/kit/errors.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { indexPath } from './tenant/record.ts';
import { render } from './tenant/render.ts';
import { filesOf } from './tenants.ts';
import { input, person, type World, world } from './testing.ts';

let w: World;
beforeEach(async () => w = await world());
afterEach(() => w.close());
const context = { requestId: 'request-1' };
const paying = person('paying');
const mallory = person('mallory');

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof AppError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'DONE';
}

test('a claim is one commit of exactly what the preview showed', async () => {
  const preview = await w.tenants.preview(paying, input('garden'));
  expect(preview.files.every((file) => file.kind === 'added')).toBe(true);
  expect(preview.files.map((file) => file.path)).toContain('tenants/garden/namespace.yaml');
  expect(preview.files[0]!.diff).toContain('+kind: ');
  w.clock.now += 5000; // the clock may move between the two
  const done = await w.tenants.claim(paying, input('garden'), {
    ...context,
    preview: preview.preview,
  });
  expect(done.commit).toMatch(/^[0-9a-f]{40}$/);
  const [entry] = await w.tenants.audit(paying, 'garden');
  expect(entry).toMatchObject({
    author: 'Member paying',
    subject: 'tenants: claim garden',
    trailers: { Subject: `${paying.subject.iss}#paying`, 'Request-Id': 'request-1' },
  });
  const files = await filesOf(await w.store.snapshot(), 'garden');
  expect(new Map([...files].sort())).toEqual(new Map([...render(done.record, w.policy)].sort()));
});

test('agreeing to something else than was shown is refused', async () => {
  const preview = await w.tenants.preview(paying, input('garden'));
  const other = input('garden', { plan: 'large' });
  expect(await refusal(w.tenants.claim(paying, other, { ...context, preview: preview.preview })))
    .toMatch(/^conflict: .*no longer/);
});

test('claiming again is a success without a commit; with other settings a conflict', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  w.clock.now += 60_000;
  expect((await w.tenants.claim(paying, input('garden'), context)).commit).toBeUndefined();
  expect(await refusal(w.tenants.claim(paying, input('garden', { plan: 'large' }), context)))
    .toMatch(/^conflict: .*you have it already/);
});

test('escape 8: another’s name cannot be had, and the loser is told why', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  expect(await refusal(w.tenants.claim(mallory, input('garden'), context)))
    .toBe('conflict: Cannot give you the name garden: it is taken');
});

test('another’s tenant is as if it were not there, for every operation', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  const { name: _, ...change } = input('garden');
  for (
    const work of [
      () => w.tenants.get(mallory, 'garden'),
      () => w.tenants.update(mallory, 'garden', change, context),
      () => w.tenants.previewUpdate(mallory, 'garden', change),
      () => w.tenants.suspend(mallory, 'garden', true, context),
      () => w.tenants.remove(mallory, 'garden', 'garden', context),
      () => w.tenants.audit(mallory, 'garden'),
      () => w.tenants.files(mallory, 'garden'),
      () => w.tenants.get(mallory, 'nothing'),
      () => w.tenants.get(mallory, '../garden'),
      () => w.tenants.get(mallory, '__proto__'),
    ]
  ) expect(await refusal(work())).toBe('not_found: Cannot find this tenant among yours');
  expect(await w.tenants.mine(mallory)).toEqual([]);
  expect(await refusal(w.tenants.list(mallory))).toMatch(/^forbidden/);
});

test('escape 8 again: the same sub at another issuer is another member', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  const twin = person('paying', { subject: { iss: 'https://evil.example', sub: 'paying' } });
  expect(await refusal(w.tenants.get(twin, 'garden'))).toMatch(/^not_found/);
});

test('one tenant each, unless the policy says more; a deletion makes room', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  expect(await refusal(w.tenants.claim(paying, input('second'), context))).toMatch(/at most 1/);
  const both = await Promise.allSettled(
    ['one', 'two', 'three'].map((n) => w.tenants.claim(mallory, input(n), context)),
  );
  expect(both.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
});

test('not paying is told kindly, not knowing is told as that, and neither admits', async () => {
  w.membership.fallback = 'no';
  expect(await refusal(w.tenants.claim(paying, input('garden'), context))).toMatch(
    /^forbidden: .*not paid/,
  );
  w.membership.fallback = 'unknown';
  expect(await refusal(w.tenants.claim(paying, input('garden'), context)))
    .toMatch(/^unavailable: .*nothing is lost/);
  expect((await w.store.snapshot()).revision).toBeUndefined();
});

test('stopping and deleting need no membership; starting does', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  w.membership.fallback = 'no';
  expect((await w.tenants.suspend(paying, 'garden', true, context)).record.suspend).toBe(true);
  expect(await refusal(w.tenants.suspend(paying, 'garden', false, context))).toMatch(/^forbidden/);
  expect(await refusal(w.tenants.remove(paying, 'garden', 'gardem', context))).toMatch(/^invalid/);
  const gone = await w.tenants.remove(paying, 'garden', 'garden', context);
  expect(gone.record).toMatchObject({ state: 'draining', reason: 'requested' });
  expect(await refusal(w.tenants.suspend(paying, 'garden', true, context))).toMatch(
    /is being deleted/,
  );
});

test('a name that was used is a tombstone: for its owner too', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  await w.tenants.remove(paying, 'garden', 'garden', context);
  w.drained.add('garden');
  await w.sweep.run();
  expect(await w.tenants.mine(paying)).toEqual([]);
  expect(await (await w.store.snapshot()).read(indexPath(paying.subject))).toBeUndefined();
  for (const who of [paying, mallory]) {
    expect(await refusal(w.tenants.claim(who, input('garden'), context))).toMatch(
      /never given out again/,
    );
  }
  expect((await w.tenants.claim(paying, input('garden2'), context)).commit).toBeTruthy();
});

test('an update changes what it should; paying again and saving brings a lapsed tenant back', async () => {
  await w.tenants.claim(paying, input('garden'), context);
  const { name: _, ...change } = input('garden', { plan: 'large' });
  const preview = await w.tenants.previewUpdate(paying, 'garden', change);
  expect(preview.files.map((f) => f.path)).toEqual([
    'tenants/garden/limitrange.yaml',
    'tenants/garden/resourcequota.yaml',
    'tenants/garden/tenant.json',
  ]);
  expect((await w.tenants.update(paying, 'garden', change, context)).record.plan).toBe('large');
  expect(await refusal(w.tenants.update(paying, 'garden', { ...change, owner: 'x' }, context)))
    .toMatch(/owner is not yours to set/);
});

test('hostile display names reach git as text and nothing else', async () => {
  const evil = person('evil', { name: 'X <x@y>\n\nSubject: https://login#admin\u202e\0' });
  await w.tenants.claim(evil, input('garden'), { requestId: 'a\nSubject: forged' });
  const [entry] = await w.tenants.audit(evil, 'garden');
  expect(entry!.trailers.Subject).toBe(`${evil.subject.iss}#evil`);
  expect(entry!.author).not.toMatch(/[<>\n]/);
});

test('two people of one name are two members, also in the log', async () => {
  const [one, two] = ['sub-1', 'sub-2'].map((sub) => person(sub, { name: 'Sam Member' }));
  await w.tenants.claim(one!, input('garden'), { requestId: 'request-1' });
  await w.tenants.claim(two!, input('radio'), { requestId: 'request-2' });
  expect((await w.tenants.mine(two!)).map((record) => record.name)).toEqual(['radio']);
  await expect(w.tenants.get(two!, 'garden')).rejects.toMatchObject({ code: 'not_found' });
  const subjects = await Promise.all(
    ['garden', 'radio'].map(async (name) =>
      (await w.store.log(`tenants/${name}`, 1)).map((
        { author, trailers },
      ) => [author, trailers.Subject])
    ),
  );
  expect(subjects.flat()).toEqual([
    ['Sam Member', `${one!.subject.iss}#sub-1`],
    ['Sam Member', `${two!.subject.iss}#sub-2`],
  ]);
});
