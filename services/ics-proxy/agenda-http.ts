import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import type { HttpEnv } from '@hackspace/kit/http.ts';
import { presentedToken } from './access.ts';
import { type Config, feedUrl, isZone } from './config.ts';
import type { Admitted, FeedRequest, Refusal } from './feed-http.ts';
import type { Feeds } from './feeds.ts';
import { agendaPage } from './pages/agenda.ts';
import { messagePage, PAGE_CSP } from './pages/layout.ts';
import { addDays, dayOf, isDay, startOfDay } from './pages/days.ts';

export interface AgendaPorts {
  config: Config;
  feeds: Feeds;
  admit(request: FeedRequest): Promise<Admitted>;
  feedRequest(c: Context, feed: string): FeedRequest;
  count(status: number): void;
  base: string;
  now(): number;
}

/** Days on one page, and occurrences at most. */
export const PAGE_DAYS = 30;
export const PAGE_LIMIT = 400;
const COOKIE = 'zone';

/** `GET /proxy/{feed}` for people and `/proxy/{feed}.json` for scripts. */
export function addAgenda(http: OpenAPIHono<HttpEnv>, ports: AgendaPorts): void {
  const { config, feeds, base, count, now } = ports;

  async function gather(c: Context, feed: string) {
    const request = ports.feedRequest(c, feed);
    const admitted = await ports.admit(request);
    if ('refused' in admitted) return admitted;
    const { record, document } = admitted;
    const wished = c.req.query('zone');
    const remembered = getCookie(c, COOKIE);
    const zone = [wished, remembered].find((z) => z !== undefined && isZone(z)) ??
      feeds.config(feed).zone;
    const today = dayOf(now(), zone);
    const asked = c.req.query('from');
    const from = asked !== undefined && isDay(asked) ? asked : today;
    const until = addDays(from, PAGE_DAYS);
    const occurrences = await feeds.agenda(document, {
      from: startOfDay(from, zone),
      to: startOfDay(until, zone),
      zone,
      limit: PAGE_LIMIT + 1,
    });
    const [health] = feeds.health(feed);
    const token = presentedToken(request);
    return {
      record,
      document,
      zone,
      chosen: zone === wished,
      today,
      from,
      until,
      occurrences: occurrences.slice(0, PAGE_LIMIT),
      more: occurrences.length > PAGE_LIMIT,
      health: health!,
      token,
    };
  }

  http.get('/proxy/:file', async (c, next) => {
    const feed = withoutExtension(c.req.param('file'), '.json');
    if (feed === undefined) return await next();
    const found = await gather(c, feed);
    privateHeaders(c);
    if ('refused' in found) {
      count(found.refused.status);
      return refuse(c, found.refused, JSON.stringify({ error: WORDS[found.refused.status] }));
    }
    count(200);
    const { health, document, occurrences, more, zone, from, until, record } = found;
    return c.json({
      feed,
      name: health.name,
      view: record.view,
      state: health.state,
      modified: new Date(document.modified).toISOString(),
      zone,
      from,
      until,
      more,
      occurrences,
    });
  });

  http.get('/proxy/:feed', async (c) => {
    const feed = c.req.param('feed');
    const found = await gather(c, feed);
    privateHeaders(c);
    c.header('Content-Security-Policy', PAGE_CSP);
    if ('refused' in found) {
      const { refused } = found;
      count(refused.status);
      const [title, text] = PAGES[refused.status];
      return refuse(c, refused, await messagePage(base, title, text), 'text/html; charset=UTF-8');
    }
    count(200);
    if (found.chosen) {
      setCookie(c, COOKIE, found.zone, {
        path: `${base}/proxy/`,
        maxAge: 365 * 86_400,
        sameSite: 'Lax',
        httpOnly: true,
        secure: config.publicUrl.startsWith('https:'),
      });
    }
    const { token, record } = found;
    return c.html(
      await agendaPage({
        ...found,
        feed,
        view: record.view,
        base,
        description: feeds.config(feed).description,
        sources: feeds.config(feed).sources.map((s) => s.id),
        modified: found.document.modified,
        now: now(),
        url: feedUrl(config, feed, token),
      }),
    );
  });
}

const WORDS = { 404: 'Not found', 429: 'Too many failed requests', 503: 'Not fetched so far' };
const PAGES: Record<Refusal['status'], [string, string]> = {
  404: [
    'Not found',
    'This address shows nothing. Check that it is complete, or ask for a new one.',
  ],
  429: ['Too many attempts', 'Too many wrong addresses were tried from here. Try again later.'],
  503: ['Almost there', 'The calendars are being fetched for the first time. Try again shortly.'],
};

function refuse(c: Context, refusal: Refusal, body: string, type = 'application/json') {
  c.header('Content-Type', type);
  if (refusal.retryAfter !== undefined) c.header('Retry-After', String(refusal.retryAfter));
  return c.body(body, refusal.status);
}

function privateHeaders(c: Context): void {
  c.header('Cache-Control', 'private, no-store');
  c.header('Referrer-Policy', 'no-referrer');
  c.header('X-Robots-Tag', 'noindex');
  c.header('Vary', 'Authorization, Cookie');
}

/** `members` of `members.ics`; undefined when the name ends otherwise. */
export function withoutExtension(file: string, extension: string): string | undefined {
  return file.endsWith(extension) ? file.slice(0, -extension.length) : undefined;
}
