/**
 * A Debian mirror on loopback for a guest in qemu: it passes requests on to the mirror that this machine's apt is
 * configured with. `dists/SUITE/Release` is the body of InRelease, checked here by gpgv: some mirrors hold the two
 * at different ages, and the installer then finds no file whose hash is right.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface Mirror extends AsyncDisposable {
  port: number;
  /** Paths that the upstream mirror refused, with its status. */
  refused: Map<string, number>;
  served: number;
}

/** The archive's address in apt's own configuration: the first one whose path ends in /debian. */
export async function configuredMirror(): Promise<URL> {
  const { stdout } = await exec('apt-get', ['indextargets', '--format', '$(SITE)']);
  for (const line of stdout.split('\n')) {
    if (/\/debian\/?$/.test(line)) return new URL(`${line.replace(/\/$/, '')}/`);
  }
  throw new Error('Cannot find a Debian mirror: apt-get indextargets names none');
}

export async function startMirror(): Promise<Mirror> {
  const upstream = await configuredMirror();
  const refused = new Map<string, number>();
  const mirror = { port: 0, refused, served: 0 };

  async function get(path: string, response: ServerResponse): Promise<void> {
    const release = /^debian\/(dists\/[\w-]+)\/Release$/.exec(path);
    if (/^debian\/dists\/[\w-]+\/Release\.gpg$/.test(path)) {
      return void response.writeHead(404).end();
    }
    const url = new URL(release ? `/debian/${release[1]}/InRelease` : `/${path}`, upstream);
    const answer = await fetch(url, { signal: AbortSignal.timeout(120_000) });
    if (!answer.ok || !answer.body) {
      refused.set(path, answer.status);
      return void response.writeHead(answer.status).end();
    }
    mirror.served++;
    if (release) return void response.end(await checked(await answer.text()));
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

/** What is signed in an InRelease; throws if no key of the archive signed it. */
async function checked(signed: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'release-'));
  try {
    const [from, to] = [join(folder, 'InRelease'), join(folder, 'Release')];
    await writeFile(from, signed);
    await exec('gpgv', ['--keyring', keyring, '--output', to, from]);
    return await readFile(to, 'utf8');
  } finally {
    await rm(folder, { recursive: true });
  }
}
