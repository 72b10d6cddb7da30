import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectory, type State } from '@hackspace/kit/state.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lastGoodStore } from './last-good.ts';
import type { FetchResult, Source, Validators } from './source.ts';

const never = new AbortController().signal;
const bytes = (text: string) => new TextEncoder().encode(text);
let folder: string;
let state: State;
let now = 1_000_000;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'last-good-'));
  state = await openDirectory(folder);
});
afterEach(() => rm(folder, { recursive: true }));

/** Answers what it is told, and notes what it was asked with. */
function scripted() {
  const asked: (Validators | undefined)[] = [];
  let next: FetchResult | Error = new Error('not told');
  let body: (() => Promise<Uint8Array | undefined>) | undefined;
  const source: Source = {
    id: 'space',
    async fetch(previous, _signal, before) {
      asked.push(previous);
      body = before;
      if (next instanceof Error) throw next;
      return next;
    },
  };
  return {
    asked,
    source,
    previousBody: () => body!(),
    tell: (result: FetchResult | Error) => void (next = result),
    fresh: (text: string, etag: string) =>
      void (next = { status: 'fresh', bytes: bytes(text), validators: { etag } }),
  };
}

test('what a source gave outlives failures and restarts', async () => {
  const it = scripted();
  const store = lastGoodStore(state, () => now);
  expect(await store.load('feed/space')).toBeUndefined();
  it.fresh('one', '1');
  expect(await store.refresh(it.source, 'feed/space', never)).toMatchObject({ changed: true });
  it.tell(new Error('down'));
  await expect(store.refresh(it.source, 'feed/space', never)).rejects.toThrow('down');

  const later = lastGoodStore(state, () => now + 5_000);
  expect(await later.load('feed/space')).toEqual({
    bytes: bytes('one'),
    validators: { etag: '1' },
    fetchedAt: now,
    checkedAt: now,
  });
  it.tell({ status: 'unchanged', validators: { etag: '1' } });
  expect(await later.refresh(it.source, 'feed/space', never)).toEqual({
    changed: false,
    fetchedAt: now,
    checkedAt: now + 5_000,
  });
  expect(it.asked).toEqual([undefined, { etag: '1' }, { etag: '1' }]);
  expect(await it.previousBody()).toEqual(bytes('one'));
});

test('a confirmation is written now and then, changed validators at once', async () => {
  const it = scripted();
  const store = lastGoodStore(state, () => now);
  const kept = async () => (await lastGoodStore(state).load('feed/space'))!;
  it.fresh('one', '1');
  await store.refresh(it.source, 'feed/space', never);
  const start = now;
  it.tell({ status: 'unchanged', validators: { etag: '1' } });
  for (const [minutes, written] of [[1, 0], [6, 0], [11, 11], [12, 11]] as const) {
    now = start + minutes * 60_000;
    await store.refresh(it.source, 'feed/space', never);
    expect((await kept()).checkedAt).toBe(start + written * 60_000);
  }
  it.tell({ status: 'unchanged', validators: { etag: '2' } });
  now += 1;
  await store.refresh(it.source, 'feed/space', never);
  expect(await kept()).toMatchObject({ checkedAt: now, validators: { etag: '2' } });
});

test('only the newest body stays on disk', async () => {
  const it = scripted();
  const store = lastGoodStore(state);
  for (const n of ['1', '2', '3']) {
    it.fresh(`body ${n}`, n);
    await store.refresh(it.source, 'feed/space', never);
  }
  expect(await readdir(join(folder, 'last-good/feed/space'))).toHaveLength(2);
});

test('a crash between body and meta leaves the old pair', async () => {
  const it = scripted();
  it.fresh('one', '1');
  await lastGoodStore(state).refresh(it.source, 'feed/space', never);
  const crashing: State = {
    ...state,
    set: (key, value) =>
      key.endsWith('/meta') ? Promise.reject(new Error('crash')) : state.set(key, value),
  };
  it.fresh('two', '2');
  await expect(lastGoodStore(crashing).refresh(it.source, 'feed/space', never)).rejects.toThrow(
    'crash',
  );
  expect(await lastGoodStore(state).load('feed/space')).toMatchObject({
    bytes: bytes('one'),
    validators: { etag: '1' },
  });
});

test.each(['', 'short', 'same length!'])(
  'a damaged body (%j) is fetched anew, never shown',
  async (damage) => {
    const it = scripted();
    it.fresh('twelve bytes', '1');
    await lastGoodStore(state).refresh(it.source, 'feed/space', never);
    const place = join(folder, 'last-good/feed/space');
    const body = (await readdir(place)).find((name) => name.startsWith('body'))!;
    await writeFile(join(place, body), damage);
    const store = lastGoodStore(state);
    expect(await store.load('feed/space')).toBeUndefined();
    await store.refresh(it.source, 'feed/space', never);
    expect(it.asked.at(-1)).toBeUndefined();
    expect(await lastGoodStore(state).load('feed/space')).toMatchObject({
      bytes: bytes('twelve bytes'),
    });
  },
);

test('damaged meta is as good as none', async () => {
  await state.set('last-good/feed/space/meta', '{"v":1,"body":"../../secret"}');
  expect(await lastGoodStore(state).load('feed/space')).toBeUndefined();
  await state.set('last-good/feed/space/meta', '{');
  expect(await lastGoodStore(state).load('feed/space')).toBeUndefined();
});

test('keys cannot lead out of their folder', async () => {
  for (const key of ['../x', 'a/../b', 'a/b/c', '', 'A']) {
    await expect(lastGoodStore(state).load(key)).rejects.toThrow(/bad key/);
  }
});
