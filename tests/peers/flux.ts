/** Flux' own controllers, run beside a Kubernetes API instead of in it; git over smart HTTP on loopback. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import {
  helmController,
  kustomizeController,
  notificationController,
  sourceController,
} from './flux/build.ts';
import { type GitServer, startGit } from './git.ts';
import { type Kubernetes, startControlPlane } from './kubernetes.ts';
import { controlPlane } from './kubernetes/build.ts';
import { statusOf } from './lib/http.ts';
import { builtPeer } from './lib/peer.ts';
import { type Child, openSandbox } from './lib/sandbox.ts';
import { waitFor } from './lib/wait.ts';

const { tools } = versions;
const standIn = 'source-controller packs and stores artifacts by a module of ours ' +
  '(flux/recipe/artifact), since the one of Flux is not to be had';

export const flux = builtPeer({
  name: 'flux',
  version: `${tools['source-controller']}, ${tools['kustomize-controller']}`,
  had: 'source- and kustomize-controller built from the Go module proxy, run out of cluster',
  standIn,
  builds: [controlPlane, sourceController, kustomizeController],
});

export const helm = builtPeer({
  name: 'flux-helm',
  version: tools['helm-controller'],
  had: 'helm-controller built from the Go module proxy, run out of cluster',
  standIn,
  builds: [controlPlane, sourceController, helmController],
});

export const notification = builtPeer({
  name: 'flux-notification',
  version: tools['notification-controller'],
  had: 'notification-controller built from the Go module proxy, run out of cluster',
  standIn,
  builds: [controlPlane, sourceController, notificationController],
});

export interface FluxOptions {
  /** The cluster to reconcile; default a built control plane that ends with this. */
  kubernetes?: Kubernetes;
  /** Default false. True starts helm-controller too. */
  helm?: boolean;
  /** Default false. True starts notification-controller too, for Receivers. */
  notification?: boolean;
  /** More arguments of kustomize-controller. Set already: the lockdown flags, and short retry times. */
  kustomizeArgs?: string[];
  /** More environment of kustomize-controller. */
  kustomizeEnv?: Record<string, string>;
  sourceArgs?: string[];
}

export interface Flux extends AsyncDisposable {
  readonly kubernetes: Kubernetes;
  readonly git: GitServer;
  readonly sourceController: Child;
  readonly kustomizeController: Child;
  readonly helmController: Child | undefined;
  /** Where a Receiver's `status.webhookPath` begins, with `notification`. */
  readonly webhooks: string | undefined;
  /** The message and revision of a Flux object's Ready condition. */
  ready(kind: string, namespace: string, name: string): Promise<Ready>;
  /** Waits until it is Ready, at `revision` (a part of it) if given; rejects with the last message. */
  waitReady(kind: string, namespace: string, name: string, revision?: string): Promise<Ready>;
  /** Waits until Ready is False with a message that matches. */
  waitRefused(kind: string, namespace: string, name: string, why: RegExp): Promise<Ready>;
  /** Asks for a reconciliation now, as `flux reconcile` does. */
  reconcile(kind: string, namespace: string, name: string): Promise<void>;
  stop(): Promise<void>;
}

export interface Ready {
  status: 'True' | 'False' | 'Unknown' | undefined;
  reason: string;
  message: string;
  revision: string;
}

const common = ['--enable-leader-election=false', '--watch-all-namespaces', '--metrics-addr=0'];
/** What the lockdown sets on the real controllers; tests of tenants stand on them. */
export const lockdown = ['--no-cross-namespace-refs=true', '--default-service-account=default'];
export const kustomizeLockdown = [...lockdown, '--no-remote-bases=true'];
const brisk = ['--requeue-dependency=1s', '--min-retry-delay=250ms'];

