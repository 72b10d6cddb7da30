/** OpenSSH's server as a forge runs it: one key, confined to git-shell, may fetch and push. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createBare, type GitRepository } from './git.ts';
import { systemPeer } from './lib/peer.ts';
import { findProgram, runOk } from './lib/run.ts';
import { type Child, openSandbox } from './lib/sandbox.ts';

const programs = ['sshd', 'ssh', 'ssh-keygen', 'git-shell'];

export const sshd = systemPeer({
  name: 'sshd',
  had: 'Debian package, with git-shell behind it',
  command: 'apt-get install --no-install-recommends openssh-server openssh-client git',
  find: () => programs.every(findProgram),
});

export interface Sshd extends AsyncDisposable {
  readonly port: number;
  /** Path of the private key that is let in. */
  readonly keyFile: string;
  /** Path of a known_hosts with this server's key. */
  readonly knownHostsFile: string;
  readonly process: Child;
  /** Makes a bare repository with branch main. */
  createRepository(name: string): Promise<GitRepository>;
  /** Makes another key pair; nobody knows it. Returns the private key's path. */
  createKey(name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startSshd(): Promise<Sshd> {
  if (sshd.missing()) throw new Error(`Cannot start sshd: ${sshd.missing()}; ${sshd.command}`);
  const sandbox = await openSandbox('sshd');
  try {
    const port = await sandbox.port();
    const within = (name: string) => join(sandbox.folder, name);
    const createKey = async (name: string) => {
      const path = within(name);
      await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path]);
      return path;
    };
    const publicKey = (path: string) => readFileSync(`${path}.pub`, 'utf8').trim();
    const [hostKey, keyFile] = [await createKey('host'), await createKey('deploy')];
    writeFileSync(
      within('authorized_keys'),
      `restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" ${publicKey(keyFile)}\n`,
    );
    writeFileSync(within('known_hosts'), `[127.0.0.1]:${port} ${publicKey(hostKey)}\n`);
    writeFileSync(
      within('sshd_config'),
      `ListenAddress 127.0.0.1:${port}
HostKey ${hostKey}
AuthorizedKeysFile ${within('authorized_keys')}
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
# The folder is in one that everybody may write to.
StrictModes no
`,
    );
    // Root's sshd confines itself in it; a service manager would have made it.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    const child = await sandbox.spawn('sshd', findProgram('sshd')!, [
      '-D',
      '-e',
      '-f',
      within('sshd_config'),
    ], { ready: () => greets(port) });
    const end = () => sandbox.end();
    return {
      port,
      keyFile,
      knownHostsFile: within('known_hosts'),
      process: child,
      createKey,
      createRepository(name) {
        const folder = within(`${name}.git`);
        return createBare(folder, `ssh://${userInfo().username}@127.0.0.1:${port}${folder}`);
      },
      stop: end,
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(2000, () => socket.destroy());
    socket.on('data', (data) => {
      done(data.toString('latin1').startsWith('SSH-2.0-'));
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => done(false));
  });
}
