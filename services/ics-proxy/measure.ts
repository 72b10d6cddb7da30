import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Metrics } from '@hackspace/kit/metrics.ts';
import type { Feeds } from './feeds.ts';

/** Counts fetches by result; for `createFeeds`. */
export function fetchCounter(metrics: Metrics) {
  const fetches = metrics.counter(
    'source_fetches_total',
    'Fetches of sources, by result: fresh, unchanged or error',
    ['feed', 'source', 'result'],
  );
  return (feed: string, source: string, result: string) => fetches.inc({ feed, source, result });
}

/**
 * The metrics with what an operator watches, current whenever they are read. Labels are feed and source
 * ids of the config, never a token.
 */
export function feedMetrics(
  metrics: Metrics,
  feeds: Feeds,
  counts: ReadonlyMap<number, number>,
): Metrics {
  const counted = new Map<number, number>();
  const requests = metrics.counter(
    'feed_requests_total',
    'Answers on feed URLs since the start, by status',
    ['status'],
  );
  const age = metrics.gauge(
    'source_age_seconds',
    'Time since the upstream last confirmed the source; absent when it never did',
    ['feed', 'source'],
  );
  const failures = metrics.gauge('source_failures', 'Failed attempts in a row', ['feed', 'source']);
  const put = metrics.gauge(
    'source_quarantined',
    'Components of the source that could not be taken in',
    ['feed', 'source'],
  );
  const bytes = metrics.gauge('feed_bytes', 'Size as rendered', ['feed', 'view']);
  const components = metrics.gauge('feed_components', 'Components rendered', ['feed', 'view']);
  const modified = metrics.gauge(
    'feed_modified_timestamp_seconds',
    'When the content last changed',
    ['feed', 'view'],
  );

  let scrape: Promise<string> | undefined;

  async function collect(): Promise<string> {
    for (const [status, n] of counts) {
      requests.inc({ status: String(status) }, n - (counted.get(status) ?? 0));
      counted.set(status, n);
    }
    for (const gauge of [age, failures, put, bytes, components, modified]) gauge.reset();
    for (const [n, id] of feeds.ids().entries()) {
      if (n % 50 === 49) await nextTurn();
      const [feed] = feeds.health(id);
      if (!feed) continue;
      for (const source of feed.sources) {
        const labels = { feed: feed.id, source: source.id };
        if (source.ageSeconds !== undefined) age.set(labels, source.ageSeconds);
        failures.set(labels, source.failures);
        put.set(labels, source.quarantinedCount);
      }
      for (const view of feed.views) {
        const labels = { feed: feed.id, view: view.view };
        bytes.set(labels, view.bytes);
        components.set(labels, view.components);
        modified.set(labels, Date.parse(view.lastModified) / 1000);
      }
    }
    return await metrics.text();
  }
  return {
    ...metrics,
    // Who asks meanwhile gets the same: the gauges are filled in steps.
    text: () => scrape ??= collect().finally(() => scrape = undefined),
  };
}
