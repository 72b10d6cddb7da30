/** The HTTP surface. No answer and no page holds a share; a call can wake the loop, never steer it. */
import { createRoute } from '@hono/zod-openapi';
import { AppError } from '@hackspace/kit/errors.ts';
import { createHttp, prefersHtml } from '@hackspace/kit/http.ts';
import type { Metrics } from '@hackspace/kit/metrics.ts';
import { bearerScheme, json, problems } from '@hackspace/kit/openapi.ts';
import type { Alerts } from './alerts.ts';
import type { Finding } from './bridge/findings.ts';
import type { Callers } from './callers.ts';
import type { HoldSwitch } from './hold.ts';
import type { ClusterLoop } from './loop.ts';
import { errorPage, statusPage } from './pages.ts';
import * as s from './schemas.ts';

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

export function statusOf(ports: Ports): s.Status {
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

  const waker = bearerScheme(http, 'waker', 'A token or ServiceAccount that may wake');
  const operator = bearerScheme(http, 'operator', 'A token that may hold, lift and ask the doctor');
  const refused = problems(401, 403, 429);
  return http
    .openapi(
      createRoute({
        method: 'get',
        path: '/status',
        summary: 'Each node, since when, and what the helper does next; a page for browsers',
        responses: { 200: json(s.statusBody, 'The state of every node') },
      }),
      (c) => prefersHtml(c.req.header('accept')) ? page() as never : c.json(statusOf(ports), 200),
    )
    .openapi(
      createRoute({
        ...waker,
        method: 'post',
        path: '/unseal',
        summary: 'Look at every node now. Carries no choice: a body is ignored',
        responses: { 200: json(s.wokenBody, 'What was seen'), ...refused },
      }),
      async (c) => {
        const name = await ports.wake.check(c.req.header('authorization'));
        await Promise.all(ports.clusters.map((cluster) => cluster.wake()));
        return c.json({ caller: name, ...statusOf(ports) }, 200);
      },
    )
    .openapi(
      createRoute({
        ...operator,
        method: 'put',
        path: '/hold',
        summary: 'Stop sending shares, at once',
        request: {
          body: { required: true, content: { 'application/json': { schema: s.holdRequest } } },
        },
        responses: { 200: json(s.holdBody, 'On hold'), ...problems(400), ...refused },
      }),
      async (c) => {
        const caller = await ports.operators.check(c.req.header('authorization'));
        const body = c.req.valid('json');
        const { durable } = await ports.hold.put(`${body.who} (${caller})`, body.why);
        const warning = durable
          ? {}
          : { warning: 'On hold, but it could not be written: a restart lifts it' };
        return c.json({ held: true as const, durable, ...warning }, 200);
      },
    )
    .openapi(
      createRoute({
        ...operator,
        method: 'delete',
        path: '/hold',
        summary: 'Lift what PUT set; a file, a lease or an annotation may still hold',
        responses: { 200: json(s.heldBody, 'What holds now'), ...refused, ...problems(503) },
      }),
      async (c) => {
        const caller = await ports.operators.check(c.req.header('authorization'));
        await ports.hold.lift(caller);
        void Promise.all(ports.clusters.map((cluster) => cluster.wake()));
        return c.json(ports.hold.current(), 200);
      },
    )
    .openapi(
      createRoute({
        ...operator,
        method: 'post',
        path: '/lease',
        summary: 'Renew the dead man’s lease',
        responses: { 200: json(s.heldBody, 'What holds now'), ...refused, ...problems(503) },
      }),
      async (c) => {
        await ports.hold.renew(await ports.operators.check(c.req.header('authorization')));
        return c.json(ports.hold.current(), 200);
      },
    )
    .openapi(
      createRoute({
        ...operator,
        method: 'post',
        path: '/clusters/{id}/confirm',
        summary: 'Vouch for a cold start of a cluster, for ten minutes',
        request: { params: s.clusterParam },
        responses: { 200: json(s.confirmedBody, 'It counts'), ...problems(400, 404), ...refused },
      }),
      async (c) => {
        const caller = await ports.operators.check(c.req.header('authorization'));
        const { id } = c.req.valid('param');
        const cluster = ports.clusters.find((each) => each.plan.id === id);
        if (!cluster) throw new AppError('not_found', 'Cannot confirm: no such cluster');
        cluster.confirm(CONFIRMED);
        const answer = { confirmed: cluster.plan.id, by: caller, seconds: CONFIRMED / 1000 };
        return c.json(answer, 200);
      },
    )
    .openapi(
      createRoute({
        ...operator,
        method: 'get',
        path: '/doctor',
        summary: 'Why a login from the downstream cluster fails: the real calls, and what mends it',
        responses: { 200: json(s.doctorBody, 'What was found'), ...refused },
      }),
      async (c) => {
        await ports.operators.check(c.req.header('authorization'));
        const findings = await ports.doctor();
        return c.json({ ok: findings.every((finding) => finding.ok), findings }, 200);
      },
    );
}

/** The API's type, for clients: `apiClient<UnsealerApi>`. */
export type UnsealerApi = ReturnType<typeof createApp>;

/** A human's word for a cold start holds this long. */
const CONFIRMED = 10 * 60_000;
