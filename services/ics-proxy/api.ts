import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { AppError } from '@hackspace/kit/errors.ts';
import { bearer, equalSecret, rateLimit } from '@hackspace/kit/guard.ts';
import type { HttpEnv } from '@hackspace/kit/http.ts';
import { bearerScheme, json, problems } from '@hackspace/kit/openapi.ts';
import type { Secret } from '@hackspace/kit/config.ts';
import { type Config, feedUrl } from './config.ts';
import type { Feeds } from './feeds.ts';
import { parseExpiry, parseOverlap } from './expiry.ts';
import { iso, LABEL, showToken, type TokenRecord, type Tokens } from './tokens.ts';

export interface ApiPorts {
  config: Config;
  feeds: Feeds;
  tokens: Tokens;
  admin: Secret | undefined;
  /** The address of a request's sender, for the rate limit of wrong admin tokens. */
  addressOf: (request: Request, env: unknown) => string;
  now: () => number;
}

const feedId = z.string().min(1).max(63).openapi({ example: 'members' });
const tokenId = z.string().regex(/^[0-9a-f]{16}$/).openapi({ example: '0123456789abcdef' });

export const newTokenBody = z.strictObject({
  label: z.string().trim().refine(
    (label) => LABEL.test(label),
    'must be 1 to 100 characters on one line',
  ).openapi({
    // The flag that LABEL needs has no place in JSON Schema.
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\u0000-\\u001f\\u007f-\\u009f\\s]+$',
    maxLength: 100,
  }),
  view: z.enum(['full', 'busy']).default('full'),
  expires: z.string().max(40).optional().openapi({
    example: '90d',
    description: 'An RFC 3339 time in the future, or a duration such as 90d. Absent: for ever.',
  }),
}).openapi('NewToken');

const rotateBody = z.strictObject({
  overlap: z.string().max(10).default('7d').openapi({
    pattern: '^([0-9]{1,5}s|[0-9]{1,3}[mhd]|[0-9]{1,2}w)$',
    description: 'At most a year',
  }),
}).openapi('Rotate');

const tokenShape = z.object({
  id: tokenId,
  feed: feedId,
  label: z.string(),
  view: z.enum(['full', 'busy']),
  created: z.string(),
  expires: z.string().optional(),
  lastUsed: z.string().optional(),
  expired: z.boolean(),
  replacedBy: z.string().optional(),
  replaces: z.string().optional(),
}).openapi('Token');

const createdShape = tokenShape.omit({ lastUsed: true, expired: true }).extend({
  url: z.string().openapi({ description: 'The feed’s URL with the token: shown this once.' }),
  webcal: z.string(),
}).openapi('CreatedToken');

const feedShape = z.looseObject({
  id: feedId,
  name: z.string(),
  state: z.enum(['ok', 'degraded', 'waiting']),
  error: z.string().optional(),
  sources: z.array(z.looseObject({
    id: z.string(),
    state: z.enum(['ok', 'failing', 'stale', 'waiting']),
    ageSeconds: z.number().optional(),
    failures: z.number(),
    error: z.string().optional(),
    needsHuman: z.boolean(),
  })),
  views: z.array(z.looseObject({
    view: z.enum(['full', 'busy']),
    bytes: z.number(),
    components: z.number(),
    lastModified: z.string(),
  })),
}).openapi('Feed');

const feedParam = z.object({ feed: feedId });
const tokenParam = z.object({ id: tokenId });

