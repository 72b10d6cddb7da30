import { createRoute, z } from '@hono/zod-openapi';
import { AppError } from '@hackspace/kit/errors.ts';
import { bearer, rateLimit } from '@hackspace/kit/guard.ts';
import { createHttp, type HttpEnv } from '@hackspace/kit/http.ts';
import type { Metrics } from '@hackspace/kit/metrics.ts';
import { bearerScheme } from '@hackspace/kit/openapi.ts';
import type { Context } from 'hono';
import { kubeconfig } from './cluster/kubeconfig.ts';
import type { Config } from './config.ts';
import { archiveOf } from './export.ts';
import { idempotency } from './idempotency.ts';
import * as s from './schemas.ts';
import type { Service } from './service.ts';
import { spaceStatus } from './status.ts';
import { subjectKey } from './tenant/record.ts';
import type { Actor } from './tenants.ts';

export const VERSION = '0.1.0';

export interface AppPorts extends Omit<Service, 'close' | 'notifier' | 'checks'> {
  /** Who a bearer token speaks for. Throws AppError `unauthenticated`. */
  authenticate(token: string): Promise<Actor>;
  metrics: Metrics;
  errorPage?: Parameters<typeof createHttp>[0]['errorPage'];
}

/** The API. Pages are mounted on what this returns; everything they need is in `ports.tenants`. */
export function createApp(config: Config, ports: AppPorts) {
  const { tenants, sweep } = ports;
  const app = createHttp({
    service: 'provisioner',
    version: VERSION,
    title: 'hackspace provisioner',
    metrics: ports.metrics,
    ready: () => readiness(ports),
    maxBody: 64 * 1024,
    ...(ports.errorPage ? { errorPage: ports.errorPage } : {}),
  });
  const { points, per } = config.api.rateLimit;
  const limit = rateLimit({ points, perMs: per });
  const once = idempotency(ports.state);
  const writes = ports.metrics.counter('writes_total', 'Accepted changes of tenants, by kind', [
    'kind',
  ]);
  const member = bearerScheme(app, 'member', 'A JWT of the login service, for a member');

  async function actor(c: Context): Promise<Actor> {
    const token = bearer(c.req.header('authorization'));
    if (!token) {
      throw new AppError('unauthenticated', 'Cannot tell who you are: a bearer token is missing');
    }
    return await ports.authenticate(token);
  }
  async function writer(c: Context): Promise<Actor> {
    const who = await actor(c);
    const { ok, retryAfter } = limit.take(subjectKey(who.subject));
    if (ok) return who;
    throw new AppError('rate_limited', 'Cannot accept another change so soon', { retryAfter });
  }
  async function admin(c: Context): Promise<Actor> {
    const who = await actor(c);
    if (who.admin) return who;
    throw new AppError('forbidden', 'Cannot do this for you: it is for administrators');
  }
  const context = (c: Context<HttpEnv>) => ({ requestId: c.get('requestId') });
  const idempotent = (
    c: Context,
    who: Actor,
    body: unknown,
    work: () => Promise<{ status: number; body: unknown }>,
  ) =>
    once.run(
      c.req.header('idempotency-key'),
      subjectKey(who.subject),
      `${c.req.method} ${c.req.path} ${JSON.stringify(body)}`,
      work,
    );
  const api = { ...member, tags: ['tenants'] };
  const adminApi = { ...member, tags: ['admin'] };
  const path = '/api/v1/tenants/{name}';

  async function stopOrStart(c: Context<HttpEnv>, name: string, verb: 'suspend' | 'resume') {
    const who = await writer(c);
    const done = await tenants.suspend(who, name, verb === 'suspend', context(c));
    writes.inc({ kind: verb });
    return s.written(done);
  }

  return app
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: '/api/v1/tenants',
        summary: 'Claim a tenant, or with ?preview=1 see the commit before it is made',
        request: {
          query: s.previewQuery,
          headers: s.idempotencyHeader,
          body: { required: true, content: { 'application/json': { schema: s.tenantBody } } },
        },
        responses: {
          200: s.json(s.claimedOrPreview, 'The preview, or: it was yours already'),
          201: s.json(s.writtenBody, 'Committed'),
          ...s.faults,
        },
      }),
      async (c) => {
        const who = await writer(c);
        const input = c.req.valid('json');
        const { agreed, ...tenant } = input as { agreed?: string };
        if (c.req.valid('query').preview === '1') {
          return c.json(await tenants.preview(who, tenant), 200);
        }
        const answer = await idempotent(c, who, input, async () => {
          const done = await tenants.claim(who, tenant, { ...context(c), preview: agreed });
          writes.inc({ kind: 'claim' });
          return { status: done.commit ? 201 : 200, body: s.written(done) };
        });
        return c.json(answer.body as never, answer.status as 201);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: '/api/v1/tenants',
        summary: 'Your tenants',
        responses: { 200: s.json(s.tenantList, 'By name'), ...s.faults },
      }),
      async (c) => c.json({ tenants: await tenants.mine(await actor(c)) }, 200),
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path,
        summary: 'A tenant, and how far it has come',
        request: { params: s.nameParam },
        responses: { 200: s.json(s.statusBody, 'From membership to healthy'), ...s.faults },
      }),
      async (c) => {
        const who = await actor(c);
        return c.json(await spaceStatus(ports, who, c.req.valid('param').name), 200);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'put',
        path,
        summary: 'Change a tenant, or with ?preview=1 see the commit before it is made',
        request: {
          params: s.nameParam,
          query: s.previewQuery,
          headers: s.idempotencyHeader,
          body: { required: true, content: { 'application/json': { schema: s.changeBody } } },
        },
        responses: { 200: s.json(s.claimedOrPreview, 'Committed, or the preview'), ...s.faults },
      }),
      async (c) => {
        const who = await writer(c);
        const { name } = c.req.valid('param');
        const { agreed, ...change } = c.req.valid('json') as { agreed?: string };
        if (c.req.valid('query').preview === '1') {
          return c.json(await tenants.previewUpdate(who, name, change), 200);
        }
        const answer = await idempotent(c, who, change, async () => {
          const done = await tenants.update(who, name, change, { ...context(c), preview: agreed });
          writes.inc({ kind: 'update' });
          return { status: 200, body: s.written(done) };
        });
        return c.json(answer.body as never, 200);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: `${path}/suspend`,
        summary: 'Stop everything, keep everything',
        request: { params: s.nameParam },
        responses: { 200: s.json(s.writtenBody, 'Committed'), ...s.faults },
      }),
      async (c) => c.json(await stopOrStart(c, c.req.valid('param').name, 'suspend'), 200),
    )
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: `${path}/resume`,
        summary: 'Start again',
        request: { params: s.nameParam },
        responses: { 200: s.json(s.writtenBody, 'Committed'), ...s.faults },
      }),
      async (c) => c.json(await stopOrStart(c, c.req.valid('param').name, 'resume'), 200),
    )
    .openapi(
      createRoute({
        ...api,
        method: 'delete',
        path,
        summary: 'Delete a tenant: drained first, its namespace after',
        request: { params: s.nameParam, query: z.object({ confirm: z.string().max(60) }) },
        responses: { 202: s.json(s.writtenBody, 'The drain is committed'), ...s.faults },
      }),
      async (c) => {
        const who = await writer(c);
        const { confirm } = c.req.valid('query');
        const done = await tenants.remove(who, c.req.valid('param').name, confirm, context(c));
        writes.inc({ kind: 'delete' });
        return c.json(s.written(done), 202);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: `${path}/audit`,
        summary: 'The commits that touched a tenant, newest first',
        request: { params: s.nameParam },
        responses: { 200: s.json(s.auditBody, 'Commits'), ...s.faults },
      }),
      async (c) => {
        const commits = await tenants.audit(await actor(c), c.req.valid('param').name);
        return c.json({ commits }, 200);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: `${path}/kubeconfig`,
        summary: 'A kubeconfig that logs in through the browser; holds no secret',
        request: { params: s.nameParam },
        responses: {
          200: { description: 'YAML', content: { 'application/yaml': { schema: z.string() } } },
          ...s.faults,
        },
      }),
      async (c) => {
        const { name } = await tenants.get(await actor(c), c.req.valid('param').name);
        if (!ports.kubeconfig) {
          throw new AppError('not_found', 'Members have no access by kubectl here');
        }
        return c.body(kubeconfig(name, ports.kubeconfig), 200, {
          'Content-Type': 'application/yaml',
          'Content-Disposition': `attachment; filename="${name}.kubeconfig.yaml"`,
        }) as never;
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: `${path}/export`,
        summary: 'An archive of the tenant’s manifests',
        request: { params: s.nameParam },
        responses: {
          200: {
            description: 'tar.gz',
            content: { 'application/gzip': { schema: z.string().openapi({ format: 'binary' }) } },
          },
          ...s.faults,
        },
      }),
      async (c) => {
        const { name } = c.req.valid('param');
        const bytes = await archiveOf(await tenants.files(await actor(c), name));
        return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
          'Content-Type': 'application/gzip',
          'Content-Disposition': `attachment; filename="${name}.tar.gz"`,
        }) as never;
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: `${path}/feed`,
        summary: 'A subscription URL of the space’s calendar, shown this once',
        request: { params: s.nameParam },
        responses: { 201: s.json(s.feedBody, 'Keep it: it holds its token'), ...s.faults },
      }),
      async (c) => {
        const who = await writer(c);
        const record = await tenants.get(who, c.req.valid('param').name);
        if (!ports.feedToken || !record.wants.calendar) {
          throw new AppError(
            'not_found',
            'Cannot give you a feed: this tenant does not want the calendar',
          );
        }
        return c.json({ url: (await ports.feedToken(`tenant ${record.name}`)).url }, 201);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: '/api/v1/vault',
        summary: 'Is the vault open?',
        responses: { 200: s.json(s.vaultBody, 'As the unsealer sees it'), ...s.faults },
      }),
      async (c) => {
        await actor(c);
        return c.json({ vault: await ports.vault?.() ?? 'unknown' as const }, 200);
      },
    )
    .openapi(
      createRoute({
        ...adminApi,
        method: 'get',
        path: '/api/v1/admin/tenants',
        summary: 'Every tenant, tombstones included',
        request: { query: s.listQuery },
        responses: { 200: s.json(s.adminList, 'By name'), ...s.faults },
      }),
      async (c) => {
        const { state, q, after, limit: most } = c.req.valid('query');
        const all = await tenants.list(await admin(c));
        const found = all.filter((r) =>
          (!state || r.state === state) && (!q || r.name.includes(q) || r.owner.sub === q)
        );
        const page = found.filter((r) => !after || r.name > after).slice(0, most);
        const next = page.length === most ? page.at(-1)!.name : undefined;
        return c.json({ tenants: page, total: found.length, ...(next ? { next } : {}) }, 200);
      },
    )
    .openapi(
      createRoute({
        ...adminApi,
        method: 'get',
        path: '/api/v1/admin/sweep',
        summary: 'What the last sweep did, and what one would do now',
        responses: { 200: s.json(s.sweepBody, 'Both reports'), ...s.faults },
      }),
      async (c) => {
        await admin(c);
        const last = await sweep.lastReport();
        return c.json(
          { ...(last ? { last } : {}), preview: await sweep.run({ dryRun: true }) },
          200,
        );
      },
    )
    .openapi(
      createRoute({
        ...adminApi,
        method: 'post',
        path: '/api/v1/admin/sweep',
        summary: 'Sweep now; `override` lets that many lapses through an open breaker',
        request: {
          body: { content: { 'application/json': { schema: s.sweepRequest } }, required: false },
        },
        responses: { 200: s.json(s.sweepReport, 'What was done'), ...s.faults },
      }),
      async (c) => {
        await admin(c);
        const { override } = (c.req.valid('json') ?? {}) as { override?: number };
        return c.json(await sweep.run(override === undefined ? {} : { override }), 200);
      },
    )
    // The original's one endpoint: "I am logged in, make me space", a name and nothing else needed.
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: '/trigger',
        summary: 'As the original had it: claims, or wakes Flux for what is claimed already',
        request: {
          body: { content: { 'application/json': { schema: s.triggerRequest } }, required: false },
        },
        responses: { 202: s.json(s.triggerBody, 'On its way'), ...s.faults },
      }),
      async (c) => {
        const who = await writer(c);
        const body = c.req.valid('json') as Record<string, unknown> | undefined;
        if (body && Object.keys(body).length > 0) {
          const { agreed: _, ...tenant } = body;
          const done = await tenants.claim(who, tenant, context(c));
          writes.inc({ kind: 'claim' });
          return c.json({ triggered: [done.record.name] }, 202);
        }
        const mine = await tenants.mine(who);
        if (mine.length === 0) {
          throw new AppError('not_found', 'Nothing to trigger: you have no tenant yet');
        }
        ports.wake?.();
        return c.json({ triggered: mine.map((record) => record.name) }, 202);
      },
    );
}

/** The API's type, for clients: `apiClient<ProvisionerApi>`. */
export type ProvisionerApi = ReturnType<typeof createApp>;

/** Ready is: the tenants repo can be read, and who pays can be told. */
async function readiness(ports: AppPorts): Promise<{ ok: boolean; reasons: string[] }> {
  const reasons: string[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
      return true;
    } catch (error) {
      reasons.push(error instanceof AppError ? error.message : 'Internal error');
      return false;
    }
  };
  const ok = await attempt(() => ports.store.snapshot());
  // Without answers nobody is admitted, but what runs can be seen and stopped: a reason, not a no.
  await attempt(() => ports.membership.selfTest());
  return { ok, reasons };
}
