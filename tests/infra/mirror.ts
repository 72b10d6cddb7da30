/** A Debian mirror on loopback for a guest in qemu: it passes requests on to the one that this machine's apt is configured with. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

const exec = promisify(execFile);

export interface Mirror extends AsyncDisposable {
  port: number;
  /** Paths that the upstream mirror refused, with its status. */
  refused: Map<string, number>;
}

/** The archive's address in apt's own configuration: the first one whose path ends in /debian. HACKSPACE_DEBIAN_MIRROR is another. */
export async function configuredMirror(): Promise<URL> {
  const given = process.env.HACKSPACE_DEBIAN_MIRROR;
  if (given) return new URL(`${given.replace(/\/$/, '')}/`);
  const { stdout } = await exec('apt-get', ['indextargets', '--format', '$(SITE)']);
  for (const line of stdout.split('\n')) {
    if (/\/debian\/?$/.test(line)) return new URL(`${line.replace(/\/$/, '')}/`);
  }
  throw new Error('Cannot find a Debian mirror: apt-get indextargets names none');
}

export async function startMirror(): Promise<Mirror> {
  const upstream = await configuredMirror();
  const refused = new Map<string, number>();
  const mirror = { port: 0, refused };

  async function get(path: string, response: ServerResponse): Promise<void> {
    const answer = await fetch(new URL(`/${path}`, upstream), {
      signal: AbortSignal.timeout(120_000),
    });
    if (!answer.ok || !answer.body) {
      refused.set(path, answer.status);
      return void response.writeHead(answer.status).end();
    }
    const length = answer.headers.get('content-length');
    response.writeHead(200, length ? { 'content-length': length } : {});
    await pipeline(Readable.fromWeb(answer.body as never), response);
  }

  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://guest').pathname).slice(1);
    if (request.method !== 'GET' || !/^debian(-security)?\//.test(path) || path.includes('..')) {
      return void response.writeHead(403).end();
    }
    get(path, response).catch(() =>
      response.headersSent ? response.destroy() : response.writeHead(502).end()
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  mirror.port = (server.address() as AddressInfo).port;
  return Object.assign(mirror, {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
}

/**
 * Why the installer with this `kernel` could not use what the mirror says of `suite`; undefined if it could. A mirror that keeps
 * files for a while may hold a release, its index of installer components and the components at different ages.
 */
export async function unfit(
  { port }: Mirror,
  suite: string,
  kernel: string,
): Promise<string | undefined> {
  const index = 'main/debian-installer/binary-amd64/Packages.gz';
  const [release, packages] = await Promise.all(['Release', index].map(async (path) => {
    const url = `http://127.0.0.1:${port}/debian/dists/${suite}/${path}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) });
    return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined;
  }));
  if (!release || !packages) return `it has no ${release ? index : 'Release'} of ${suite}`;
  const sum = createHash('sha256').update(packages).digest('hex');
  const named = release.toString().split('\n').some((line) =>
    line.startsWith(` ${sum} `) && line.endsWith(` ${index}`)
  );
  if (!named) return `its ${index} is not the one that the Release of ${suite} names`;
  if (gunzipSync(packages).toString().includes(`\nKernel-Version: ${kernel}\n`)) return undefined;
  return `its ${index} of ${suite} has nothing for the kernel ${kernel} of the netboot files`;
}
