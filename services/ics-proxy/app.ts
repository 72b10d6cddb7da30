import type { IncomingMessage } from 'node:http';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Secret } from '@hackspace/kit/config.ts';
import { createHttp, type HttpEnv } from '@hackspace/kit/http.ts';
import type { Metrics } from '@hackspace/kit/metrics.ts';
import { clientAddress, trustedProxies } from './access.ts';
import { addAdmin } from './admin.ts';
import { addApi } from './api.ts';
import type { Config } from './config.ts';
import { documentFeeds } from './feed-openapi.ts';
import type { FeedAnswer, FeedRequest } from './feed-http.ts';
import type { Feeds } from './feeds.ts';
import { createFront, type Front } from './front.ts';
import { feedMetrics } from './measure.ts';
import { addAgenda, withoutExtension } from './agenda-http.ts';
import { basePath, messagePage, PAGE_CSP } from './pages/layout.ts';
import { STYLE } from './pages/style.ts';
import type { Tokens } from './tokens.ts';

export interface AppPorts {
  feeds: Feeds;
  tokens: Tokens;
  metrics: Metrics;
  /** The admin token; without it there is neither API nor admin page. */
  admin?: Secret | undefined;
  now?: () => number;
  /** Made of the same feeds and tokens when absent. */
  front?: Front;
}

export interface App extends Pick<Front, 'fast' | 'wire'> {
  http: OpenAPIHono<HttpEnv>;
}

export const VERSION = '0.1.0';

/** Everything the service answers, over ports that tests can fill. */
export function createApp(config: Config, ports: AppPorts): App {
  const { feeds, tokens, admin, now = Date.now, front = createFront(ports) } = ports;
  const { feedHttp, count } = front;
  const base = basePath(config.publicUrl);
  const trusted = trustedProxies(config.trustedProxies);
  const metrics = feedMetrics(ports.metrics, feeds, front.counts);

  const http = createHttp({
    service: 'ics-proxy',
    version: VERSION,
    title: 'hackspace ics-proxy',
    metrics,
    // One upstream that never answers must not take the other feeds away: it is a reason, not a no.
    ready: () => ({
      ok: feeds.restored(),
      reasons: [
        ...(feeds.restored() ? [] : ['last good copies are being read']),
        ...feeds.waiting().map((id) => `feed ${id} has never been fetched`),
      ],
    }),
    errorPage: (problem) => messagePage(base, problem.title, problem.detail),
  });

  function addressOf(request: Request, env: unknown): string {
    const socket = (env as { incoming?: IncomingMessage } | undefined)?.incoming?.socket;
    const forwarded = request.headers.get('x-forwarded-for') ?? undefined;
    return clientAddress(socket?.remoteAddress, forwarded, trusted);
  }
  function feedRequest(c: Context, feed: string): FeedRequest {
    const h = (name: string) => c.req.header(name);
    return {
      feed,
      query: c.req.query('token'),
      authorization: h('authorization'),
      acceptEncoding: h('accept-encoding'),
      ifNoneMatch: h('if-none-match'),
      ifModifiedSince: h('if-modified-since'),
      address: addressOf(c.req.raw, c.env),
    };
  }

  documentFeeds(http);
  http.get('/proxy/:file', async (c, next) => {
    const feed = withoutExtension(c.req.param('file'), '.ics');
    if (feed === undefined) return await next();
    const answer = await feedHttp.answer(feedRequest(c, feed));
    count(answer.status);
    return toResponse(answer);
  });
  addAgenda(http, { config, feeds, admit: feedHttp.admit, feedRequest, count, base, now });
  addApi(http, { config, feeds, tokens, admin, addressOf, now });
  addAdmin(http, { config, feeds, tokens, admin, addressOf, base, now });

  // Google's importer obeys robots.txt; nobody else has business with these URLs.
  http.get('/robots.txt', (c) =>
    c.text(
      'User-agent: Google-Calendar-Importer\nAllow: /proxy/\n\nUser-agent: *\nDisallow: /\n',
      200,
      { 'Cache-Control': 'public, max-age=3600' },
    ));
  http.get('/style.css', (c) =>
    c.body(STYLE, 200, {
      'Content-Type': 'text/css; charset=utf-8',
      'Cache-Control': 'public, max-age=3600',
    }));
  http.get('/', async (c) =>
    c.html(
      await messagePage(
        base,
        'Calendar feeds',
        'Feeds are opened with the address you were given. Ask your hackerspace for one.',
      ),
      200,
      { 'Content-Security-Policy': PAGE_CSP },
    ));
  return { http, fast: front.fast, wire: front.wire };
}

export function toResponse(answer: FeedAnswer): Response {
  const headers = new Headers();
  for (let i = 0; i < answer.headers.length; i += 2) {
    headers.set(answer.headers[i]!, answer.headers[i + 1]!);
  }
  return new Response(answer.body as Uint8Array<ArrayBuffer> | undefined ?? null, {
    status: answer.status,
    headers,
  });
}
