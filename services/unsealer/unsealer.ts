/** From a config to a running unsealer: opens what it names, starts a loop a cluster, serves. */
import { getLogger } from '@hackspace/kit/log.ts';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { serve } from '@hackspace/kit/serve.ts';
import { openState } from '@hackspace/kit/state.ts';
import { alertSender, createAlerts } from './alerts.ts';
import { createApp } from './app.ts';
import { openKubernetes } from './bridge/api.ts';
import { startBridges } from './bridge/bridge.ts';
import { createCallers } from './callers.ts';
import { watchAnnotation } from './cluster/annotation.ts';
import { type Hint, startDiscovery } from './cluster/discovery.ts';
import { startElection } from './cluster/election.ts';
import type { ClusterConfig, Config } from './config.ts';
import { openHold } from './hold.ts';
import { type NodePlan, startCluster } from './loop.ts';
import { unsealMetrics } from './metrics.ts';
import { connectNode } from './openbao.ts';
import { readCa } from './pinned.ts';
import { planOf } from './plan.ts';

const log = getLogger(['unsealer']);
export const VERSION = '0.1.0';

export interface Running {
  url: string;
  port: number;
  close(): Promise<void>;
}

/** Throws AppError `invalid` when a share file or a CA cannot be used: nothing is half-started. */
export async function startUnsealer(config: Config): Promise<Running> {
  const plans = await Promise.all(
    Object.entries(config.clusters).map(async ([id, cluster]) => ({
      cluster,
      ca: await readCa(cluster.caFile),
      plan: await planOf(id, cluster),
    })),
  );
  const state = await openState(config.state);
  const metrics = createMetrics('unsealer');
  const alerts = createAlerts({ helper: config.helper, send: config.alerts.map(alertSender) });
  const hold = await openHold({ state, file: config.hold.file, deadMan: config.hold.deadMan });
  const kube = config.kubernetes && await openKubernetes(config.kubernetes);
  const background: { stop(): Promise<void> }[] = [];
  const election = typeof config.elected === 'object'
    ? startElection(kube!, { ...config.elected, identity: config.helper })
    : undefined;
  if (election) background.push(election);
  if (config.hold.annotation) background.push(watchAnnotation(kube!, hold, config.hold.annotation));
  const ports = {
    hold,
    alerts,
    metrics: unsealMetrics(metrics),
    elected: () => election?.elected() ?? config.elected === true,
  };
  const clusters = plans.map(({ cluster, ca, plan }) => {
    const loop = startCluster(plan, ports);
    for (const node of cluster.nodes) loop.add(nodeOf(node, ca));
    const { discover } = cluster;
    if (discover) {
      const plan = (hint: Hint) => nodeOf({ ...hint, san: discover.san, spki: undefined }, ca);
      background.push(startDiscovery(discover, loop, plan, { kube }));
    }
    return loop;
  });
  for (const { id, shares } of plans.map(({ plan }) => plan)) {
    log.info('shares opened', { cluster: id, fingerprints: shares.map((s) => s.fingerprint) });
  }
  const bridges = await startBridges(config.bridges, { state, alerts, metrics });
  const app = createApp({
    helper: config.helper,
    version: VERSION,
    clusters,
    hold,
    alerts,
    metrics,
    wake: createCallers(config.callers.wake),
    operators: createCallers(config.callers.operators),
    doctor: () => bridges.doctor(),
    bridges: () => bridges.status(),
  });
  const served = await serve(app, config.listen);
  return {
    url: served.url,
    port: served.port,
    async close() {
      await served.close();
      await Promise.all([...background, ...clusters, bridges].map((each) => each.stop()));
      kube?.close();
      await state.close();
    },
  };
}

function nodeOf(node: ClusterConfig['nodes'][number], ca: string): NodePlan {
  const { id, url, san, spki } = node;
  return { id, connect: (onClose) => connectNode({ url, ca, san, spki, onClose }) };
}
