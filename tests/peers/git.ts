/** Bare repositories over smart HTTP on loopback, through git's own http-backend: fetch and push. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { systemPeer } from './lib/peer.ts';
import { findProgram, runOk } from './lib/run.ts';
import { openSandbox } from './lib/sandbox.ts';

export const gitPeer = systemPeer({
  name: 'git',
  had: 'git of the system, http-backend',
  command: 'apt-get install git',
  find: () => findProgram('git'),
});

export interface GitRequest {
  method: string;
  path: string;
  userAgent: string;
}

export interface GitServer extends AsyncDisposable {
  /** Ends in a slash; a repository is `url + name + '.git'`. */
  readonly url: string;
  /** What was asked so far. */
  readonly requests: readonly GitRequest[];
  /** Makes a bare repository with branch main. */
  createRepository(name: string): Promise<GitRepository>;
  stop(): Promise<void>;
}

export interface GitRepository {
  readonly url: string;
  /** Path of the bare repository. */
  readonly folder: string;
  /** Writes files (null removes one) and pushes them as one commit; returns its hash. */
  commit(files: Record<string, string | null>, message?: string): Promise<string>;
  git(...args: string[]): Promise<string>;
}

/** Basic credentials that every request must bear, if given. */
export interface GitOptions {
  username?: string;
  password?: string;
}

const identity = ['-c', 'user.name=test', '-c', 'user.email=test@hackspace.test'];
// Nobody's own configuration decides a test.
const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };

export async function startGit(options: GitOptions = {}): Promise<GitServer> {
  const sandbox = await openSandbox('git');
  const root = join(sandbox.folder, 'repositories');
  mkdirSync(root);
  const requests: GitRequest[] = [];
  const { username, password } = options;
  const wanted = username === undefined ? undefined : `Basic ${btoa(`${username}:${password}`)}`;
  const server = createServer((request, response) => {
    const userAgent = request.headers['user-agent'] ?? '';
    requests.push({ method: request.method!, path: request.url!, userAgent });
    if (wanted && request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    } else backend(root, request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  sandbox.onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    requests,
    createRepository: (name) => createBare(join(root, `${name}.git`), `${url}${name}.git`),
    stop: () => sandbox.end(),
    [Symbol.asyncDispose]: () => sandbox.end(),
  };
}

/** Makes the bare repository `folder`, which its server offers as `url`. */
export async function createBare(folder: string, url: string): Promise<GitRepository> {
  await runOk('git', ['init', '--quiet', '--bare', '--initial-branch=main', folder], { env });
  await runOk('git', ['-C', folder, 'config', 'http.receivepack', 'true'], { env });
  const git = (...args: string[]) => runOk('git', ['-C', folder, ...args], { env });
  return {
    url,
    folder,
    git,
    async commit(files, message = 'change') {
      const work = mkdtempSync(`${folder}-work-`);
      const within = (...args: string[]) =>
        runOk('git', ['-C', work, ...identity, ...args], { env });
      try {
        await runOk('git', ['clone', '--quiet', folder, work], { env });
        await within('checkout', '--quiet', '-B', 'main');
        for (const [path, content] of Object.entries(files)) {
          const file = join(work, path);
          mkdirSync(dirname(file), { recursive: true });
          if (content === null) rmSync(file);
          else writeFileSync(file, content);
        }
        await within('add', '--all');
        await within('commit', '--quiet', '--allow-empty', '--message', message);
        await within('push', '--quiet', 'origin', 'main');
        return (await within('rev-parse', 'HEAD')).trim();
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

/** One request through `git http-backend`, a CGI program: headers, an empty line, the body. */
function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://git.test');
  const { headers } = request;
  const cgi = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      ...env,
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'test', // without a user's name it takes no push
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: headers['content-type'],
      CONTENT_LENGTH: headers['content-length'],
      HTTP_CONTENT_ENCODING: headers['content-encoding'] as string | undefined,
      GIT_PROTOCOL: headers['git-protocol'] as string | undefined,
    },
  });
  request.pipe(cgi.stdin).on('error', () => {}); // it may answer without reading all
  cgi.on('error', () => response.destroy());
  response.on('close', () => cgi.kill());
  let head = Buffer.alloc(0);
  const begin = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    cgi.stdout.off('data', begin);
    const fields = head.subarray(0, end).toString('latin1').split('\r\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
    const status = fields.find(([name]) => name === 'status')?.[1] ?? '200';
    response.writeHead(
      parseInt(status),
      Object.fromEntries(fields.filter(([n]) => n !== 'status')),
    );
    response.write(head.subarray(end + 4));
    cgi.stdout.pipe(response);
  };
  cgi.stdout.on('data', begin);
  cgi.on('close', () => response.end());
}
