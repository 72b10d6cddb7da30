/** k3s in a container, through @testcontainers/k3s: the usual way on a machine with a container engine. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerLabel, dockerHost, imageIsHere } from '../lib/engine.ts';
import { openSandbox } from '../lib/sandbox.ts';
import versions from '../../../versions.json' with { type: 'json' };
import { Kubernetes, readAccess } from './handle.ts';

/** The pinned image; `HACKSPACE_K3S_IMAGE` names another, such as the locally made stand-in. */
export function k3sImage(): string {
  return process.env.HACKSPACE_K3S_IMAGE ?? versions.images.k3s;
}

/** True when an engine answers and has the image; it is never pulled in the middle of a test. */
export function k3sImageIsHere(): boolean {
  return imageIsHere(k3sImage());
}

/**
 * What is used of @testcontainers/k3s. Its own types bring a second @types/node along, on which `deno check`
 * then trips in files far from here; so the module is named at run time and described by hand.
 */
interface Testcontainers {
  K3sContainer: new (image: string) => Starting;
}
interface Starting {
  withLabels(labels: Record<string, string>): Starting;
  withStartupTimeout(ms: number): Starting;
  start(): Promise<Running>;
}
interface Running {
  getKubeConfig(): string;
  stop(options: { remove: boolean; timeout: number }): Promise<unknown>;
}
const testcontainers: string = '@testcontainers/k3s';

/** `image`: another than the pinned one. `host`: the engine; default the one that is found. */
export async function startContainer(image = k3sImage(), host = dockerHost()): Promise<Kubernetes> {
  if (host) process.env.DOCKER_HOST = host;
  // Ryuk would have to be pulled; what a killed run leaves is removed by the sweep, by container id.
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  // Inside a container Testcontainers takes the bridge's gateway, a name the certificate does not bear.
  process.env.TESTCONTAINERS_HOST_OVERRIDE ??= '127.0.0.1';
  const { K3sContainer } = await import(testcontainers) as Testcontainers;
  const sandbox = await openSandbox('k3s');
  try {
    sandbox.useEngine(process.env.DOCKER_HOST);
    const container = await new K3sContainer(image)
      .withLabels({ [containerLabel]: sandbox.folder })
      .withStartupTimeout(120_000)
      .start();
    sandbox.onEnd(() => container.stop({ remove: true, timeout: 0 }));
    const kubeconfig = join(sandbox.folder, 'kubeconfig');
    writeFileSync(kubeconfig, container.getKubeConfig(), { mode: 0o600 });
    const access = await readAccess(kubeconfig);
    return new Kubernetes(
      'container',
      `${image} in a container`,
      kubeconfig,
      access,
      () => sandbox.end(),
    );
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}
