/**
 * A Kubernetes API to test against: the cluster of `KUBECONFIG` if given; else k3s in a container, where an
 * engine has the image; else the control plane built from source. `HACKSPACE_KUBERNETES` insists on one.
 */
import versions from '../../versions.json' with { type: 'json' };
import { controlPlane } from './kubernetes/build.ts';
import { k3sImage, k3sImageIsHere, startContainer } from './kubernetes/container.ts';
import {
  ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from './kubernetes/control-plane.ts';
import { Kubernetes, type KubernetesSource, readAccess } from './kubernetes/handle.ts';
import type { Peer } from './lib/peer.ts';

export { ControlPlane, type ControlPlaneOptions, startContainer, startControlPlane };
export type { Kubernetes, KubernetesSource };

/** Where `startKubernetes()` would take a cluster from now; undefined when there is none. */
export function kubernetesSource(): KubernetesSource | undefined {
  const wanted = process.env.HACKSPACE_KUBERNETES as KubernetesSource | undefined;
  if (wanted) return wanted;
  if (process.env.KUBECONFIG) return 'given';
  if (k3sImageIsHere()) return 'container';
  return controlPlane.folder() ? 'built' : undefined;
}

/**
 * A cluster for tests that work on any: what they make lies in namespaces of their own. Tests that set the
 * issuer, stop the API server or need two clusters take `startControlPlane`.
 */
export async function startKubernetes(): Promise<Kubernetes> {
  const source = kubernetesSource();
  if (source === 'built') return await startControlPlane();
  if (source === 'container') return await startContainer();
  if (source === undefined) throw new Error(`Cannot start Kubernetes: ${kubernetes.missing()}`);
  const path = process.env.KUBECONFIG!;
  const access = await readAccess(path);
  const end = () => Promise.resolve();
  return new Kubernetes('given', `the cluster of KUBECONFIG, ${access.server}`, path, access, end);
}

/** Any cluster. */
export const kubernetes: Peer = {
  name: 'kubernetes',
  version: versions.tools.kubernetes,
  get had() {
    const source = kubernetesSource();
    if (source === 'given') return 'the cluster of KUBECONFIG';
    if (source === 'container') return `${k3sImage()} in a container`;
    return 'control plane built from the Go module proxy (no kubelet, not k3s)';
  },
  builds: [controlPlane],
  command: `npm run peers -- kubernetes (or: docker pull ${k3sImage()}; or set KUBECONFIG)`,
  missing: () => (kubernetesSource() ? undefined : 'no KUBECONFIG, no k3s image, not built'),
};

/** The built one: tests that need two clusters, an issuer of their own, or to stop the API server. */
export const controlPlanePeer: Peer = {
  name: 'control-plane',
  version: versions.tools.kubernetes,
  had: 'built from the Go module proxy (no kubelet, not k3s)',
  builds: [controlPlane],
  command: 'npm run peers -- control-plane',
  missing: () => (controlPlane.folder() ? undefined : 'not built'),
};
