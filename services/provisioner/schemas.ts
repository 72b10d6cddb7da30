import { json, problems } from '@hackspace/kit/openapi.ts';
import { z } from '@hono/zod-openapi';
import { STATES } from './tenant/record.ts';
import { NAME } from './tenant/tenant.ts';
import type { Written } from './tenants.ts';

// What the API takes and gives. Input is checked against the policy in tenant/tenant.ts, which tells
// every fault in a member's words; so it is taken as it comes, and here its outline is told.

const change = {
  plan: z.unknown().optional().openapi({ type: 'string', maxLength: 63, example: 'small' }),
  repository: z.unknown().optional().openapi({
    type: 'object',
    properties: {
      url: { type: 'string', format: 'uri', maxLength: 300 },
      ref: { type: 'string', maxLength: 200, default: 'main' },
      path: { type: 'string', maxLength: 200, default: './' },
    },
    required: ['url'],
    additionalProperties: false,
    example: { url: 'https://codeberg.org/member/garden', ref: 'main', path: './' },
  }),
  wants: z.unknown().optional().openapi({
    type: 'object',
    properties: { calendar: { type: 'boolean', default: false } },
    additionalProperties: false,
    example: { calendar: true },
  }),
  suspend: z.unknown().optional().openapi({ type: 'boolean', example: false }),
  agreed: z.string().max(64).optional().openapi({
    description: 'The `preview` that was shown: refused if something else would be committed now',
  }),
};
const tenant = {
  name: z.unknown().optional().openapi({ type: 'string', pattern: NAME.source, example: 'garden' }),
  ...change,
};
const closed = { additionalProperties: false };

export const tenantBody = z.looseObject(tenant).openapi('TenantInput', {
  ...closed,
  required: ['name', 'repository'],
});
export const triggerRequest = z.looseObject(tenant).openapi('TriggerInput', closed);
export const changeBody = z.looseObject(change).openapi('TenantChange', {
  ...closed,
  required: ['repository'],
});

export const nameParam = z.object({
  name: z.string().max(60).openapi({ param: { name: 'name', in: 'path' }, example: 'garden' }),
});
export const previewQuery = z.object({ preview: z.enum(['0', '1']).optional() });
export const idempotencyHeader = z.object({
  'idempotency-key': z.string().optional().openapi({
    example: '5f1c9a0e-6d0e-4d5e-9d43-1f0f6a1f7f11',
  }),
});
export const listQuery = z.object({
  state: z.enum(STATES).optional(),
  q: z.string().max(255).optional(),
  after: z.string().max(60).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

const record = z.object({
  version: z.literal(1),
  name: z.string().openapi({ example: 'garden' }),
  owner: z.object({ iss: z.string(), sub: z.string() }),
  plan: z.string().openapi({ example: 'small' }),
  repository: z.object({ url: z.string(), ref: z.string(), path: z.string() }),
  wants: z.object({ calendar: z.boolean() }),
  suspend: z.boolean(),
  state: z.enum(STATES),
  reason: z.enum(['lapsed', 'requested']).nullable(),
  created: z.string().openapi({ example: '2026-11-23T12:00:00Z' }),
  since: z.string().openapi({ example: '2026-11-23T12:00:00Z' }),
}).openapi('Tenant');

export const writtenBody = z.object({
  tenant: record,
  commit: z.string().optional().openapi({
    description: 'Absent when everything was there already',
  }),
}).openapi('Written');

export { json };

export function written(done: Written) {
  return { tenant: done.record, ...(done.commit ? { commit: done.commit } : {}) };
}

export const preview = z.object({
  record,
  files: z.array(z.object({
    path: z.string().openapi({ example: 'tenants/garden/namespace.yaml' }),
    kind: z.enum(['added', 'changed', 'removed']),
    diff: z.string(),
  })),
  preview: z.string(),
}).openapi('Preview');
export const claimedOrPreview = z.union([writtenBody, preview]);
export const tenantList = z.object({ tenants: z.array(record) });
export const adminList = z.object({
  tenants: z.array(record),
  total: z.number(),
  next: z.string().optional(),
});

export const statusBody = z.object({
  tenant: record,
  steps: z.array(z.object({
    key: z.enum(['membership', 'committed', 'fetched', 'applied', 'healthy']),
    state: z.enum(['done', 'pending', 'failed', 'unknown']),
    at: z.string().optional(),
    text: z.string(),
    help: z.string().optional(),
  })),
  quota: z.array(z.object({
    name: z.string(),
    used: z.string(),
    hard: z.string(),
    percent: z.number(),
  })),
  drift: z.array(z.string()).optional(),
  due: z.string().optional(),
}).openapi('Status');

export const auditBody = z.object({
  commits: z.array(z.object({
    commit: z.string(),
    author: z.string(),
    time: z.string(),
    subject: z.string(),
    trailers: z.record(z.string(), z.string()),
  })),
});
export const feedBody = z.object({ url: z.string() });
export const vaultBody = z.object({ vault: z.enum(['open', 'sealed', 'unknown']) });
export const triggerBody = z.object({ triggered: z.array(z.string()) });

export const sweepReport = z.object({
  at: z.string(),
  dryRun: z.boolean(),
  tenants: z.number(),
  answers: z.object({ yes: z.number(), no: z.number(), unknown: z.number() }),
  steps: z.array(z.object({ name: z.string(), from: z.string(), to: z.string(), why: z.string() })),
  told: z.number(),
  breaker: z.object({ open: z.boolean(), count: z.number(), limit: z.number() }),
  faults: z.array(z.string()),
}).openapi('SweepReport');
export const sweepBody = z.object({ last: sweepReport.optional(), preview: sweepReport });
export const sweepRequest = z.strictObject({
  override: z.number().int().min(1).max(100_000).optional(),
});

/** What every route may answer besides, as RFC 9457 problem details. */
export const faults = problems(400, 401, 403, 404, 409, 429, 503);
