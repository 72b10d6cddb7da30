import { createHash, randomUUID } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import QRCode from 'qrcode';
import { AppError, describe } from '@hackspace/kit/errors.ts';
import type { Problem } from '@hackspace/kit/http.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Auth, Identity, SessionEnv } from '../auth/session.ts';
import type { Membership } from '../membership/membership.ts';
import type { LogEntry } from '../store/store.ts';
import { namespaceOf } from '../tenant/names.ts';
import type { TenantRecord } from '../tenant/record.ts';
import { STATES } from '../tenant/record.ts';
import type { Actor, Tenants } from '../tenants.ts';
import { adminPage, errorPage } from './admin.ts';
import { checkPage, formPage, fromFields } from './form.ts';
import { homePage, landingPage } from './landing.ts';
import type { Html } from './layout.ts';
import type { AdminModel, Change, FormModel, FormValues, Shell, SpaceModel } from './model.ts';
import type { ClusterStatus } from '../cluster/flux-status.ts';
import type { StatusStep } from './model.ts';
import { deletePage, historyPage, spacePage } from './space.ts';
import { statusPage } from './status.ts';
import { CSS, JS } from './style.ts';
import type { Texts } from './texts.ts';

const log = getLogger(['provisioner', 'portal']);

export interface PortalPorts {
  tenants: Tenants;
  membership: Membership;
  auth: Auth;
  texts: Texts;
  space: Shell['space'];
  isAdmin(member: Identity): boolean;
  /** Throws AppError `unavailable` when the cluster does not tell. */
  cluster(record: TenantRecord): Promise<ClusterStatus>;
  /** When the next step of a lapsed tenant is due (epoch ms). */
  due(record: TenantRecord): Promise<number | undefined>;
  vault(): Promise<'open' | 'sealed' | 'unknown'>;
  kubeconfig(record: TenantRecord): string;
  /** A fresh feed URL with its token; undefined when no calendar service is configured. */
  calendar?: (record: TenantRecord, requestId: string) => Promise<string>;
  archive(actor: Actor, name: string): Promise<{ bytes: Uint8Array; type: string; file: string }>;
  sweep(): Promise<Pick<AdminModel, 'sweep' | 'breaker'>>;
  /** Where a commit can be looked at. */
  commitUrl?: (sha: string) => string;
  /** Origins that forms may lead to: the login provider's, for the logout. */
  formTargets?: string[];
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);
const ASSETS = { css: `portal-${hash(CSS)}`, js: `portal-${hash(JS)}` };
const PAGE = 100;