/** Adds `/api`: health of the feeds, and their tokens, for holders of the admin token. */
export function addApi(http: OpenAPIHono<HttpEnv>, ports: ApiPorts) {
  const { config, feeds, tokens, admin, now } = ports;
  const failures = rateLimit({ points: 10, perMs: 60_000 });

  http.use('/api/*', async (c, next) => {
    if (!admin) throw new AppError('not_found', 'Nothing is here');
    const given = bearer(c.req.header('authorization'));
    if (given === undefined || !equalSecret(given, admin.bytes())) {
      // No token is no guess.
      const { ok, retryAfter } = given === undefined
        ? { ok: true, retryAfter: 0 }
        : failures.take(ports.addressOf(c.req.raw, c.env));
      if (!ok) {
        throw new AppError('rate_limited', 'Cannot sign in: too many failures', { retryAfter });
      }
      throw new AppError('unauthenticated', 'Cannot use the API: admin token missing or wrong');
    }
    await next();
  });

  const known = (feed: string) => {
    if (!feeds.has(feed)) throw new AppError('not_found', 'Cannot find feed');
    return feed;
  };

  const api = {
    ...bearerScheme(http, 'admin', 'The admin token'),
    tags: ['api'],
  };
  const always = problems(401, 429);
  const addressed = { ...always, ...problems(400, 404) };
  return http
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: '/api/feeds',
        summary: 'Health of every feed and source',
        responses: { 200: json(z.object({ feeds: z.array(feedShape) }), 'All feeds'), ...always },
      }),
      (c) => c.json({ feeds: feeds.health().map((feed) => ({ ...feed })) } as never, 200),
    )
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: '/api/feeds/{feed}/refresh',
        summary: 'Fetch every source of a feed now',
        request: { params: feedParam },
        responses: { 200: json(feedShape, 'The feed, afterwards'), ...addressed },
      }),
      async (c) => {
        const feed = known(c.req.valid('param').feed);
        await feeds.refresh(feed);
        return c.json({ ...feeds.health(feed)[0]! } as never, 200);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'get',
        path: '/api/feeds/{feed}/tokens',
        summary: 'The tokens of a feed, without the tokens themselves',
        request: { params: feedParam },
        responses: {
          200: json(z.object({ tokens: z.array(tokenShape) }), 'Its tokens'),
          ...addressed,
        },
      }),
      (c) => {
        const feed = known(c.req.valid('param').feed);
        return c.json({ tokens: tokens.list(feed).map(showToken) }, 200);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: '/api/feeds/{feed}/tokens',
        summary: 'Make a token: its URL is in this answer and nowhere else',
        request: {
          params: feedParam,
          body: { required: true, content: { 'application/json': { schema: newTokenBody } } },
        },
        responses: { 201: json(createdShape, 'The new token'), ...addressed, ...problems(503) },
      }),
      async (c) => {
        const feed = known(c.req.valid('param').feed);
        const { label, view, expires } = c.req.valid('json');
        const made = await tokens.create({
          feed,
          label,
          view,
          expires: expires === undefined ? undefined : parseExpiry(expires, now()),
        });
        return c.json(showCreated(config, made), 201);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'post',
        path: '/api/tokens/{id}/rotate',
        summary: 'Replace a token; the old one goes on for `overlap`',
        request: {
          params: tokenParam,
          body: { content: { 'application/json': { schema: rotateBody } } },
        },
        responses: {
          201: json(createdShape, 'The new token'),
          ...addressed,
          ...problems(409, 503),
        },
      }),
      async (c) => {
        const { overlap = '7d' } = c.req.valid('json') ?? {};
        const made = await tokens.rotate(c.req.valid('param').id, parseOverlap(overlap));
        return c.json(showCreated(config, made), 201);
      },
    )
    .openapi(
      createRoute({
        ...api,
        method: 'delete',
        path: '/api/tokens/{id}',
        summary: 'Revoke a token, at once',
        request: { params: tokenParam },
        responses: { 204: { description: 'It is gone' }, ...addressed, ...problems(503) },
      }),
      async (c) => {
        await tokens.revoke(c.req.valid('param').id);
        return c.body(null, 204);
      },
    );
}

/** The API's type, for clients: `apiClient<IcsProxyApi>`. */
export type IcsProxyApi = ReturnType<typeof addApi>;

function showCreated(config: Config, made: { token: string; record: TokenRecord }) {
  const { created, expires, ...rest } = made.record;
  const url = feedUrl(config, rest.feed, made.token);
  return {
    ...rest,
    created: iso(created),
    ...(expires === undefined ? {} : { expires: iso(expires) }),
    url,
    webcal: url.replace(/^https?:/, 'webcal:'),
  };
}
