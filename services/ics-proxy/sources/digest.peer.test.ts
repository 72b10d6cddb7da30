import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type DigestServer,
  startApacheDigest,
  startLighttpdDigest,
} from '../../../tests/peers/digest.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { createSource, type Source, sourceSchema } from './source.ts';
import { CALENDAR } from './testing/faulty-upstream.ts';

const never = new AbortController().signal;
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'digest-'))));
afterAll(() => rm(folder, { recursive: true }));

async function sourceOf(server: DigestServer, password = server.password): Promise<Source> {
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password);
  server.write('space.ics', CALENDAR);
  return createSource(sourceSchema.parse({
    id: 'space',
    url: `${server.url}/space.ics`,
    allowPrivate: true,
    auth: { type: 'digest', username: server.user, passwordFile },
  }));
}

/** How many answers are in the log, which Apache writes a moment after each. */
async function settled(server: DigestServer): Promise<number> {
  let count = server.statuses().length;
  for (let last = -1; count !== last; count = server.statuses().length) {
    last = count;
    await new Promise((done) => setTimeout(done, 200));
  }
  return count;
}

needs('apache-digest')('Digest with Apache httpd', () => {
  test('one challenge, then one nonce for many fetches', async () => {
    await using server = await startApacheDigest();
    const source = await sourceOf(server);
    const before = await settled(server);
    const first = await source.fetch(undefined, never);
    expect(first.status === 'fresh' && Buffer.from(first.bytes).toString()).toBe(CALENDAR);
    const second = await source.fetch(first.validators, never);
    expect(second.status).toBe('unchanged');
    await source.fetch(undefined, never);
    // Each worker of the server logs for itself: the order of the lines is not that of the answers.
    await expect.poll(() => server.statuses().slice(before).sort()).toEqual([
      '200',
      '200',
      '304',
      '401',
    ]);
  });

  test('a nonce that has grown old is renewed', async () => {
    await using server = await startApacheDigest({ nonceLifetime: 1 });
    const source = await sourceOf(server);
    await source.fetch(undefined, never);
    await new Promise((done) => setTimeout(done, 2_100));
    const before = await settled(server);
    expect((await source.fetch(undefined, never)).status).toBe('fresh');
    await expect.poll(() => server.statuses().slice(before)).toEqual(['401', '200']);
  });

  test('a server that has forgotten its nonces is answered anew', async () => {
    await using server = await startApacheDigest();
    const source = await sourceOf(server);
    await source.fetch(undefined, never);
    await server.restart();
    expect((await source.fetch(undefined, never)).status).toBe('fresh');
  });

  test('a wrong password is asked for help, not hammered with', async () => {
    await using server = await startApacheDigest();
    const source = await sourceOf(server, 'wr0ng-s3cret');
    const before = await settled(server);
    const error = await source.fetch(undefined, never).catch((e: unknown) => e);
    expect(error).toMatchObject({
      name: 'StalledError',
      message: 'Cannot fetch source space: answer is 401: credentials are missing or refused',
    });
    await expect.poll(() => server.statuses().slice(before)).toEqual(['401', '401']);
    const again = await sourceOf(server);
    expect((await again.fetch(undefined, never)).status).toBe('fresh');
  });

  test('realms and names with quotes and umlauts', async () => {
    await using server = await startApacheDigest({ user: 'Jürgen "J"', password: 'Käse: "1"' });
    expect((await (await sourceOf(server)).fetch(undefined, never)).status).toBe('fresh');
  });
});

needs('lighttpd-digest')('Digest with lighttpd', () => {
  test('SHA-256', async () => {
    await using server = await startLighttpdDigest();
    const source = await sourceOf(server);
    const first = await source.fetch(undefined, never);
    expect(first.status === 'fresh' && Buffer.from(first.bytes).toString()).toBe(CALENDAR);
    expect((await source.fetch(first.validators, never)).status).toBe('unchanged');
    const wrong = await sourceOf(server, 'wr0ng-s3cret');
    await expect(wrong.fetch(undefined, never)).rejects.toMatchObject({ name: 'StalledError' });
  });
});
