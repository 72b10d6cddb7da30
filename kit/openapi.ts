import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { ERROR_CODES } from './errors.ts';
import type { HttpEnv } from './http.ts';

/** RFC 9457 problem details, as every error of every API comes. `detail` may be shown to anyone. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.enum(ERROR_CODES),
  detail: z.string(),
  requestId: z.string(),
  retryAfter: z.number().optional(),
  faults: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
}).openapi('Problem');
export type Problem = z.infer<typeof problemSchema>;

/** A JSON answer, for `responses` of a route. */
export function json<S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

const PROBLEMS = {
  400: 'Does not fit; `faults` says where and why',
  401: 'No token, or one that is not valid here',
  403: 'Not for this caller',
  404: 'Not there, or not for this caller to see',
  409: 'Taken, or changed meanwhile',
  429: 'Too many; see Retry-After',
  503: 'Cannot be told or done now; see Retry-After',
};
type ProblemStatus = keyof typeof PROBLEMS;

/** The errors that a route may answer with besides, for its `responses`. */
export function problems<S extends ProblemStatus>(...statuses: S[]) {
  const content = { 'application/problem+json': { schema: problemSchema } };
  return Object.fromEntries(
    statuses.map((status) => [status, { description: PROBLEMS[status], content }]),
  ) as { [K in S]: { description: string; content: typeof content } };
}

/** Names the bearer tokens that a service takes, and returns what marks a route as wanting one. */
export function bearerScheme(http: OpenAPIHono<HttpEnv>, name: string, description: string) {
  http.openAPIRegistry.registerComponent('securitySchemes', name, {
    type: 'http',
    scheme: 'bearer',
    description,
  });
  return { security: [{ [name]: [] as string[] }] };
}

const readiness = z.object({ ready: z.boolean(), reasons: z.array(z.string()) });

/** Documents what every service answers. */
export function registerCommon(http: OpenAPIHono<HttpEnv>): void {
  const add = (path: string, summary: string, responses: Record<number, unknown>) =>
    http.openAPIRegistry.registerPath({
      method: 'get',
      path,
      summary,
      tags: ['operation'],
      responses: responses as never,
    });
  const alive = z.object({ status: z.literal('ok'), service: z.string() });
  add('/healthz', 'The process lives', { 200: json(alive, 'It does') });
  add('/readyz', 'Whether it can do its job, and every reason why not', {
    200: json(readiness, 'It can'),
    503: json(readiness, 'It cannot'),
  });
  add('/metrics', 'Prometheus’ text format', {
    200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } },
  });
}
