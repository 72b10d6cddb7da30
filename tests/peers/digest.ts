/** Web servers that guard one folder by Digest: Apache httpd (MD5, nextnonce, stale) and lighttpd (SHA-256). */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statusOf } from './lib/http.ts';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';
import { openSandbox, type Sandbox } from './lib/sandbox.ts';

const MODULES = '/usr/lib/apache2/modules';

export const apacheDigest = systemPeer({
  name: 'apache-digest',
  had: 'Debian package',
  command: 'apt-get install apache2-bin',
  find: () => findProgram('apache2') && existsSync(`${MODULES}/mod_auth_digest.so`),
});

export const lighttpdDigest = systemPeer({
  name: 'lighttpd-digest',
  had: 'Debian package',
  command: 'apt-get install lighttpd',
  find: () => findProgram('lighttpd') && existsSync('/usr/lib/lighttpd/mod_auth.so'),
});

export interface DigestOptions {
  user?: string;
  password?: string;
  realm?: string;
  /** Apache only: seconds a nonce lives; 0 = each answer brings the next one. Default 300. */
  nonceLifetime?: number;
}

export interface DigestServer extends AsyncDisposable {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly log: string;
  /** Apache only: the status of every answer so far. */
  statuses(): string[];
  /** Puts a file where the password is asked for. */
  write(name: string, content: string): void;
  /** Comes back with other nonces. */
  restart(): Promise<void>;
}

interface Setup extends Required<DigestOptions> {
  port: number;
  www: string;
  accessLog: string;
}

export function startApacheDigest(options: DigestOptions = {}): Promise<DigestServer> {
  return start('apache2', options, (sandbox, setup) => {
    const { folder } = sandbox;
    const modules = [
      'mpm_event',
      'authn_core',
      'authn_file',
      'authz_core',
      'authz_user',
      'auth_digest',
      'mime',
    ];
    writeFileSync(
      join(folder, 'conf'),
      `${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
ServerName 127.0.0.1
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/pid
Listen 127.0.0.1:${setup.port}
ErrorLog ${folder}/error.log
LogFormat "%>s" seen
CustomLog ${setup.accessLog} seen
TypesConfig /dev/null
AddType text/calendar .ics
DocumentRoot ${setup.www}
<Directory ${setup.www}>
  AuthType Digest
  AuthName "${setup.realm}"
  AuthDigestProvider file
  AuthDigestNonceLifetime ${setup.nonceLifetime}
  AuthUserFile ${folder}/users
  Require valid-user
</Directory>
`,
    );
    writeUsers(folder, setup, 'md5');
    return ['-X', '-f', join(folder, 'conf')];
  });
}

export function startLighttpdDigest(options: DigestOptions = {}): Promise<DigestServer> {
  return start('lighttpd', options, ({ folder }, setup) => {
    writeFileSync(
      join(folder, 'conf'),
      `server.modules = ("mod_auth", "mod_authn_file")
server.bind = "127.0.0.1"
server.port = ${setup.port}
server.document-root = "${setup.www}"
mimetype.assign = (".ics" => "text/calendar")
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "${folder}/users"
auth.require = ("/" => ("method" => "digest", "algorithm" => "SHA-256", "realm" => "${setup.realm}", "require" => "valid-user"))
`,
    );
    writeUsers(folder, setup, 'sha256');
    return ['-D', '-f', join(folder, 'conf')];
  });
}

function writeUsers(folder: string, { user, realm, password }: Setup, hash: string): void {
  const digest = createHash(hash).update(`${user}:${realm}:${password}`).digest('hex');
  writeFileSync(join(folder, 'users'), `${user}:${realm}:${digest}\n`);
}

async function start(
  program: string,
  options: DigestOptions,
  configure: (sandbox: Sandbox, setup: Setup) => string[],
): Promise<DigestServer> {
  const found = findProgram(program);
  if (!found) throw new Error(`Cannot start ${program}: not on PATH`);
  const sandbox = await openSandbox(`${program}-digest`);
  try {
    const port = await sandbox.port();
    const setup: Setup = {
      user: 'ada',
      password: 'digest-s3cret',
      realm: 'Calendars',
      nonceLifetime: 300,
      ...options,
      port,
      www: join(sandbox.folder, 'www'),
      accessLog: join(sandbox.folder, 'access.log'),
    };
    mkdirSync(setup.www);
    const args = configure(sandbox, setup);
    const url = `http://127.0.0.1:${port}`;
    const child = await sandbox.spawn(program, found, args, {
      ready: async () => await statusOf(`${url}/`) === 401,
    });
    return {
      url,
      user: setup.user,
      password: setup.password,
      log: child.log,
      statuses: () =>
        existsSync(setup.accessLog) ? readFileSync(setup.accessLog, 'utf8').trim().split('\n') : [],
      write: (name, content) => writeFileSync(join(setup.www, name), content),
      async restart() {
        await child.stop();
        await child.start();
      },
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}