export async function startFlux(options: FluxOptions = {}): Promise<Flux> {
  const { helm: helmed, notification: notified } = options;
  for (const peer of [flux, ...(helmed ? [helm] : []), ...(notified ? [notification] : [])]) {
    const missing = peer.missing();
    if (missing) throw new Error(`Cannot start Flux: ${missing}; ${peer.command}`);
  }
  const sandbox = await openSandbox('flux');
  try {
    const cluster = options.kubernetes ?? await startControlPlane();
    if (!options.kubernetes) sandbox.onEnd(() => cluster.stop());
    const git = await startGit();
    sandbox.onEnd(() => git.stop());
    const builds = [
      sourceController,
      kustomizeController,
      ...(helmed ? [helmController] : []),
      ...(notified ? [notificationController] : []),
    ];
    const crds = builds.flatMap((build) => ['-f', join(build.folder()!, 'crds')]);
    await cluster.kubectl(['apply', '--server-side', ...crds]);
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'flux-system' } };
    await cluster.apply(JSON.stringify(namespace));

    const tmp = join(sandbox.folder, 'tmp');
    const storage = join(sandbox.folder, 'artifacts');
    for (const folder of [tmp, storage]) mkdirSync(folder);
    const env = { KUBECONFIG: cluster.kubeconfig, RUNTIME_NAMESPACE: 'flux-system', TMPDIR: tmp };
    const controller = async (
      name: string,
      folder: string,
      args: string[],
      more: Record<string, string> = {},
    ) => {
      const health = await sandbox.port();
      return await sandbox.spawn(name, join(folder, 'bin', name), [
        ...common,
        `--health-addr=127.0.0.1:${health}`,
        ...args,
      ], {
        env: { ...env, ...more },
        ready: async () => await statusOf(`http://127.0.0.1:${health}/readyz`) === 200,
      });
    };
    const artifacts = `127.0.0.1:${await sandbox.port()}`;
    const [receivers, events] = [await sandbox.port(), await sandbox.port()];
    const [source, kustomize, helmRunning] = await Promise.all([
      controller('source-controller', sourceController.folder()!, [
        `--storage-path=${storage}`,
        `--storage-addr=${artifacts}`,
        `--storage-adv-addr=${artifacts}`,
        ...options.sourceArgs ?? [],
      ]),
      controller('kustomize-controller', kustomizeController.folder()!, [
        ...kustomizeLockdown,
        ...brisk,
        ...options.kustomizeArgs ?? [],
      ], options.kustomizeEnv),
      helmed
        ? controller('helm-controller', helmController.folder()!, [...lockdown, ...brisk])
        : undefined,
      notified
        ? controller('notification-controller', notificationController.folder()!, [
          '--no-cross-namespace-refs=true',
          `--receiverAddr=127.0.0.1:${receivers}`,
          `--events-addr=127.0.0.1:${events}`,
        ])
        : undefined,
    ]);
    const parts = { sourceController: source, kustomizeController: kustomize };
    return {
      kubernetes: cluster,
      git,
      ...parts,
      helmController: helmRunning,
      webhooks: notified ? `http://127.0.0.1:${receivers}` : undefined,
      ...watching(cluster),
      stop: () => sandbox.end(),
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

const groups: Record<string, string> = {
  gitrepository: 'source.toolkit.fluxcd.io/v1',
  helmrepository: 'source.toolkit.fluxcd.io/v1',
  helmchart: 'source.toolkit.fluxcd.io/v1',
  bucket: 'source.toolkit.fluxcd.io/v1',
  kustomization: 'kustomize.toolkit.fluxcd.io/v1',
  helmrelease: 'helm.toolkit.fluxcd.io/v2',
  receiver: 'notification.toolkit.fluxcd.io/v1',
};

function watching(
  cluster: Kubernetes,
): Pick<Flux, 'ready' | 'waitReady' | 'waitRefused' | 'reconcile'> {
  const pathOf = (kind: string, namespace: string, name: string) => {
    const singular = kind.toLowerCase();
    const group = groups[singular];
    if (!group) throw new Error(`Cannot look at a ${kind}: not a kind of Flux`);
    const plural = singular.replace(/y$/, 'ie') + 's';
    return `/apis/${group}/namespaces/${namespace}/${plural}/${name}`;
  };
  const ready: Flux['ready'] = async (kind, namespace, name) => {
    const object = await cluster.call(pathOf(kind, namespace, name));
    const { status = {}, metadata } = object;
    const condition = (status.conditions ?? []).find((c: { type: string }) => c.type === 'Ready');
    // The status as a whole lags behind where a refusal is final; the condition says what it is about.
    const seen = condition?.observedGeneration === metadata.generation;
    const revision = status.lastAppliedRevision ?? status.artifact?.revision ?? '';
    return {
      status: seen ? condition?.status : undefined,
      reason: condition?.reason ?? '',
      message: condition?.message ?? '',
      revision,
    };
  };
  const waited = async (
    what: string,
    look: () => Promise<Ready>,
    test: (ready: Ready) => boolean,
  ) => {
    let last: Ready | undefined;
    await waitFor(what, async () => test(last = await look()), {
      everyMs: 100,
      explain: () => JSON.stringify(last),
    });
    return last!;
  };
  return {
    ready,
    waitReady: (kind, namespace, name, revision = '') =>
      waited(
        `${kind} ${namespace}/${name} to be ready`,
        () => ready(kind, namespace, name),
        (r) => r.status === 'True' && r.revision.includes(revision),
      ),
    waitRefused: (kind, namespace, name, why) =>
      waited(
        `${kind} ${namespace}/${name} to be refused for ${why}`,
        () => ready(kind, namespace, name),
        (r) => r.status === 'False' && why.test(r.message),
      ),
    async reconcile(kind, namespace, name) {
      const annotations = { 'reconcile.fluxcd.io/requestedAt': new Date().toISOString() };
      await cluster.call(pathOf(kind, namespace, name), {
        method: 'PATCH',
        headers: { 'content-type': 'application/merge-patch+json' },
        body: { metadata: { annotations } },
      });
    },
  };
}
