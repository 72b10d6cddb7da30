import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics, type Metrics } from '@hackspace/kit/metrics.ts';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { createApp as icsProxyApp } from '../../services/ics-proxy/app.ts';
import { fetchCounter } from '../../services/ics-proxy/measure.ts';
import { createApp as provisionerApp } from '../../services/provisioner/app.ts';
import { createApp as unsealerApp } from '../../services/unsealer/app.ts';
import { startBridges } from '../../services/unsealer/bridge/bridge.ts';
import { unsealMetrics } from '../../services/unsealer/metrics.ts';
import { ROOT } from './documents.ts';

// An alert on a metric that no longer exists never fires, and nobody notices. So every name and label in
// monitoring/ is held against what the services' own code registers.

interface Registered {
  name: string;
  labelNames: string[];
  type: string;
}

/** What the three register when they start. The ports of the apps are only touched by requests. */
async function registered(): Promise<Map<string, Set<string>>> {
  const [icsProxy, provisioner, unsealer] = ['ics-proxy', 'provisioner', 'unsealer']
    .map(createMetrics) as [Metrics, Metrics, Metrics];
  fetchCounter(icsProxy);
  const site = { publicUrl: 'http://cal.example', trustedProxies: [], feeds: {} };
  icsProxyApp(site as never, { metrics: icsProxy, feeds: {}, tokens: {} } as never);
  const api = { rateLimit: { points: 1, per: 1000 } };
  provisionerApp({ api } as never, { metrics: provisioner } as never);
  unsealMetrics(unsealer);
  await startBridges({}, { metrics: unsealer } as never);
  unsealerApp({ metrics: unsealer } as never);

  const names = new Map<string, Set<string>>();
  for (const { registry } of [icsProxy, provisioner, unsealer]) {
    for (const metric of registry.getMetricsAsArray() as unknown as Registered[]) {
      const labels = metric.labelNames;
      if (metric.type === 'histogram') {
        names.set(`${metric.name}_bucket`, new Set([...labels, 'le']));
        for (const end of ['_sum', '_count']) names.set(metric.name + end, new Set(labels));
      } else names.set(metric.name, new Set(labels));
    }
  }
  return names;
}

const known = await registered();

/** Every fault of one PromQL expression with the texts that use its labels. */
function faults(expr: string, texts: string[] = []): string[] {
  const used = [...new Set(expr.match(/\b(?:ics_proxy|provisioner|unsealer)_\w+/g))];
  if (used.length === 0) return [`no metric of ours in: ${expr}`];
  const unknown = used.filter((name) => !known.has(name)).map((name) => `no metric ${name}`);
  // A scrape adds these two.
  const labels = new Set([
    'instance',
    'job',
    ...used.flatMap((name) => [...known.get(name) ?? []]),
  ]);
  const asked = [
    ...[...expr.matchAll(/(\w+)\s*(?:=~|!~|!=|=(?!=))\s*"/g)].map(([, label]) => label!),
    ...[...expr.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)]
      .flatMap(([, list]) => list!.split(',').map((label) => label.trim())),
    ...texts.flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!)),
    ...texts.flatMap((text) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)),
  ].filter(Boolean);
  const strange = asked.filter((label) => !labels.has(label));
  return [...unknown, ...strange.map((label) => `no label ${label} in: ${expr}`)];
}

const text = (name: string) => readFileSync(join(ROOT, 'monitoring', name), 'utf8');
interface Rule {
  alert: string;
  expr: string;
  annotations: Record<string, string>;
}
const rules: Rule[] = parse(text('rules.yaml')).groups.flatMap((g: { rules: Rule[] }) => g.rules);

test('the check itself sees a wrong name and a wrong label', () => {
  expect(faults('unsealer_nodes_open == 0')).toEqual(['no metric unsealer_nodes_open']);
  expect(faults('unsealer_node_open{feed="a"} == 0')).toHaveLength(1);
  expect(faults('sum by (view) (unsealer_node_open)')).toHaveLength(1);
  expect(faults('unsealer_node_open', ['{{ $labels.feed }}'])).toHaveLength(1);
  expect(faults('up == 0')).toHaveLength(1);
});

test('every alert rests on metrics and labels that exist', () => {
  expect(rules.length).toBeGreaterThan(15);
  for (const rule of rules) {
    expect.soft(faults(rule.expr, Object.values(rule.annotations)), rule.alert).toEqual([]);
  }
  expect(new Set(rules.map((rule) => rule.alert)).size).toBe(rules.length);
});

test('every panel rests on metrics and labels that exist, and none lies over another', () => {
  const { panels, templating } = JSON.parse(text('dashboard.json'));
  const queried = panels.filter((panel: { type: string }) => panel.type !== 'row');
  expect(queried.length).toBeGreaterThan(9);
  for (const panel of queried) {
    for (const { expr, legendFormat = '' } of panel.targets) {
      expect.soft(faults(expr, [legendFormat]), panel.title).toEqual([]);
    }
    expect(panel.datasource.uid).toBe('${datasource}');
  }
  expect(templating.list.map((each: { name: string }) => each.name)).toEqual(['datasource']);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }: never) =>
    Array.from({ length: w * h }, (_, i) => `${x + i % w},${y + Math.floor(i / w)}`)
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(new Set(panels.map((panel: { id: number }) => panel.id)).size).toBe(panels.length);
});

test('every metric of a service is watched by a rule or shown on the dashboard', () => {
  const all = text('rules.yaml') + text('dashboard.json');
  const unseen = [...known.keys()].filter((name) => !/_(sum|count|bucket)$/.test(name))
    .filter((name) => !all.includes(name));
  expect(unseen).toEqual([]);
});
