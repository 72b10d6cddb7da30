/** What Prometheus sees. A node once known keeps its series: its silence must not look like health. */
import type { Metrics } from '@hackspace/kit/metrics.ts';

export interface UnsealMetrics {
  known(cluster: string, node: string): void;
  seen(cluster: string, node: string, state: string): void;
  opened(cluster: string, node: string, seconds: number): void;
  sent(cluster: string, node: string): void;
  failed(cluster: string, node: string): void;
  reset(cluster: string, node: string): void;
  disclosed(cluster: string, node: string): void;
}

export function unsealMetrics(metrics: Metrics): UnsealMetrics {
  const labels = ['cluster', 'node'];
  const open = metrics.gauge('node_open', '1 while the node is unsealed', labels);
  const up = metrics.gauge('node_up', '1 while the node answers as itself', labels);
  const last = metrics.gauge('node_last_look_seconds', 'When it was last looked at', labels);
  const looks = metrics.counter('looks_total', 'Looks at the seal status', labels);
  const shares = metrics.counter('shares_sent_total', 'Shares sent', labels);
  const failures = metrics.counter('shares_failed_total', 'Shares that came to nothing', labels);
  const resets = metrics.counter('resets_total', 'Stale sets cleared', labels);
  const leaks = metrics.counter('shares_disclosed_total', 'Sent to another cluster', labels);
  const seconds = metrics.histogram(
    'unseal_seconds',
    'From the first sign that a node is down or sealed until it is open',
    ['cluster'],
    [0.1, 0.2, 0.4, 0.8, 1.5, 3, 10, 60, 600],
  );
  return {
    known(cluster, node) {
      const at = { cluster, node };
      for (const gauge of [open, up]) gauge.set(at, 0);
      for (const counter of [looks, shares, failures, resets, leaks]) counter.inc(at, 0);
    },
    seen(cluster, node, state) {
      const at = { cluster, node };
      open.set(at, state === 'open' ? 1 : 0);
      up.set(at, ['open', 'sealed', 'uninitialised'].includes(state) ? 1 : 0);
      last.set(at, Math.round(Date.now() / 1000));
      looks.inc(at);
    },
    opened: (cluster, _node, took) => seconds.observe({ cluster }, took),
    sent: (cluster, node) => shares.inc({ cluster, node }),
    failed: (cluster, node) => failures.inc({ cluster, node }),
    reset: (cluster, node) => resets.inc({ cluster, node }),
    disclosed: (cluster, node) => leaks.inc({ cluster, node }),
  };
}
