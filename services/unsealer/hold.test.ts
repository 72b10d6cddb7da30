import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDirectory, type State } from '@hackspace/kit/state.ts';
import { openHold } from './hold.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'hold-'));

test('survives a restart, with who and why', async () => {
  const dir = folder();
  const first = await openHold({ state: await openDirectory(dir) });
  expect(first.current().held).toBe(false);
  expect(await first.put('ana', 'someone is in the rack')).toEqual({ durable: true });
  const second = await openHold({ state: await openDirectory(dir) });
  expect(second.current()).toEqual({ held: true, reasons: ['ana: someone is in the rack'] });
  await second.lift('ben');
  expect((await openHold({ state: await openDirectory(dir) })).current().held).toBe(false);
});

test('a file stops sending at once, and lifting the API hold does not lift it', async () => {
  const dir = folder();
  const file = join(dir, 'HOLD');
  const hold = await openHold({ state: await openDirectory(join(dir, 's')), file });
  writeFileSync(file, 'ana: cable trouble\nmore');
  expect(hold.current()).toMatchObject({
    held: true,
    reasons: [`file ${file}: ana: cable trouble`],
  });
  await hold.lift('ben');
  expect(hold.current().held).toBe(true);
  rmSync(file);
  expect(hold.current().held).toBe(false);
  mkdirSync(file);
  expect(hold.current().held).toBe(true);
});

test('state that cannot be read is a hold', async () => {
  const dir = folder();
  const state = await openDirectory(dir);
  await state.set('hold', '{"who": ');
  expect((await openHold({ state })).current()).toMatchObject({ held: true });
});

test('a full disk: the hold is in force, and the answer says it is not kept', async () => {
  const full: State = {
    ...await openDirectory(folder()),
    set: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
  };
  const hold = await openHold({ state: full });
  expect(await hold.put('ana', 'x')).toEqual({ durable: false });
  expect(hold.current().held).toBe(true);
});

test('a lift that cannot be recorded leaves it held', async () => {
  const stuck: State = {
    ...await openDirectory(folder()),
    delete: () => Promise.reject(new Error('read-only')),
  };
  const hold = await openHold({ state: stuck });
  await hold.put('ana', 'x');
  await expect(hold.lift('ben')).rejects.toThrow('read-only');
  expect(hold.current().held).toBe(true);
});

test('the dead-man lease: held until renewed, again when it runs out or the clock is set back', async () => {
  let now = 1_700_000_000_000;
  const state = await openDirectory(folder());
  const hold = await openHold({ state, deadMan: 60_000, now: () => now });
  expect(hold.current().held).toBe(true);
  await hold.renew('ana');
  expect(hold.current().held).toBe(false);
  now += 60_001;
  expect(hold.current().held).toBe(true);
  await hold.renew('ana');
  now -= 3_600_000;
  expect(hold.current().held).toBe(true);
});

test('the latch keeps what was disclosed when a person holds as well', async () => {
  const hold = await openHold({ state: await openDirectory(folder()) });
  await hold.put('unsealer', 'core/bao-1: other cluster', 'core/bao-1: share ab');
  await hold.put('ana', 'I saw it');
  expect(hold.record()).toMatchObject({ who: 'ana', disclosed: ['core/bao-1: share ab'] });
});
