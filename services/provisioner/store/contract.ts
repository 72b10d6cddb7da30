// What every store must do, run against each of them for real: see *.test.ts and *.peer.test.ts here.
import { AppError } from '@hackspace/kit/errors.ts';
import { expect, test } from 'vitest';
import { openStore } from './queue.ts';
import type { Backend, Change, Snapshot, Store } from './store.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const MEMBER = { name: 'Paying Member', email: 'u1@members.invalid' };

export interface ContractOptions {
  /** A backend on a NEW empty branch or repository; `again` opens the same one as another replica. */
  fresh(): Promise<{ backend: Backend; again(): Promise<Backend>; verify?(): Promise<void> }>;
  /** Commits a test of many writers makes in all. */
  many: number;
}

export function put(path: string, text: string | null, subject = `put ${path}`): Change<string> {
  return {
    author: MEMBER,
    edit: () => ({
      files: new Map([[path, text === null ? null : bytes(text)]]),
      subject,
      trailers: [['Subject', 'https://login.example#u1'], ['Request-Id', 'r-12345678']],
      result: path,
    }),
  };
}

/** Creates `path` unless it is there: what a claim does. */
function claim(path: string, owner: string): Change<string> {
  return {
    author: { name: owner, email: `${owner}@members.invalid` },
    async edit(snapshot: Snapshot) {
      if (await snapshot.read(path)) throw new AppError('conflict', `${path} is taken`);
      return {
        files: new Map([[path, bytes(owner)]]),
        subject: `claim ${path}`,
        trailers: [],
        result: owner,
      };
    },
  };
}

async function textOf(store: Store, path: string): Promise<string | undefined> {
  const found = await (await store.snapshot()).read(path);
  return found && new TextDecoder().decode(found);
}

export function storeContract(options: ContractOptions): void {
  async function opened() {
    const place = await options.fresh();
    return { ...place, store: openStore(place.backend) };
  }

  test('an empty repository reads as nothing, and takes the first commit', async () => {
    const { store, verify } = await opened();
    expect(await textOf(store, 'tenants/a/tenant.json')).toBeUndefined();
    expect(await (await store.snapshot()).list('tenants')).toEqual([]);
    expect(await store.log('tenants', 5)).toEqual([]);
    const { commit } = await store.commit(put('tenants/a/tenant.json', 'one\n'));
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
    expect(await textOf(store, 'tenants/a/tenant.json')).toBe('one\n');
    await verify?.();
    await store.close();
  });

  test('several files in one commit; author, trailers and time are kept', async () => {
    const { store, verify } = await opened();
    await store.commit(put('tenants/a/old.yaml', 'old'));
    const { commit } = await store.commit({
      author: MEMBER,
      edit: () => ({
        files: new Map([
          ['tenants/a/x.yaml', bytes('x: 1\n')],
          ['tenants/a/y.yaml', bytes('y: "ü\u2028"\n')],
          ['tenants/a/old.yaml', null],
        ]),
        subject: 'tenants: update a',
        trailers: [['Subject', 'https://login.example#u1'], ['Request-Id', 'r-1\nInjected: yes']],
        result: undefined,
      }),
    });
    expect(await (await store.snapshot()).list('tenants/a')).toEqual([
      'tenants/a/x.yaml',
      'tenants/a/y.yaml',
    ]);
    const [entry] = await store.log('tenants/a', 1);
    expect(entry).toMatchObject({
      commit,
      author: 'Paying Member',
      subject: 'tenants: update a',
      trailers: { 'Subject': 'https://login.example#u1', 'Request-Id': 'r-1 Injected: yes' },
    });
    expect(Math.abs(Date.parse(entry!.time) - Date.now())).toBeLessThan(60_000);
    await verify?.();
    await store.close();
  });

  test('what is there already makes no commit, a deletion of nothing neither', async () => {
    const { store } = await opened();
    await store.commit(put('tenants/a/x', 'same'));
    expect((await store.commit(put('tenants/a/x', 'same'))).commit).toBeUndefined();
    expect((await store.commit(put('tenants/a/none', null))).commit).toBeUndefined();
    expect(await store.log('tenants', 9)).toHaveLength(1);
    await store.close();
  });

  test('a refusal by the change reaches its caller and no one else', async () => {
    const { store } = await opened();
    await store.commit(put('tenants/a/x', 'first'));
    const results = await Promise.allSettled([
      store.commit(put('tenants/b/x', 'b')),
      store.commit(claim('tenants/a/x', 'mallory')),
      store.commit(put('tenants/c/x', 'c')),
    ]);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await textOf(store, 'tenants/a/x')).toBe('first');
    await store.close();
  });

  test('no path of ours leads out of the repository', async () => {
    const { store } = await opened();
    for (
      const path of [
        '../x',
        '/x',
        '.git/config',
        'a/../b',
        'a//b',
        'a/.git/x',
        'a\nb',
        'x'.repeat(200),
      ]
    ) {
      await expect(store.commit(put(path, 'x')), path).rejects.toThrow(/not one of ours/);
    }
    expect(await store.log('.', 5)).toEqual([]);
    await store.close();
  });

  test('two replicas, overlapping names: one owner each, and the loser is told', async () => {
    const { store: one, again, verify } = await opened();
    const two = openStore(await again());
    await one.commit(put('tenants/start', 'x'));
    const names = Array.from({ length: options.many / 2 }, (_, i) => `tenants/n${i}/tenant.json`);
    const claims = names.flatMap((path) => [
      one.commit(claim(path, 'ada')),
      two.commit(claim(path, 'bob')),
    ]);
    const results = await Promise.allSettled(claims);
    for (const [i, path] of names.entries()) {
      const pair = results.slice(2 * i, 2 * i + 2);
      const won = pair.filter((r) => r.status === 'fulfilled');
      expect(won, path).toHaveLength(1);
      const lost = pair.find((r) => r.status === 'rejected')!;
      expect((lost.reason as Error).message).toBe(`${path} is taken`);
      const fresh = await textOf(i % 2 ? one : two, path);
      expect(fresh).toBe((won[0] as PromiseFulfilledResult<{ result: string }>).value.result);
    }
    await verify?.();
    await Promise.all([one.close(), two.close()]);
  });

  test('many at once: every one is there once, in a commit of its own', async () => {
    const { store, verify } = await opened();
    const paths = Array.from({ length: options.many }, (_, i) => `tenants/m${i}/tenant.json`);
    const done = await Promise.all(paths.map((path, i) => store.commit(put(path, `${i}`))));
    expect(new Set(done.map((d) => d.commit)).size).toBe(options.many);
    expect(await store.log('tenants', 1000)).toHaveLength(options.many);
    expect(await (await store.snapshot()).list('tenants')).toEqual([...paths].sort());
    await verify?.();
    await store.close();
  });
}
