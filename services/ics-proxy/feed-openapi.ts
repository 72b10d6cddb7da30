import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { HttpEnv } from '@hackspace/kit/http.ts';
import { json } from '@hackspace/kit/openapi.ts';

const refusals = {
  404: 'The one answer to every kind of wrong',
  429: 'Too many failed requests; see Retry-After',
  503: 'No source has been fetched so far; see Retry-After',
};

/** The three faces of a feed; where they are routed is not zod-openapi's business, so they are told. */
export function documentFeeds(http: OpenAPIHono<HttpEnv>): void {
  const registry = http.openAPIRegistry;
  registry.registerComponent('securitySchemes', 'feedToken', {
    type: 'apiKey',
    in: 'query',
    name: 'token',
  });
  registry.registerComponent('securitySchemes', 'feedBearer', { type: 'http', scheme: 'bearer' });
  registry.registerComponent('securitySchemes', 'feedBasic', {
    type: 'http',
    scheme: 'basic',
    description: 'The token is the password; any user name',
  });
  const params = z.object({ feed: z.string().max(63).openapi({ example: 'members' }) });
  const span = z.object({
    zone: z.string().max(64).optional().openapi({ example: 'Europe/Berlin' }),
    from: z.string().max(40).optional().openapi({
      example: '2026-12-01',
      description: 'First day; today when absent or not one',
    }),
  });
  const add = (
    path: string,
    summary: string,
    request: { params: typeof params; query?: typeof span },
    good: Record<number, { description: string; content?: Record<string, unknown> }>,
    refused: Record<string, unknown>,
  ) =>
    registry.registerPath({
      method: 'get',
      path,
      summary,
      tags: ['feeds'],
      security: [{ feedToken: [] }, { feedBearer: [] }, { feedBasic: [] }],
      request,
      responses: {
        ...good,
        ...Object.fromEntries(
          Object.entries(refusals).map(([status, description]) => [status, {
            description,
            content: refused,
          }]),
        ),
      } as never,
    });
  const text = { schema: z.string() };
  add('/proxy/{feed}.ics', 'The merged calendar', { params }, {
    200: { description: 'RFC 5545', content: { 'text/calendar': text } },
    304: { description: 'Not changed since If-None-Match or If-Modified-Since' },
  }, { 'text/plain': text });
  add(
    '/proxy/{feed}.json',
    'Thirty days of it, occurrence by occurrence',
    {
      params,
      query: span,
    },
    { 200: json(agenda, 'The agenda') },
    {
      'application/json': { schema: z.object({ error: z.string() }) },
    },
  );
  add('/proxy/{feed}', 'The same for people', { params, query: span }, {
    200: { description: 'A page', content: { 'text/html': text } },
  }, { 'text/html': text });
}

const agenda = z.object({
  feed: z.string(),
  name: z.string(),
  view: z.enum(['full', 'busy']),
  state: z.enum(['ok', 'degraded', 'waiting']),
  modified: z.string(),
  zone: z.string(),
  from: z.string(),
  until: z.string(),
  more: z.boolean().openapi({ description: 'There are more occurrences than are listed' }),
  occurrences: z.array(z.looseObject({})),
}).openapi('Agenda');
