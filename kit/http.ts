import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { randomUUID } from 'node:crypto';
import { AppError, describe, type ErrorCode } from './errors.ts';
import { getLogger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type Problem, registerCommon } from './openapi.ts';

export type { Problem };

/** What every route of every service can read with `c.get(…)`. */
export interface HttpEnv {
  Variables: { requestId: string };
}

export interface HttpOptions {
  service: string;
  version: string;
  title: string;
  metrics: Metrics;
  /** Whether the service can do its job now, and every reason why not. */
  ready: () => Promise<{ ok: boolean; reasons: string[] }> | { ok: boolean; reasons: string[] };
  /** Renders the error page for browsers (`Accept: text/html`); problem JSON when absent. */
  errorPage?: (problem: Problem) => string | Promise<string>;
  /** Largest request body in bytes (default 1 MiB). */
  maxBody?: number;
}

const STATUS: Record<ErrorCode, { status: ContentfulStatusCode; title: string }> = {
  invalid: { status: 400, title: 'Bad request' },
  unauthenticated: { status: 401, title: 'Not signed in' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflict' },
  rate_limited: { status: 429, title: 'Too many requests' },
  unavailable: { status: 503, title: 'Not available now' },
  internal: { status: 500, title: 'Internal error' },
};

const CODES: Record<number, ErrorCode> = {
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  429: 'rate_limited',
  503: 'unavailable',
};

/**
 * A Hono app with what all services share: request ids, an access log without queries, security
 * headers, one mapping of errors, `/healthz`, `/readyz`, `/metrics` and `/openapi.json`.
 */
export function createHttp(options: HttpOptions): OpenAPIHono<HttpEnv> {
  const log = getLogger([options.service, 'http']);
  const app = new OpenAPIHono<HttpEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      const faults = result.error.issues.map((issue) => ({
        path: issue.path.map(String).join('.'),
        message: issue.message,
      }));
      throw new AppError('invalid', 'Cannot read request: it does not fit the schema', { faults });
    },
  });
  const seconds = options.metrics.histogram(
    'http_request_duration_seconds',
    'Time to answer, by method, route pattern and status',
    ['method', 'route', 'status'],
    [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
  );

  app.use(async (c, next) => {
    const started = performance.now();
    const given = c.req.header('x-request-id');
    const id = given && /^[\w-]{8,64}$/.test(given) ? given : randomUUID();
    c.set('requestId', id);
    await next();
    const h = c.res.headers;
    h.set('X-Request-Id', id);
    if (!h.has('Referrer-Policy')) h.set('Referrer-Policy', 'no-referrer');
    if (!h.has('X-Content-Type-Options')) h.set('X-Content-Type-Options', 'nosniff');
    if (!h.has('Content-Security-Policy')) {
      h.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    }
    if (!h.has('Cache-Control')) h.set('Cache-Control', 'no-store');
    const took = (performance.now() - started) / 1000;
    const labels = { method: c.req.method, route: routeOf(c), status: String(c.res.status) };
    seconds.observe(labels, took);
    log.debug('request', {
      ...labels,
      requestId: id,
      ms: Math.round(took * 1e4) / 10,
    });
  });
  app.use((c, next) => {
    // bodyLimit copies a request of undeclared length, which node-server's own class does not bear.
    const { body, method, headers, signal, url } = c.req.raw;
    if (body && !headers.has('content-length')) {
      const init = { method, headers, body, signal, duplex: 'half' };
      c.req.raw = new Request(url, init as RequestInit);
    }
    return next();
  });
  app.use(bodyLimit({
    maxSize: options.maxBody ?? 1024 * 1024,
    onError: () => {
      throw new AppError('invalid', 'Cannot read request: the body is too large');
    },
  }));

  app.onError((error, c) => respondError(error, c, options, log));
  app.notFound(async (c) => {
    const allowed = methodsOf(app, c.req.path);
    // A route that was found and declined is a 404 like none.
    if (allowed.length === 0 || allowed.includes(c.req.method)) {
      return await respondError(new AppError('not_found', 'Nothing is here'), c, options, log);
    }
    const error = new AppError('method_not_allowed', 'Cannot do that here: see Allow');
    const response = await respondError(error, c, options, log);
    response.headers.set('Allow', allowed.join(', '));
    return response;
  });
  registerCommon(app);

  app.get('/healthz', (c) => c.json({ status: 'ok', service: options.service }));
  app.get('/readyz', async (c) => {
    const { ok, reasons } = await options.ready();
    return c.json({ ready: ok, reasons }, ok ? 200 : 503);
  });
  app.get('/metrics', async (c) =>
    c.text(await options.metrics.text(), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    }));
  app.get('/openapi.json', (c) =>
    c.json(app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: { title: options.title, version: options.version },
    })));
  // Other methods end here, not in what a service mounts for every path.
  for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json']) {
    app.all(path, (c) => c.notFound());
  }
  return app;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** The methods that are routed here: each matches more than what runs for every method. */
function methodsOf(app: OpenAPIHono<HttpEnv>, path: string): string[] {
  const common = app.router.match('', path)[0].length;
  const found = METHODS.filter((method) => app.router.match(method, path)[0].length > common);
  return found.includes('GET') ? ['HEAD', ...found] : found;
}

/** The route pattern, so that no id or token becomes a metric label. */
function routeOf(c: Context): string {
  const routes = c.req.matchedRoutes.filter((r) => r.path !== '/*' && r.path !== '*');
  return routes.at(-1)?.path ?? 'none';
}

/** Maps anything thrown to problem details: what is not an AppError shows as "Internal error". */
export function toProblem(error: unknown, requestId: string): Problem {
  if (error instanceof HTTPException) {
    const code = CODES[error.status] ?? (error.status < 500 ? 'invalid' : 'internal');
    return problem(code, error.message || STATUS[code].title, requestId);
  }
  if (!(error instanceof AppError) || error.code === 'internal') {
    return problem('internal', 'Internal error', requestId);
  }
  return {
    ...problem(error.code, error.message, requestId),
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    ...(error.faults === undefined ? {} : { faults: error.faults }),
  };
}

function problem(code: ErrorCode, detail: string, requestId: string): Problem {
  const { status, title } = STATUS[code];
  return { type: `urn:hackspace:error:${code}`, title, status, code, detail, requestId };
}

async function respondError(
  error: unknown,
  c: Context<HttpEnv>,
  options: HttpOptions,
  log: ReturnType<typeof getLogger>,
): Promise<Response> {
  const requestId = c.get('requestId') ?? randomUUID();
  const shown = toProblem(error, requestId);
  if (shown.status >= 500) {
    log.error('request failed', { requestId, route: routeOf(c), error: describe(error) });
  }
  const headers: Record<string, string> = {};
  if (shown.retryAfter !== undefined) headers['Retry-After'] = String(Math.ceil(shown.retryAfter));
  if (shown.status === 401) headers['WWW-Authenticate'] = `Bearer realm="${options.service}"`;
  const status = shown.status as ContentfulStatusCode;
  if (options.errorPage && prefersHtml(c.req.header('accept'))) {
    return c.html(await options.errorPage(shown), status, headers);
  }
  return c.body(JSON.stringify(shown), status, {
    ...headers,
    'Content-Type': 'application/problem+json',
  });
}

/** Whether the client is a browser asking for a page: HTML named before JSON. */
export function prefersHtml(accept: string | undefined): boolean {
  if (!accept) return false;
  const html = accept.indexOf('text/html');
  const json = accept.search(/application\/(problem\+)?json/);
  return html >= 0 && (json < 0 || html < json);
}
