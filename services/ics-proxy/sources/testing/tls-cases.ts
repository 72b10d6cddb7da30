import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { AppError } from '@hackspace/kit/errors.ts';
import { createAuthority } from '../../../../tests/peers/lib/tls.ts';
import { createSource, sourceSchema } from '../source.ts';
import { CALENDAR } from './faulty-upstream.ts';

/** https to literal addresses: names are still checked. Needs openssl, and a folder for keys. */
export const cases: Record<string, (folder: string) => Promise<void>> = {};

const never = new AbortController().signal;

async function start(folder: string, sans: string[]) {
  const authority = await createAuthority(folder, 'sources test CA');
  const { cert, key } = await authority.issue('server', { subject: '/CN=server', sans });
  const seen: { name: string | false; host: string | undefined }[] = [];
  const server = createServer({ cert, key }, (request, response) => {
    const { servername } = request.socket as unknown as { servername: string | false };
    seen.push({ name: servername, host: request.headers.host });
    response.end(CALENDAR);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    fetch(host: string, config: object = { caFile: authority.certFile }) {
      const url = `https://${host}:${port}/`;
      const source = createSource(
        sourceSchema.parse({ id: 'space', url, allowPrivate: ['127.0.0.0/8'], ...config }),
        { lookup: async () => [{ address: '127.0.0.1', family: 4 }] },
      );
      return source.fetch(undefined, never);
    },
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function refused(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof AppError, `expected an AppError, got ${error}`);
  return error.message;
}

cases['the name of the URL is asked for and checked, not the address'] = async (folder) => {
  await using server = await start(join(folder, 'named'), ['DNS:feed.example']);
  assert.equal((await server.fetch('feed.example')).status, 'fresh');
  assert.equal((await server.fetch('feed.example.')).status, 'fresh');
  assert.equal(server.seen[0]!.host, `feed.example:${server.port}`);
  if (server.seen[0]!.name !== undefined) assert.equal(server.seen[0]!.name, 'feed.example');
  assert.match(
    await refused(server.fetch('other.example')),
    /certificate is (for another name|not trusted)/,
  );
  assert.match(
    await refused(server.fetch('127.0.0.1')),
    /certificate is (for another name|not trusted)/,
  );
  assert.equal(server.seen.length, 2);
};

cases['an address may be certified too'] = async (folder) => {
  await using server = await start(join(folder, 'address'), ['IP:127.0.0.1']);
  assert.equal((await server.fetch('127.0.0.1')).status, 'fresh');
};

cases['an authority nobody named is not trusted'] = async (folder) => {
  await using server = await start(join(folder, 'unknown'), ['DNS:feed.example']);
  assert.match(await refused(server.fetch('feed.example', {})), /certificate/);
  assert.equal(server.seen.length, 0);
  const missing = server.fetch('feed.example', { caFile: join(folder, 'none.pem') });
  assert.match(await refused(missing), /caFile cannot be read/);
};
