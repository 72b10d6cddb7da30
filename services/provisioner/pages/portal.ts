import { createHash, randomUUID } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import QRCode from 'qrcode';
import { AppError, describe } from '@hackspace/kit/errors.ts';
import type { Problem } from '@hackspace/kit/http.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Auth, Identity, SessionEnv } from '../auth/session.ts';
import { kubeconfig } from '../cluster/kubeconfig.ts';
import { archiveOf } from '../export.ts';
import type { Service } from '../service.ts';
import { spaceStatus } from '../status.ts';
import { namespaceOf } from '../tenant/names.ts';
import type { TenantRecord } from '../tenant/record.ts';
import { STATES } from '../tenant/record.ts';
import type { Actor } from '../tenants.ts';
import { adminPage, errorPage } from './admin.ts';
import { changeOf } from './audit.ts';
import { checkPage, formPage, fromFields, toFields } from './form.ts';
import { homePage, landingPage } from './landing.ts';
import type { Html } from './layout.ts';
import type { FormModel, FormValues, Shell, SpaceModel } from './model.ts';
import { amount, deletePage, historyPage, spacePage } from './space.ts';
import { statusPage } from './status.ts';
import { CSS, JS } from './style.ts';
import type { Texts } from './texts.ts';

const log = getLogger(['provisioner', 'portal']);

export interface PortalPorts
  extends Pick<Service, 'tenants' | 'membership' | 'sweep' | 'cluster' | 'vault' | 'kubeconfig'> {
  auth: Auth;
  texts: Texts;
  space: Shell['space'];
  /** The space's own stylesheet lines and logo, checked by the config. */
  brand?: { colour?: string; logo?: { bytes: Uint8Array; type: string } };
  isAdmin(member: Identity): boolean;
  /** A fresh feed URL with its token, for this label; undefined when there is no calendar service. */
  feedToken: Service['feedToken'];
  /** Where a commit can be looked at. */
  commitUrl?: (sha: string) => string;
  /** Origins that forms may lead to: the login provider's, for the logout. */
  formTargets?: string[];
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);
const cssOf = ({ brand }: Pick<PortalPorts, 'brand'>) =>
  CSS + (brand?.colour ? `:root { --brand: ${brand.colour}; }\n` : '');
