import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { needs } from '../tests/peers/lib/needs.ts';
import { type Redis, startRedis } from '../tests/peers/redis.ts';
import { openState } from './state.ts';

needs('redis')('state in Redis or Valkey', () => {
  let redis: Redis;
  let folder: string;
  beforeAll(async () => {
    redis = await startRedis({ password: 'a password of the test' });
    folder = await mkdtemp(join(tmpdir(), 'hackspace-redis-'));
    await writeFile(join(folder, 'password'), 'a password of the test\n');
  });
  afterAll(async () => {
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const open = (prefix?: string) =>
    openState({
      url: `redis://127.0.0.1:${redis.port}`,
      passwordFile: join(folder, 'password'),
      ...(prefix ? { prefix } : {}),
    });

  test('what one process sets, another reads: bytes, text, lists and deletions', async () => {
    const first = await open();
    const second = await open();
    await first.set('tokens/a', 'one');
    await first.set('tokens/b', new Uint8Array([0, 255, 10, 13]));
    await first.set('other/c', 'three');
    expect(new TextDecoder().decode(await second.get('tokens/a'))).toBe('one');
    expect(await second.get('tokens/b')).toEqual(new Uint8Array([0, 255, 10, 13]));
    expect(await second.list('tokens')).toEqual(['tokens/a', 'tokens/b']);
    await second.delete('tokens/a');
    expect(await first.get('tokens/a')).toBeUndefined();
    await first.close();
    await second.close();
  });

  test('text that looks like encoded bytes comes back as it was', async () => {
    const state = await open();
    for (const text of ['base64:AAAA', '123', 'null', '{"a":1}', 'true', '']) {
      await state.set('k/v', text);
      expect(new TextDecoder().decode(await state.get('k/v')), text).toBe(text);
    }
    await state.close();
  });

  test('of many who add one key, one does, and keeps the others out for its time', async () => {
    const states = await Promise.all([open(), open(), open()]);
    const tries = await Promise.all(
      Array.from({ length: 30 }, (_, i) => states[i % 3]!.add('locks/one', `${i}`, 60_000)),
    );
    expect(tries.filter(Boolean)).toHaveLength(1);
    const kept = new TextDecoder().decode(await states[0]!.get('locks/one'));
    expect(kept).toBe(`${tries.indexOf(true)}`);
    await states[1]!.delete('locks/one');
    expect(await states[1]!.add('locks/one', 'short', 50)).toBe(true);
    await new Promise((done) => setTimeout(done, 100));
    expect(await states[2]!.add('locks/one', 'next', 60_000)).toBe(true);
    for (const state of states) await state.close();
  });

  test('prefixes keep two services apart', async () => {
    const [a, b] = [await open('one'), await open('two')];
    await a.set('k/v', 'a');
    expect(await b.get('k/v')).toBeUndefined();
    expect(await b.list('k')).toEqual([]);
    await a.close();
    await b.close();
  });

  test('a wrong password and a server that is gone are errors without the password', async () => {
    await writeFile(join(folder, 'wrong'), 'not-the-password');
    const url = `redis://127.0.0.1:${redis.port}`;
    const wrong = openState({ url, passwordFile: join(folder, 'wrong') });
    await expect(wrong).rejects.toThrow(/^Cannot read the state in Redis$/);
    const state = await open();
    await redis.process.stop();
    await expect(state.set('k/v', 'x')).rejects.toThrow('Cannot write state k/v in Redis');
    await state.close();
  });
});
