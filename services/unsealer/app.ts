/** The HTTP surface. No answer and no page holds a share; a call can wake the loop, never steer it. */
import { createRoute, z } from '@hono/zod-openapi';
import { AppError } from '@hackspace/kit/errors.ts';
import { createHttp, prefersHtml } from '@hackspace/kit/http.ts';
import type { Metrics } from '@hackspace/kit/metrics.ts';
import type { Alerts } from './alerts.ts';
import type { Finding } from './bridge/findings.ts';
import type { Callers } from './callers.ts';
import type { HoldSwitch } from './hold.ts';
import type { ClusterLoop, NodeStatus } from './loop.ts';
import { errorPage, statusPage } from './pages.ts';

export interface Ports {
  helper: string;
  version: string;
  clusters: ClusterLoop[];
  hold: HoldSwitch;
  alerts: Alerts;
  metrics: Metrics;
  /** May wake. */
  wake: Callers;
  /** May hold, lift, renew, confirm, and ask the doctor. */
  operators: Callers;
  doctor: () => Promise<Finding[]>;
  bridges: () => { bridge: string; text: string; ok: boolean }[];
}

/** What `/status` answers. */
export interface Status {
  helper: string;
  open: boolean;
  held: boolean;
  reasons: string[];
  /** Shares that reached a node of another cluster. Rotate the unseal key. */
  disclosed: string[];
  nodes: NodeStatus[];
  /** Fingerprints of the shares this process holds, by cluster. */
  shares: Record<string, string[]>;
  bridges: { bridge: string; text: string; ok: boolean }[];
  alerts: { key: string; title: string }[];
}

export function statusOf(ports: Ports): Status {
  const nodes = ports.clusters.flatMap((cluster) => cluster.status());
  const { held, reasons } = ports.hold.current();
  return {
    helper: ports.helper,
    open: nodes.length > 0 && nodes.every((node) => node.state === 'open'),
    held,
    reasons,
    disclosed: ports.hold.record()?.disclosed ?? [],
    nodes,
    shares: Object.fromEntries(
      ports.clusters.map((c) => [c.plan.id, c.plan.shares.map((share) => share.fingerprint)]),
    ),
    bridges: ports.bridges(),
    alerts: ports.alerts.active(),
  };
}

const anything = { 'application/json': { schema: z.looseObject({}) } };
const who = z.string().min(1).max(200);

export function createApp(ports: Ports) {
  const http = createHttp({
    service: 'unsealer',
    title: 'Unsealer',
    version: ports.version,
    metrics: ports.metrics,
    maxBody: 16_384,
    errorPage,
    ready() {
      const { reasons } = ports.hold.current();
      const unknown = ports.clusters.flatMap((c) => c.status()).filter((n) =>
        n.state === 'unknown'
      );
      const waiting = unknown.map((n) => `${n.cluster}/${n.node} was not looked at yet`);
      return {
        ok: waiting.length === 0,
        reasons: [...waiting, ...reasons.map((r) => `hold: ${r}`)],
      };
    },
  });
  const held = ports.metrics.gauge('held', '1 while no share may be sent');
  const disclosed = ports.metrics.gauge('disclosed', 'Shares known to be disclosed');
  http.use('/metrics', async (_c, next) => {
    held.set(ports.hold.current().held ? 1 : 0);
    disclosed.set(ports.hold.record()?.disclosed.length ?? 0);
    await next();
  });

  const page = () =>
    new Response(statusPage(statusOf(ports)), {
      headers: {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy':
          "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        Refresh: '10',
      },
    });
  http.get('/', () => page());

  http.openapi(
    createRoute({
      method: 'get',
      path: '/status',
      summary: 'Each node, since when, and what the helper does next',
      responses: { 200: { description: 'The state of every node', content: anything } },
    }),
    (c) => prefersHtml(c.req.header('accept')) ? page() as never : c.json({ ...statusOf(ports) }),
  );

  http.openapi(
    createRoute({
      method: 'post',
      path: '/unseal',
      summary: 'Look at every node now. Carries no choice: a body is ignored',
      responses: { 200: { description: 'What was seen', content: anything } },
    }),
    async (c) => {
      const name = await ports.wake.check(c.req.header('authorization'));
      await Promise.all(ports.clusters.map((cluster) => cluster.wake()));
      return c.json({ caller: name, ...statusOf(ports) });
    },
  );

  http.openapi(
    createRoute({
      method: 'put',
      path: '/hold',
      summary: 'Stop sending shares, at once',
      request: {
        body: {
          required: true,
          content: {
            'application/json': {
              schema: z.strictObject({ who, why: z.string().min(1).max(1000) }),
            },
          },
        },
      },
      responses: { 200: { description: 'On hold', content: anything } },
    }),
    async (c) => {
      const caller = await ports.operators.check(c.req.header('authorization'));
      const body = c.req.valid('json');
      const { durable } = await ports.hold.put(`${body.who} (${caller})`, body.why);
      const warning = durable
        ? {}
        : { warning: 'On hold, but it could not be written: a restart lifts it' };
      return c.json({ held: true, durable, ...warning });
    },
  );

  http.delete('/hold', async (c) => {
    const caller = await ports.operators.check(c.req.header('authorization'));
    await ports.hold.lift(caller);
    void Promise.all(ports.clusters.map((cluster) => cluster.wake()));
    const { held, reasons } = ports.hold.current();
    return c.json({ held, reasons });
  });

  http.post('/lease', async (c) => {
    await ports.hold.renew(await ports.operators.check(c.req.header('authorization')));
    return c.json({ ...ports.hold.current() });
  });

  http.post('/clusters/:id/confirm', async (c) => {
    const caller = await ports.operators.check(c.req.header('authorization'));
    const cluster = ports.clusters.find((each) => each.plan.id === c.req.param('id'));
    if (!cluster) throw new AppError('not_found', 'Cannot confirm: no such cluster');
    cluster.confirm(CONFIRMED);
    return c.json({ confirmed: cluster.plan.id, by: caller, seconds: CONFIRMED / 1000 });
  });

  http.get('/doctor', async (c) => {
    await ports.operators.check(c.req.header('authorization'));
    const findings = await ports.doctor();
    return c.json({ ok: findings.every((finding) => finding.ok), findings });
  });
  return http;
}

/** A human's word for a cold start holds this long. */
const CONFIRMED = 10 * 60_000;
