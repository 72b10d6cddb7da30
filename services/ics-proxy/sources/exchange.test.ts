import { execFile } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../../tests/peers/lib/run.ts';
import type { Lookup } from './address.ts';
import { dial, lookup } from './exchange.ts';
import { createSource, sourceSchema } from './source.ts';
import { startFaultyUpstream } from './testing/faulty-upstream.ts';
import { startFlippingDns } from './testing/flipping-dns.ts';
import { cases } from './testing/tls-cases.ts';

const never = new AbortController().signal;

describe('a DNS server that changes its answer', () => {
  test('is asked once a hop; what it says next reaches no private listener', async () => {
    await using dns = await startFlippingDns(['93.184.216.34', '127.0.0.1']);
    await using listener = await startFaultyUpstream();
    const resolver = new Resolver();
    resolver.setServers([dns.server]);
    const ask: Lookup = async (name) =>
      (await resolver.resolve4(name)).map((address) => ({ address, family: 4 }));
    const dialled: unknown[] = [];
    const source = createSource(
      sourceSchema.parse({ id: 'space', url: `http://rebind.example:${listener.port}/ok` }),
      {
        lookup: ask,
        dial(protocol, options) {
          dialled.push(options.host);
          // the public address itself is never called from a test
          const none = { ...options, host: '127.0.0.1', port: 1 };
          return dial(protocol, options.host === '93.184.216.34' ? none : options);
        },
      },
    );
    await expect(source.fetch(undefined, never)).rejects.toThrow(/connection refused/);
    expect(dns.asked()).toBe(1);
    await expect(source.fetch(undefined, never)).rejects.toThrow(/address is loopback/);
    expect(dns.asked()).toBe(2);
    expect(dialled).toEqual(['93.184.216.34']);
    expect(listener.connections()).toBe(0);
  });

  test('the system’s resolver is what asks otherwise, and all it says is judged', async () => {
    expect((await lookup('localhost')).length).toBeGreaterThan(0);
    const source = createSource(sourceSchema.parse({ id: 'space', url: 'http://localhost:1/' }));
    await expect(source.fetch(undefined, never)).rejects.toThrow(/address is loopback/);
  });
});

const openssl = findProgram('openssl');
if (!openssl) process.stderr.write('SKIPPED for want of openssl: TLS of sources\n');
describe.skipIf(!openssl)('https to a literal address', () => {
  let folder: string;
  beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'tls-'))));
  afterAll(() => rm(folder, { recursive: true }));
  for (const [name, run] of Object.entries(cases)) test(name, () => run(folder));
});

test('no proxy setting of the environment moves a request, from the start of the process', async () => {
  await using upstream = await startFaultyUpstream();
  await using proxy = await startFaultyUpstream();
  const script = `
    import { createSource, sourceSchema } from ${
    JSON.stringify(new URL('./source.ts', import.meta.url).href)
  };
    const source = createSource(sourceSchema.parse({ id: 'x', url: process.argv[1], allowPrivate: true }));
    const result = await source.fetch(undefined, new AbortController().signal);
    process.stdout.write(result.status);`;
  const env = { ...process.env, NODE_USE_ENV_PROXY: '1' };
  for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY']) {
    Object.assign(env, { [name]: proxy.origin });
  }
  const ran = await promisify(execFile)(
    process.execPath,
    ['--input-type=module-typescript', '-e', script, `${upstream.origin}/ok`],
    { env },
  );
  expect(ran.stdout).toBe('fresh');
  expect(proxy.connections()).toBe(0);
});
