import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { createApp as icsProxyApp } from '../../services/ics-proxy/app.ts';
import { configSchema as icsProxyConfig } from '../../services/ics-proxy/config.ts';
import { createApp as provisionerApp } from '../../services/provisioner/app.ts';
import { configSchema as provisionerConfig } from '../../services/provisioner/config.ts';
import { openWorld } from '../../services/provisioner/pages/world.ts';
import { schema as unsealerConfig } from '../../services/unsealer/config.ts';
import { type Document, documentsOf, ROOT } from './documents.ts';

// manifests/services against what the services are: what the Ingress opens, who may scrape, how they end.

const of = (kind: string, name: string): Document =>
  documentsOf('manifests/services').map((e) => e.document)
    .find((d) => d.kind === kind && d.metadata.name === name);
const schemas = {
  'ics-proxy': icsProxyConfig,
  provisioner: provisionerConfig,
  unsealer: unsealerConfig,
};
const names = Object.keys(schemas) as (keyof typeof schemas)[];

interface Routed {
  routes: { method: string; path: string }[];
}

/** Every path a service routes; ports are only touched by requests. */
async function pathsOf(name: 'ics-proxy' | 'provisioner'): Promise<string[]> {
  const metrics = createMetrics(name);
  const apps: Routed[] = [];
  if (name === 'ics-proxy') {
    const site = { publicUrl: 'http://cal.example', trustedProxies: [], feeds: {} };
    const admin = { bytes: () => new Uint8Array(8) };
    const ports = { metrics, admin, feeds: {}, tokens: {} };
    apps.push(icsProxyApp(site as never, ports as never).http);
  } else {
    const api = { rateLimit: { points: 1, per: 1000 } };
    apps.push(provisionerApp({ api } as never, { metrics } as never));
    await using world = await openWorld('http://portal.example');
    apps.push(world.app);
  }
  const all = apps.flatMap(({ routes }) => routes).filter(({ method }) => method !== 'ALL')
    .map(({ path }) => path.replace(/:\w+(\{[^}]*\})?/g, 'x'));
  return [...new Set(all)];
}

interface HttpPath {
  path: string;
  pathType: string;
}
const opens = (ingress: Document, path: string) =>
  ingress.spec.rules[0].http.paths.some((each: HttpPath) =>
    path === each.path || (each.pathType === 'Prefix' && path.startsWith(`${each.path}/`))
  );

const INSIDE = /^\/(metrics|healthz|readyz|openapi\.json)$/;

test.each(
  [
    ['ics-proxy', /^\/api\//],
    ['provisioner', undefined],
  ] as const,
)(
  'the Ingress of %s opens what people need, and neither metrics nor health',
  async (name, more) => {
    const ingress = of('Ingress', name);
    const paths = await pathsOf(name);
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) {
      const inside = INSIDE.test(path) || more?.test(path) === true;
      expect([path, opens(ingress, path)]).toEqual([path, !inside]);
    }
    expect(paths.filter((path) => INSIDE.test(path))).toHaveLength(4);
  },
);

test.each(names)(
  'Prometheus may scrape %s, from its own namespace, and nothing else of it',
  (name) => {
    const policy = of('NetworkPolicy', name);
    const port = schemas[name].parse(parse(of('ConfigMap', name).data['config.yaml'])).listen.port;
    const rules = policy.spec.ingress.filter((rule: Document) =>
      rule.from.some((from: Document) =>
        from.namespaceSelector?.matchLabels?.['kubernetes.io/metadata.name'] === 'monitoring'
      )
    );
    expect(rules).toEqual([{
      from: [{
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
      }],
      ports: [{ protocol: 'TCP', port }],
    }]);
    expect(of('Deployment', name).spec.template.spec.containers[0].ports[0].containerPort).toBe(
      port,
    );
  },
);

/** What would lose requests at a restart, or a process before it has finished. */
function restartFaults({ spec }: Document, config: Document): string[] {
  const { template: { spec: pod }, replicas, strategy } = spec;
  const drain = config.listen.drain as number;
  const container = pod.containers[0];
  const faults: string[] = [];
  const fault = (wrong: boolean, text: string) => void (wrong && faults.push(text));
  fault(pod.terminationGracePeriodSeconds < 10 + drain / 1000, 'killed before it has finished');
  fault(container.readinessProbe?.httpGet.path !== '/readyz', 'readiness is not asked of /readyz');
  if (strategy.type === 'Recreate') {
    fault(replicas !== 1, 'several replicas on the state of one');
    fault(drain > 0, 'nobody takes over while it drains');
    return faults;
  }
  const url = typeof config.state === 'string' ? config.state : config.state.url;
  fault(!/^rediss?:/.test(url), 'two processes on one folder');
  fault(strategy.rollingUpdate?.maxUnavailable !== 0, 'one goes before another is ready');
  fault(drain < 3000, 'the door closes before the balancers know');
  return faults;
}

const shipped = (name: keyof typeof schemas) => ({
  deployment: of('Deployment', name),
  config: schemas[name].parse(parse(of('ConfigMap', name).data['config.yaml'])) as Document,
});

test.each(names)('%s as shipped ends in order, one after the other', (name) => {
  const { deployment, config } = shipped(name);
  expect(restartFaults(deployment, config)).toEqual([]);
});

test('without a gap: what docs/operations.md says to change is enough, and each line of it needed', () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const block = (title: string) =>
    parse(new RegExp(`\`\`\`yaml\\n# ${title}\\n([\\s\\S]*?)\`\`\``).exec(page)![1]!);
  for (const name of ['ics-proxy', 'provisioner'] as const) {
    const raw = parse(of('ConfigMap', name).data['config.yaml']);
    const over = block('config.yaml');
    const config = (leave?: 'state' | 'drain') =>
      schemas[name].parse({
        ...raw,
        ...(leave === 'state' ? {} : { state: over.state }),
        listen: { ...raw.listen, ...(leave === 'drain' ? {} : over.listen) },
      }) as Document;
    const { deployment } = shipped(name);
    const spec = { ...deployment.spec, ...block('Deployment').spec };
    expect(restartFaults({ spec }, config())).toEqual([]);
    expect(restartFaults({ spec }, config('state'))).toEqual(['two processes on one folder']);
    expect(restartFaults({ spec }, config('drain'))).toEqual([
      'the door closes before the balancers know',
    ]);
    expect(restartFaults(deployment, config())).toEqual(['nobody takes over while it drains']);
    const hasty = { ...spec, strategy: { type: 'RollingUpdate' } };
    expect(restartFaults({ spec: hasty }, config())).toEqual(['one goes before another is ready']);
  }
});
