/** Which container engine is here, without asking it more than once a process. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './run.ts';

const sockets = () => [
  '/var/run/docker.sock',
  join(homedir(), '.docker/run/docker.sock'),
  ...(process.env.XDG_RUNTIME_DIR
    ? ['docker.sock', 'podman/podman.sock'].map((s) => join(process.env.XDG_RUNTIME_DIR!, s))
    : []),
];

/** `DOCKER_HOST`, or the first socket that is there; undefined when there is neither. */
export function dockerHost(): string | undefined {
  if (process.env.DOCKER_HOST) return process.env.DOCKER_HOST;
  const socket = sockets().find((path) => existsSync(path));
  return socket ? `unix://${socket}` : undefined;
}

const answers = new Map<string, boolean>();

function succeeds(...args: string[]): boolean {
  const host = dockerHost();
  const docker = findProgram('docker');
  if (!host || !docker) return false;
  const key = [host, ...args].join(' ');
  const known = answers.get(key);
  if (known !== undefined) return known;
  const { status } = spawnSync(docker, ['--host', host, ...args], { timeout: 5_000 });
  answers.set(key, status === 0);
  return status === 0;
}

/** An engine answers. */
export function engineIsHere(): boolean {
  return succeeds('version');
}

/** An engine answers and has the image. */
export function imageIsHere(image: string): boolean {
  return succeeds('image', 'inspect', image);
}

/** Says which sandbox a container belongs to: its folder. */
export const containerLabel = 'dev.hackspace.peers.sandbox';

/** Removes the containers of a sandbox from an engine (`default`: the client's own choice), if it answers. */
export function removeContainers(host: string, sandbox: string): void {
  const docker = findProgram('docker');
  if (!docker) return;
  const at = host === 'default' ? [] : ['--host', host];
  const filter = ['--filter', `label=${containerLabel}=${sandbox}`];
  const list = spawnSync(docker, [...at, 'ps', '--all', '--quiet', ...filter], {
    timeout: 10_000,
    encoding: 'utf8',
  });
  const ids = (list.stdout ?? '').split('\n').filter(Boolean);
  if (ids.length > 0) {
    spawnSync(docker, [...at, 'rm', '--force', '--volumes', ...ids], { timeout: 30_000 });
  }
}
