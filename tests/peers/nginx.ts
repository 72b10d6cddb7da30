/** nginx: static files with ETags and ranges, or whatever `server` block a test writes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statusOf } from './lib/http.ts';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';
import { type Child, openSandbox } from './lib/sandbox.ts';

export const nginx = systemPeer({
  name: 'nginx',
  had: 'Debian package',
  command: 'apt-get install --no-install-recommends nginx-light',
  find: () => findProgram('nginx'),
});

export interface NginxOptions {
  /** Folder to serve; default an empty one of its own, see `Nginx.folder`. */
  folder?: string;
  /** Directives inside the `server` block; `location / { proxy_pass …; }`. */
  server?: string;
  /** Directives inside the `http` block. */
  http?: string;
  /** Default 1. */
  workers?: number;
}

export interface Nginx extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly process: Child;
  stop(): Promise<void>;
}

export async function startNginx(options: NginxOptions = {}): Promise<Nginx> {
  const program = findProgram('nginx');
  if (!program) throw new Error(`Cannot start nginx: ${nginx.missing()}; ${nginx.command}`);
  const sandbox = await openSandbox('nginx');
  try {
    const port = await sandbox.port();
    const www = options.folder ?? join(sandbox.folder, 'www');
    if (!options.folder) mkdirSync(www);
    const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${join(sandbox.folder, name)};`).join('\n  ');
    const config = join(sandbox.folder, 'nginx.conf');
    // As root its workers would run as nobody, who may not read a private folder.
    const user = process.getuid?.() === 0 ? 'user root;\n' : '';
    writeFileSync(
      config,
      `${user}daemon off;
worker_processes ${options.workers ?? 1};
pid ${join(sandbox.folder, 'nginx.pid')};
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  ${scratch}
  types { text/calendar ics; text/html html; text/plain txt; }
  default_type application/octet-stream;
  ${options.http ?? ''}
  server {
    listen 127.0.0.1:${port};
    root ${www};
    ${options.server ?? ''}
  }
}
`,
    );
    const url = `http://127.0.0.1:${port}`;
    const args = ['-c', config, '-p', sandbox.folder, '-e', 'stderr'];
    const child = await sandbox.spawn('nginx', program, args, {
      ready: () => statusOf(url).then((status) => status > 0),
    });
    const end = () => sandbox.end();
    return { url, port, folder: www, process: child, stop: end, [Symbol.asyncDispose]: end };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}
