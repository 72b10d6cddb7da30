import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDirectory, type State } from '@hackspace/kit/state.ts';
import { openTokens, type Tokens } from './tokens.ts';

let folder: string;
let state: State;
let time = 1_000_000;
const open: Tokens[] = [];
async function tokens(pollMs = 0): Promise<Tokens> {
  const made = await openTokens(state, { now: () => time, pollMs, flushMs: 1e9 });
  open.push(made);
  return made;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokens-'));
  state = await openDirectory(folder);
  time = 1_000_000;
});
afterEach(async () => {
  for (const made of open.splice(0)) await made.close();
  await rm(folder, { recursive: true });
});

test('a token is 64 hex digits, found by its hash, and at rest only as SHA-256', async () => {
  const store = await tokens();
  const { token, record } = await store.create({ feed: 'a', label: 'phone', view: 'full' });
  expect(token).toMatch(/^[0-9a-f]{64}$/);
  expect(store.find(token)).toEqual(record);
  expect(store.find('0'.repeat(64))).toBeUndefined();
  for (const name of await readdir(folder, { recursive: true })) {
    expect(name).not.toContain(token);
    const text = await readFile(join(folder, name), 'utf8').catch(() => '');
    expect(text).not.toContain(token);
    expect(text).not.toContain(token.slice(0, 16));
  }
});

test('tokens outlive the process and show when they were used', async () => {
  const first = await tokens();
  const { token, record } = await first.create({ feed: 'a', label: 'phone', view: 'busy' });
  time += 5000;
  first.touch(record);
  await first.close();
  const second = await tokens();
  expect(second.find(token)).toMatchObject({ feed: 'a', view: 'busy' });
  expect(second.list('a')).toMatchObject([{ label: 'phone', lastUsed: 1_005_000 }]);
  expect(second.list('b')).toEqual([]);
});

test('an expired token is not found and shows as expired', async () => {
  const store = await tokens();
  const { token } = await store.create({ feed: 'a', label: 'x', view: 'full', expires: time + 10 });
  expect(store.find(token)).toBeDefined();
  time += 10;
  expect(store.find(token)).toBeUndefined();
  expect(await store.refetch(token)).toBeUndefined();
  expect(store.list()).toMatchObject([{ expired: true }]);
});

test('another process creates, rotates and revokes on the same state', async () => {
  const server = await tokens();
  const cli = await tokens();
  const changes: string[][] = [];
  server.onChange((feeds) => changes.push([...feeds]));

  const { token, record } = await cli.create({ feed: 'a', label: 'x', view: 'full' });
  expect(server.find(token)).toBeUndefined();
  expect(await server.refetch(token)).toMatchObject({ feed: 'a' });

  const next = await cli.rotate(record.id, 1000);
  await server.sync();
  expect(server.find(token)?.replacedBy).toBe(next.record.id);
  expect(server.find(next.token)).toMatchObject({ label: 'x', replaces: record.id });
  time += 1000;
  expect(server.find(token)).toBeUndefined();
  expect(server.find(next.token)).toBeDefined();

  await cli.revoke(next.record.id);
  await server.sync();
  expect(server.find(next.token)).toBeUndefined();
  expect(changes).toEqual([['a'], ['a']]);
});

test('a revocation by another process is not lost behind our own change', async () => {
  const server = await tokens();
  const cli = await tokens();
  const { token, record } = await server.create({ feed: 'a', label: 'x', view: 'full' });
  await cli.sync();
  await cli.revoke(record.id);
  await server.create({ feed: 'b', label: 'y', view: 'full' });
  await server.sync();
  expect(server.find(token)).toBeUndefined();
});

test('making tokens lists them all once behind, not once each', async () => {
  const server = await tokens();
  const cli = await tokens();
  const list = vi.spyOn(state, 'list');
  const labels = Array.from({ length: 10 }, (_, i) => `phone ${i}`);
  for (const label of labels) await server.create({ feed: 'a', label, view: 'full' });
  expect(list).not.toHaveBeenCalled();
  const { token } = await cli.create({ feed: 'b', label: 'x', view: 'full' });
  await Promise.all([
    server.sync(),
    server.create({ feed: 'a', label: 'meanwhile', view: 'full' }),
  ]);
  expect(list).toHaveBeenCalledTimes(1);
  expect(server.find(token)).toBeDefined();
  expect(server.list('a').map((t) => t.label).sort()).toEqual(['meanwhile', ...labels].sort());
});

test('a revoked token does not come back through a read that was under way', async () => {
  const store = await tokens();
  const { token, record } = await store.create({ feed: 'a', label: 'x', view: 'full' });
  const reads = Array.from({ length: 20 }, () => store.refetch(token));
  await store.revoke(record.id);
  await Promise.all(reads);
  expect(store.find(token)).toBeUndefined();
  await expect(store.revoke(record.id)).rejects.toThrow('Cannot find token');
});

test('rotation renews the lifetime, never lengthens the old one, refuses an expired one', async () => {
  const store = await tokens();
  const made = await store.create({ feed: 'a', label: 'x', view: 'full', expires: time + 500 });
  time += 400;
  const next = await store.rotate(made.record.id, 1000);
  expect(next.record.expires).toBe(time + 500);
  expect(store.find(made.token)?.expires).toBe(1_000_500);
  time += 100;
  await expect(store.rotate(made.record.id, 1000)).rejects.toThrow('it has expired');
});

test('a snapshot spares reading every record, and is made good by what happened since', async () => {
  const first = await tokens(1e9);
  const made = [];
  for (const label of ['kept', 'revoked', 'rotated']) {
    made.push(await first.create({ feed: 'a', label, view: 'full' }));
  }
  const [kept, revoked, rotated] = made;
  await first.close();
  const cli = await tokens();
  await cli.revoke(revoked!.record.id);
  const next = await cli.rotate(rotated!.record.id, 1000);
  const read = vi.spyOn(state, 'get');
  const second = await tokens(1e9);
  const asked = read.mock.calls.map(([key]) => key).filter((key) => key.startsWith('tokens/'));
  expect(asked).toHaveLength(2);
  expect(second.find(kept!.token)).toBeDefined();
  expect(second.find(revoked!.token)).toBeUndefined();
  expect(second.find(rotated!.token)?.expires).toBe(time + 1000);
  expect(second.find(next.token)).toBeDefined();
});

test('damaged records are passed over', async () => {
  await state.set(`tokens/${'a'.repeat(64)}`, '{');
  await state.set(`tokens/${'b'.repeat(64)}`, '{"feed":1}');
  await state.set('token-uses', '[');
  await state.set('token-snapshot', '{');
  expect((await tokens()).list()).toEqual([]);
});