const assetsOf = (ports: Pick<PortalPorts, 'brand'>) => ({
  css: `portal-${hash(cssOf(ports))}`,
  js: `portal-${hash(JS)}`,
});
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

  const css = cssOf(ports);
  const assets = assetsOf(ports);
  const shellOf = (member?: Identity): Shell => ({
    t: ports.texts,
    space: ports.space,
    assets,
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
  const membershipOf = (who: Actor) => ports.membership.check(who.subject, who.claims);
  const show = (c: Context, page: Html, status: 200 | 400 | 503 = 200) =>
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
  const asset = (body: string | Uint8Array<ArrayBuffer>, type: string) => (c: Context) =>
    c.body(body, 200, {
      'Content-Type': type,
      'Cache-Control': 'public, max-age=31536000, immutable',
    });
  app.get(`/assets/${assets.css}.css`, asset(css, 'text/css; charset=utf-8'));
  app.get(`/assets/${assets.js}.js`, asset(JS, 'text/javascript; charset=utf-8'));
  if (ports.brand?.logo) {
    const { bytes, type } = ports.brand.logo;
    app.get('/assets/logo', asset(bytes as Uint8Array<ArrayBuffer>, type));
  }

  app.get('/', async (c) => show(c, landingPage(shellOf(await auth.peek(c)))));

  app.use('/spaces', auth.required);
  app.use('/spaces/*', auth.required);
  app.use('/admin', auth.required);
  app.use('/admin/*', auth.required);

  app.get('/spaces', async (c) => {
    const who = actor(c);
    const [membership, mine] = await Promise.all([membershipOf(who), tenants.mine(who)]);
    const living = mine.filter((record) => record.state !== 'deleted');
    const due = await Promise.all(living.map((record) => ports.sweep.dueOf(record)));
    return show(
      c,
      homePage(shell(c), {
        membership,
        mayAsk: membership === 'yes' && living.length < tenants.policy.tenantsPerMember,
        spaces: living.map((record, i) => ({
          name: record.name,
          state: shownState(record),
          repository: record.repository.url,
          ...(due[i] === undefined ? {} : { due: new Date(due[i]).toISOString() }),
        })),
      }),
    );
  });

  // --- asking, and changing: form, check, commit

  async function form(
    c: Context<SessionEnv>,
    values: FormValues,
    more: Partial<FormModel> = {},
    status: 200 | 400 | 503 = 200,
  ) {
    return show(
      c,
      formPage(shell(c), {
        values,
        plans: Object.entries(tenants.policy.plans).map(([id, plan]) => ({
          id,
          title: plan.title,
          limits: ports.texts('form.limits', {
            cpu: amount(String(plan.limitsCpu)),
            memory: amount(plan.limitsMemory),
            storage: amount(plan.storage),
          }),
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

  const place = (editing?: string) => editing ? `/spaces/${editing}/edit` : '/spaces/new';
  const answers = (values: FormValues) => new URLSearchParams(toFields(values));

  /** What is wrong with the answers, on the form; anything else is thrown. */
  async function refused(
    c: Context<SessionEnv>,
    values: FormValues,
    error: unknown,
    editing?: string,
  ) {
    const more = editing ? { editing } : {};
    if (error instanceof AppError && error.code === 'unavailable') {
      // Whatever does not answer, what was typed stays on the page to be sent again.
      if (error.retryAfter !== undefined) c.header('Retry-After', String(error.retryAfter));
      const faults = [{ path: '', message: error.message }];
      return await form(c, values, { faults, ...more }, 503);
    }
    const told = error instanceof AppError && ['invalid', 'conflict'].includes(error.code);
    if (!told) throw error;
    const faults = error.faults ?? [{ path: editing ? '' : 'name', message: error.message }];
    return await form(c, values, { faults, ...more }, 400);
  }
  const look = (c: Context<SessionEnv>, values: FormValues, editing?: string) => {
    const input = inputOf(values, editing);
    return editing
      ? tenants.previewUpdate(actor(c), editing, input)
      : tenants.preview(actor(c), input);
  };

  /** The form was sent: on to the check, whose address holds the answers, so that back and reload work. */
  async function submitted(c: Context<SessionEnv>, editing?: string) {
    const values = fromFields(await fields(c));
    try {
      await look(c, values, editing);
    } catch (error) {
      return await refused(c, values, error, editing);
    }
    return c.redirect(`${place(editing)}/check?${answers(values)}`, 303);
  }
  async function check(c: Context<SessionEnv>, editing?: string) {
    // The session may have ended on this very page: what it would have sent comes back.
    const values = fromFields(auth.unpark(c) ?? c.req.query());
    try {
      const preview = await look(c, values, editing);
      const { record } = preview;
      return show(
        c,
        checkPage(shell(c), {
          values: { ...values, name: record.name, plan: record.plan },
          planTitle: tenants.policy.plans[record.plan]?.title ?? record.plan,
          namespace: namespaceOf(record.name),
          files: preview.files.map((file) => ({ ...file, diff: bodyOf(file.diff) })),
          preview: preview.preview,
          stale: c.req.query('stale') === '1',
          ...(editing ? { editing } : {}),
        }),
      );
    } catch (error) {
      return await refused(c, values, error, editing);
    }
  }
  /** Agreed to exactly what was shown, or shown anew. */
  async function agreed(c: Context<SessionEnv>, editing?: string) {
    const sent = await fields(c);
    const values = fromFields(sent);
    const context = {
      requestId: c.get('requestId'),
      preview: typeof sent['agreed'] === 'string' ? sent['agreed'] : 'nothing was shown',
    };
    const input = inputOf(values, editing);
    try {
      const { record } = editing
        ? await tenants.update(actor(c), editing, input, context)
        : await tenants.claim(actor(c), input, context);
      return c.redirect(`/spaces/${record.name}/status`, 303);
    } catch (error) {
      if (error instanceof AppError && /what was shown/.test(error.message)) {
        return c.redirect(`${place(editing)}/check?${answers(values)}&stale=1`, 303);
      }
      return await refused(c, values, error, editing);
    }
  }

  app.get('/spaces/new', (c) => {
    // No secret is on it, and a browser that may keep it gives back what was typed.
    c.header('Cache-Control', 'private, no-cache');
    const parked = auth.unpark(c);
    const typed = parked ?? (c.req.query('name') ? c.req.query() : undefined);
    const values = fromFields(typed ?? { plan: tenants.policy.defaultPlan });
    return form(c, values, { kept: parked !== undefined });
  });
  app.post('/spaces/new', (c) => submitted(c));
  app.get('/spaces/new/check', (c) => check(c));
  app.post('/spaces/new/check', (c) => agreed(c));
  app.get('/spaces/:name/edit', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    const parked = auth.unpark(c);
    const typed = parked ?? (c.req.query('url') ? c.req.query() : undefined);
    const values = typed ? fromFields({ ...typed, name: record.name }) : valuesOf(record);
    return await form(c, values, { editing: record.name, kept: parked !== undefined });
  });
  app.post('/spaces/:name/edit', async (c) => {
    return await submitted(c, (await tenants.get(actor(c), name(c))).name);
  });
  app.get(
    '/spaces/:name/edit/check',
    async (c) => check(c, (await tenants.get(actor(c), name(c))).name),
  );
  app.post(
    '/spaces/:name/edit/check',
    async (c) => agreed(c, (await tenants.get(actor(c), name(c))).name),
  );

  // --- one space

  async function space(
    c: Context<SessionEnv>,
    record: TenantRecord,
    feed: { url?: string; away?: boolean } = {},
  ) {
    const who = actor(c);
    const [status, vault, entries] = await Promise.all([
      spaceStatus(ports, who, record.name),
      ports.vault?.() ?? 'unknown' as const,
      tenants.audit(who, record.name, 5),
    ]);
    const model: SpaceModel = {
      name: record.name,
      state: record.state,
      paused: record.suspend,
      namespace: namespaceOf(record.name),
      repository: record.repository,
      quota: status.quota,
      drift: status.drift,
      changes: entries.map(change),
      vault,
      steps: status.steps,
      admin: c.req.path.startsWith('/admin/'),
      kubectl: ports.kubeconfig !== undefined,
      calendar: { wanted: record.wants.calendar && ports.feedToken !== undefined },
      ...(status.due ? { due: status.due } : {}),
    };
    if (feed.away) model.calendar.away = true;
    if (feed.url) {
      model.calendar.url = feed.url;
      model.calendar.qr = await QRCode.toString(feed.url, { type: 'svg', margin: 1 });
    }
    return show(c, spacePage(shell(c), model), feed.away ? 503 : 200);
  }
  app.get('/spaces/:name', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    const once = getCookie(c, 'feed');
    if (once) deleteCookie(c, 'feed', { path: `/spaces/${record.name}` });
    const url = once ? handOut(once) : undefined;
    return await space(c, record, url ? { url } : {});
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
    if (!ports.feedToken || !record.wants.calendar) {
      throw new AppError('conflict', 'Cannot make an address: this space has no calendar feed');
    }
    let url: string;
    try {
      ({ url } = await ports.feedToken(`tenant ${record.name}`));
    } catch (error) {
      log.warning('no feed address', { error: describe(error) });
      return await space(c, record, { away: true });
    }
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
    const { steps } = await spaceStatus(ports, actor(c), name(c));
    // Where no cluster is asked there is nothing to wait for.
    const asked = steps.filter((step) => ports.cluster || step.key === 'membership');
    const pending = asked.some((step) => step.state === 'pending' || step.state === 'unknown');
    return show(c, statusPage(shell(c), { name: name(c), steps, pending }));
  });
  app.get('/spaces/:name/history', async (c) => {
    const entries = await tenants.audit(actor(c), name(c), 200);
    return show(c, historyPage(shell(c), name(c), entries.map(change)));
  });
  app.get('/spaces/:name/kubeconfig', async (c) => {
    const record = await tenants.get(actor(c), name(c));
    if (!ports.kubeconfig) {
      throw new AppError('not_found', 'Members have no access by kubectl here');
    }
    return c.body(kubeconfig(record.name, ports.kubeconfig), 200, {
      'Content-Type': 'application/yaml',
      'Content-Disposition': `attachment; filename="kubeconfig-${record.name}.yaml"`,
    });
  });
  app.get('/spaces/:name/export', async (c) => {
    const bytes = await archiveOf(await tenants.files(actor(c), name(c)));
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'Content-Type': 'application/gzip',
      'Content-Disposition': `attachment; filename="${name(c)}.tar.gz"`,
    });
  });
  // A session that ended with one of these buttons comes back here by GET: to where the buttons are.
  for (const path of ['suspend', 'resume', 'calendar']) {
    app.get(`/spaces/:name/${path}`, (c) => c.redirect(`/spaces/${encodeURIComponent(name(c))}`));
  }
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
      (state === '' || shownState(record) === state) &&
      (query === '' || record.name.includes(query) || record.owner.sub.includes(query))
    );
    const due = await ports.sweep.run({ dryRun: true }).catch((error) => {
      log.warning('no sweep preview', { error: describe(error) });
      return undefined;
    });
    const more = new URLSearchParams({ q: query, state, from: String(from + PAGE) });
    return show(
      c,
      adminPage(shell(c), {
        query,
        state,
        states: [STATES[0], 'paused', ...STATES.slice(1)],
        total: fits.length,
        rows: fits.slice(from, from + PAGE).map((record) => ({
          name: record.name,
          owner: record.owner.sub,
          plan: record.plan,
          state: shownState(record),
          since: record.since,
        })),
        sweep: due?.steps,
        breaker: due?.breaker,
        ...(from + PAGE < fits.length ? { next: `/admin?${more}` } : {}),
      }),
    );
  });
  app.get('/admin/spaces/:name', async (c) => {
    const who = actor(c);
    if (!who.admin) throw new AppError('not_found', 'Nothing is here');
    return await space(c, await tenants.get(who, name(c)));
  });

  const change = (entry: Parameters<typeof changeOf>[1]) => changeOf(ports, entry);
  return app;
}

/** The error page for `createHttp`. It knows nobody, and shows nothing that is not in the problem. */
export function portalErrorPage(ports: Pick<PortalPorts, 'texts' | 'space' | 'brand'>) {
  const shell = { t: ports.texts, space: ports.space, assets: assetsOf(ports) };
  return async (problem: Problem): Promise<string> => String(await errorPage(shell, problem));
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
