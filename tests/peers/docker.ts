/** A container engine: the one that is there, else one started here for the test (Linux, as root). */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { lackingCapabilities, writeRuntime } from './docker/runtime.ts';
import { controlPlane } from './kubernetes/build.ts';
import { dockerHost, engineIsHere } from './lib/engine.ts';
import { goBuild } from './lib/go.ts';
import { here } from './lib/here.ts';
import type { Peer } from './lib/peer.ts';
import { findProgram, run, runOk } from './lib/run.ts';
import { openSandbox } from './lib/sandbox.ts';

const standIn = goBuild({
  name: 'k3s-stand-in',
  folder: here(import.meta, 'docker/k3s-stand-in'),
  package: '.',
  binary: 'k3s',
});

const canStartOne = () =>
  process.platform === 'linux' && process.getuid?.() === 0 &&
  findProgram('dockerd') !== undefined && findProgram('docker') !== undefined;

export const docker: Peer = {
  name: 'docker',
  version: 'of the system',
  had: 'the running engine, else a dockerd of its own (as root)',
  builds: [],
  command: 'install Docker or Podman (Debian: apt-get install docker.io)',
  missing: () => (engineIsHere() || canStartOne() ? undefined : 'no engine answers'),
};

export const k3sStandIn: Peer = {
  name: 'k3s-stand-in',
  version: versions.tools.kubernetes,
  had: 'image made here of the built control plane',
  standIn:
    'it is NOT k3s: etcd, API server and controllers under its name; no kubelet, no pod runs',
  builds: [controlPlane, standIn],
  command: 'npm run peers -- k3s-stand-in',
  missing: () => (controlPlane.folder() && standIn.folder() ? undefined : 'not built'),
};

export interface Docker extends AsyncDisposable {
  /** For `DOCKER_HOST`. */
  readonly host: string;
  /** True when it was started here and ends with this. */
  readonly own: boolean;
  /** Standard output of the docker client. */
  docker(...args: string[]): Promise<string>;
  /** Makes the k3s stand-in image; returns its name. */
  importStandIn(): Promise<string>;
  stop(): Promise<void>;
}

export async function startDocker(): Promise<Docker> {
  const found = engineIsHere() ? dockerHost() : undefined;
  if (!found && !canStartOne()) {
    throw new Error(`Cannot start a container engine: ${docker.missing()}; ${docker.command}`);
  }
  const sandbox = await openSandbox('docker');
  const { folder } = sandbox;
  try {
    const host = found ?? `unix://${join(folder, 'docker.sock')}`;
    const client = (...args: string[]) =>
      runOk('docker', ['--host', host, ...args], { timeoutMs: 300_000 });
    if (!found) {
      const lacking = lackingCapabilities();
      const runtime = join(folder, 'runtime.cjs');
      if (lacking.length > 0) writeRuntime(runtime, findProgram('runc')!, lacking);
      const config = join(folder, 'daemon.json');
      writeFileSync(
        config,
        JSON.stringify({
          'data-root': join(folder, 'data'),
          'exec-root': join(folder, 'exec'),
          pidfile: join(folder, 'docker.pid'),
          hosts: [host],
          // No rule of the machine is touched; docker-proxy publishes ports.
          iptables: false,
          ip6tables: false,
          ...(lacking.length > 0
            ? { 'default-runtime': 'less', runtimes: { less: { path: runtime } } }
            : {}),
        }),
      );
      const ready = async () => (await run('docker', ['--host', host, 'version'])).code === 0;
      await sandbox.spawn('dockerd', findProgram('dockerd')!, ['--config-file', config], {
        ready,
        gentle: true,
      });
    }
    return {
      host,
      own: !found,
      docker: client,
      importStandIn: () => importStandIn(folder, client),
      stop: () => sandbox.end(),
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

/** From nothing but static programs: no base image, no registry. */
async function importStandIn(
  folder: string,
  client: (...args: string[]) => Promise<string>,
): Promise<string> {
  const [plane, launcher] = [controlPlane.folder(), standIn.folder()];
  if (!plane || !launcher) throw new Error(`Cannot make an image: ${k3sStandIn.command}`);
  const name = `hackspace/k3s-stand-in:v${versions.tools.kubernetes}`;
  const root = mkdtempSync(join(folder, 'root-'));
  for (const path of ['bin', 'tmp', 'run', 'var/run', 'var/lib', 'etc', 'sys', 'proc', 'dev']) {
    mkdirSync(join(root, path), { recursive: true });
  }
  copyFileSync(join(launcher, 'bin/k3s'), join(root, 'bin/k3s'));
  copyFileSync(join(plane, 'bin/controlplane'), join(root, 'bin/controlplane'));
  for (const part of ['etcd', 'kube-apiserver', 'kube-controller-manager']) {
    symlinkSync('controlplane', join(root, 'bin', part));
  }
  const archive = `${root}.tar`;
  await runOk('tar', ['-C', root, '-cf', archive, '.']);
  const change = ['--change', 'ENTRYPOINT ["/bin/k3s"]', '--change', 'EXPOSE 6443'];
  await client('import', ...change, archive, name);
  rmSync(root, { recursive: true });
  rmSync(archive);
  return name;
}