/** The pages. Mount behind the error handling of kit/http.ts, at the root. */
export function createPortal(ports: PortalPorts): Hono<SessionEnv> {
  const { tenants, auth } = ports;
  const app = new Hono<SessionEnv>();
  const targets = ["'self'", ...(ports.formTargets ?? [])].join(' ');
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    `form-action ${targets}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');

  const shellOf = (member?: Identity): Shell => ({
    t: ports.texts,
    space: ports.space,
    assets: ASSETS,
    ...(member ? { member: { name: member.name, admin: ports.isAdmin(member) } } : {}),
  });
  const shell = (c: Context<SessionEnv>) => shellOf(c.get('member'));
  const actor = (c: Context<SessionEnv>): Actor => {
    const member = c.get('member');
    return {
      subject: { iss: member.issuer, sub: member.subject },
      name: member.name,
      admin: ports.isAdmin(member),
      claims: { groups: member.groups },
    };
  };
  const clusterOf = (record: TenantRecord) =>
    ports.cluster(record).catch((error): ClusterStatus | undefined => {
      log.warning('no status from the cluster', { error: describe(error) });
      return undefined;
    });
  const membershipOf = (who: Actor) => ports.membership.check(who.subject, who.claims);
  const show = (c: Context, page: Html, status: 200 | 400 | 409 = 200) =>
    c.html(page as unknown as string, status);
  const name = (c: Context) => c.req.param('name')!;
  const fields = (c: Context) => c.req.parseBody() as Promise<Record<string, unknown>>;

  app.use(async (c, next) => {
    await next();
    if (c.res.headers.get('content-type')?.startsWith('text/html')) {
      c.res.headers.set('Content-Security-Policy', policy);
      c.res.headers.set('X-Frame-Options', 'DENY');
      c.res.headers.set('Cross-Origin-Opener-Policy', 'same-origin');
    }
  });
  const asset = (body: string, type: string) => (c: Context) =>
    c.body(body, 200, {
      'Content-Type': type,
      'Cache-Control': 'public, max-age=31536000, immutable',
    });
  app.get(`/assets/${ASSETS.css}.css`, asset(CSS, 'text/css; charset=utf-8'));
  app.get(`/assets/${ASSETS.js}.js`, asset(JS, 'text/javascript; charset=utf-8'));

  app.get('/', async (c) => show(c, landingPage(shellOf(await auth.peek(c)))));

  app.use('/spaces', auth.required);
  app.use('/spaces/*', auth.required);
  app.use('/admin', auth.required);
  app.use('/admin/*', auth.required);

  app.get('/spaces', async (c) => {
    const who = actor(c);
    const [membership, mine] = await Promise.all([membershipOf(who), tenants.mine(who)]);
    const living = mine.filter((record) => record.state !== 'deleted');
    return show(
      c,
      homePage(shell(c), {
        membership,
        mayAsk: membership === 'yes' && living.length < tenants.policy.tenantsPerMember,
        spaces: living.map((record) => ({
          name: record.name,
          state: shownState(record),
          repository: record.repository.url,
        })),
      }),
    );
  });

  // --- asking, and changing: form, check, commit

  async function form(
    c: Context<SessionEnv>,
    values: FormValues,
    more: Partial<FormModel> = {},
    status: 200 | 400 = 200,
  ) {
    return show(
      c,
      formPage(shell(c), {
        values,
        plans: Object.entries(tenants.policy.plans).map(([id, plan]) => ({
          id,
          title: plan.title,
          limits: `${plan.limitsCpu} CPU, ${plan.limitsMemory}, ${plan.storage}`,
        })),
        hosts: [...tenants.policy.repositories],
        faults: [],
        kept: false,
        membership: await membershipOf(actor(c)),
        ...more,
      }),
      status,
    );
  }

  /** What the form was sent for: to look again, to check, or to agree. */
  async function submitted(c: Context<SessionEnv>, editing?: string) {
    const sent = await fields(c);
    const values = fromFields(sent);
    const more = editing ? { editing } : {};
    if (sent['change'] === '1') return await form(c, values, more);
    const who = actor(c);
    const text = (key: string) => typeof sent[key] === 'string' ? sent[key] as string : undefined;
    try {
      const input = inputOf(values, editing);
      const agreed = text('agreed');
      if (agreed !== undefined) {
        try {
          const context = { requestId: c.get('requestId'), preview: agreed };
          const { record } = editing
            ? await tenants.update(who, editing, input, context)
            : await tenants.claim(who, input, context);
          return c.redirect(`/spaces/${record.name}/status`, 303);
        } catch (error) {
          // What was shown has changed meanwhile: show it anew. All other conflicts are told.
          if (!(error instanceof AppError) || !/what was shown/.test(error.message)) throw error;
        }
      }
      const preview = editing
        ? await tenants.previewUpdate(who, editing, input)
        : await tenants.preview(who, input);
      const plan = tenants.policy.plans[preview.record.plan];
      return show(
        c,
        checkPage(shell(c), {
          values: { ...values, name: preview.record.name, plan: preview.record.plan },
          planTitle: plan?.title ?? preview.record.plan,
          namespace: namespaceOf(preview.record.name),
          files: preview.files.map((file) => ({ ...file, diff: bodyOf(file.diff) })),
          preview: preview.preview,
          stale: agreed !== undefined,
          ...more,
        }),
        agreed === undefined ? 200 : 409,
      );
    } catch (error) {
      const told = error instanceof AppError && ['invalid', 'conflict'].includes(error.code);
      if (!told) throw error;
      const faults = error.faults ?? [{ path: editing ? '' : 'name', message: error.message }];
      return await form(c, values, { ...more, faults }, 400);
    }
  }

  app.get('/spaces/new', (c) => {
    const parked = auth.unpark(c);
    const values = fromFields(parked ?? { plan: tenants.policy.defaultPlan, url: '' });
    return form(c, values, { kept: parked !== undefined });
  });
  app.post('/spaces/new', (c) => submitted(c));
  app.get('/spaces/:name/edit', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    const parked = auth.unpark(c);
    const values = parked ? fromFields(parked) : valuesOf(record);
    return await form(c, values, { editing: record.name, kept: parked !== undefined });
  });
  app.post('/spaces/:name/edit', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    return await submitted(c, record.name);
  });

  // --- one space

  async function space(c: Context<SessionEnv>, record: TenantRecord, url?: string) {
    const who = actor(c);
    const [cluster, vault, due, entries] = await Promise.all([
      clusterOf(record),
      ports.vault(),
      ports.due(record),
      tenants.audit(who, record.name, 5),
    ]);
    const model: SpaceModel = {
      name: record.name,
      state: record.state,
      paused: record.suspend,
      namespace: namespaceOf(record.name),
      repository: record.repository,
      quota: cluster?.quota ?? [],
      drift: cluster?.drift,
      changes: entries.map(changeOf),
      vault,
      calendar: { wanted: record.wants.calendar && ports.calendar !== undefined },
      ...(due === undefined ? {} : { due: new Date(due).toISOString() }),
    };
    if (url) {
      model.calendar.url = url;
      model.calendar.qr = await QRCode.toString(url, { type: 'svg', margin: 1 });
    }
    return show(c, spacePage(shell(c), model));
  }
  app.get('/spaces/:name', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    const once = getCookie(c, 'feed');
    if (once) deleteCookie(c, 'feed', { path: `/spaces/${record.name}` });
    return await space(c, record, once ? handOut(once) : undefined);
  });
  // A feed's address is shown once: kept here for the one page after the redirect, not in the browser.
  const handedOut = new Map<string, { url: string; until: number }>();
  function handOut(ticket: string): string | undefined {
    const found = handedOut.get(ticket);
    handedOut.delete(ticket);
    return found && found.until > Date.now() ? found.url : undefined;
  }
  app.post('/spaces/:name/calendar', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    if (!ports.calendar || !record.wants.calendar) {
      throw new AppError('conflict', 'Cannot make an address: this space has no calendar feed');
    }
    const url = await ports.calendar(record, c.get('requestId'));
    for (const [key, { until }] of handedOut) if (until < Date.now()) handedOut.delete(key);
    if (handedOut.size >= 1000) handedOut.delete(handedOut.keys().next().value!);
    const ticket = randomUUID();
    handedOut.set(ticket, { url, until: Date.now() + 60_000 });
    setCookie(c, 'feed', ticket, {
      path: `/spaces/${record.name}`,
      httpOnly: true,
      sameSite: 'Strict',
      maxAge: 60,
      secure: c.req.url.startsWith('https:'),
    });
    return c.redirect(`/spaces/${record.name}`, 303);
  });

  app.get('/spaces/:name/status', async (c) => {
    const who = actor(c);
    const record = await tenants.get(who, name(c));
    const [membership, cluster, entries] = await Promise.all([
      membershipOf(who),
      clusterOf(record),
      tenants.audit(who, record.name, 1),
    ]);
    const steps = statusSteps(ports, membership, entries[0], cluster);
    const pending = steps.some((step) => step.state === 'pending' || step.state === 'unknown');
    return show(c, statusPage(shell(c), { name: record.name, steps, pending }));
  });
  app.get('/spaces/:name/history', async (c) => {
    const entries = await tenants.audit(actor(c), name(c), 200);
    return show(c, historyPage(shell(c), name(c), entries.map(changeOf)));
  });
  app.get('/spaces/:name/kubeconfig', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    return c.body(ports.kubeconfig(record), 200, {
      'Content-Type': 'application/yaml',
      'Content-Disposition': `attachment; filename="kubeconfig-${record.name}.yaml"`,
    });
  });
  app.get('/spaces/:name/export', async (c) => {
    const { bytes, type, file } = await ports.archive(actor(c), name(c));
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'Content-Type': type,
      'Content-Disposition': `attachment; filename="${file}"`,
    });
  });
  for (const [path, suspend] of [['suspend', true], ['resume', false]] as const) {
    app.post(`/spaces/:name/${path}`, async (c) => {
      const context = { requestId: c.get('requestId') };
      const { record } = await tenants.suspend(actor(c), name(c), suspend, context);
      return c.redirect(`/spaces/${record.name}`, 303);
    });
  }
  app.get('/spaces/:name/delete', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    return show(c, deletePage(shell(c), record.name, false));
  });
  app.post('/spaces/:name/delete', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    const { typed } = await fields(c);
    if (typed !== record.name) return show(c, deletePage(shell(c), record.name, true), 400);
    await tenants.remove(actor(c), record.name, typed, { requestId: c.get('requestId') });
    return c.redirect('/spaces', 303);
  });

  // --- administration

  app.get('/admin', async (c) => {
    const all = await tenants.list(actor(c));
    const query = (c.req.query('q') ?? '').slice(0, 200);
    const state = c.req.query('state') ?? '';
    const from = Math.max(0, Number.parseInt(c.req.query('from') ?? '0', 10) || 0);
    const fits = all.filter((record) =>
      (state === '' || record.state === state) &&
      (query === '' || record.name.includes(query) || record.owner.sub.includes(query))
    );
    const sweep = await ports.sweep().catch((error) => {
      log.warning('no sweep preview', { error: describe(error) });
      return { sweep: undefined, breaker: undefined };
    });
    const more = new URLSearchParams({ q: query, state, from: String(from + PAGE) });
    return show(
      c,
      adminPage(shell(c), {
        query,
        state,
        states: [...STATES],
        total: fits.length,
        rows: fits.slice(from, from + PAGE).map((record) => ({
          name: record.name,
          owner: record.owner.sub,
          plan: record.plan,
          state: shownState(record),
          since: record.since,
        })),
        ...sweep,
        ...(from + PAGE < fits.length ? { next: `/admin?${more}` } : {}),
      }),
    );
  });
  app.get('/admin/spaces/:name', async (c) => {
    const who = actor(c);
    if (!who.admin) throw new AppError('not_found', 'Nothing is here');
    return await space(c, await tenants.get(who, name(c)));
  });

  function changeOf(entry: LogEntry): Change {
    return {
      sha: entry.commit,
      at: entry.time,
      who: entry.author,
      text: wordsOf(entry.subject),
      ...(ports.commitUrl ? { href: ports.commitUrl(entry.commit) } : {}),
    };
  }
  return app;
}

/** The error page for `createHttp`. It knows nobody, and shows nothing that is not in the problem. */
export function portalErrorPage(ports: Pick<PortalPorts, 'texts' | 'space'>) {
  return async (problem: Problem): Promise<string> =>
    String(
      await errorPage({ t: ports.texts, space: ports.space, assets: ASSETS }, problem),
    );
}

function statusSteps(
  ports: PortalPorts,
  membership: 'yes' | 'no' | 'unknown',
  last: LogEntry | undefined,
  cluster: ClusterStatus | undefined,
): StatusStep[] {
  const t = ports.texts;
  const committed: StatusStep = last
    ? {
      key: 'committed',
      state: 'done',
      at: last.time,
      text: t('status.committed.text'),
      ...(ports.commitUrl
        ? { link: { href: ports.commitUrl(last.commit), text: last.commit.slice(0, 8) } }
        : {}),
    }
    : { key: 'committed', state: 'pending', text: t('status.committed.wait') };
  return [
    {
      key: 'membership',
      state: membership === 'yes' ? 'done' : membership === 'no' ? 'failed' : 'unknown',
      text: t(`member.${membership}`),
      ...(membership === 'yes' ? {} : { help: t(`member.${membership}.help`) }),
    },
    committed,
    ...(['fetched', 'applied', 'healthy'] as const).map((key): StatusStep => {
      const step = cluster?.steps.find((s) => s.key === key);
      if (!step) return { key, state: 'unknown', text: t('status.cluster.away') };
      const { state, text, at, help } = step;
      return { key, state, text, ...(at ? { at } : {}), ...(help ? { help } : {}) };
    }),
  ];
}

function shownState(record: TenantRecord): string {
  return record.state === 'active' && record.suspend ? 'paused' : record.state;
}

function valuesOf(record: TenantRecord): FormValues {
  const { url, ref, path } = record.repository;
  const { name, plan } = record;
  return { name, plan, url, ref, path, calendar: record.wants.calendar };
}

/** The form as the domain takes it; what is wrong with it, the domain says. */
function inputOf(values: FormValues, editing: string | undefined): Record<string, unknown> {
  const { name, plan, url, ref, path, calendar } = values;
  return {
    ...(editing === undefined ? { name } : {}),
    plan,
    repository: { url, ref, path },
    wants: { calendar },
  };
}

/** A unified diff without the lines that name the file: the page names it. */
function bodyOf(diff: string): string {
  const at = diff.indexOf('@@');
  return at < 0 ? '' : diff.slice(at).trimEnd();
}

/** `tenants: claim garden` as people say it. Anything else is shown as it was written. */
function wordsOf(subject: string): string {
  const words: Record<string, string> = {
    claim: 'Asked for the space',
    update: 'Changed the settings',
    stop: 'Paused the space',
    start: 'Went on with the space',
    drain: 'Began to delete the space',
  };
  const verb = subject.match(/^tenants: (\w+) [a-z0-9-]+$/)?.[1];
  return (verb && words[verb]) ?? subject.replace(/^tenants: /, '');
}
