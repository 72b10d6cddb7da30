/** What the API takes and gives. No field of any answer holds a share. */
import { z } from '@hono/zod-openapi';

const node = z.object({
  cluster: z.string(),
  node: z.string(),
  state: z.string().openapi({ example: 'open' }),
  since: z.string().openapi({ example: '2026-11-23T12:00:00.000Z' }),
  why: z.string(),
  text: z.string(),
  sharesSent: z.number().int(),
  failures: z.number().int(),
});

export const statusBody = z.object({
  helper: z.string(),
  open: z.boolean().openapi({ description: 'There are nodes, and every one is open' }),
  held: z.boolean(),
  reasons: z.array(z.string()),
  disclosed: z.array(z.string()).openapi({
    description: 'Shares that reached a node of another cluster. Rotate the unseal key.',
  }),
  nodes: z.array(node),
  shares: z.record(z.string(), z.array(z.string())).openapi({
    description: 'Fingerprints of the shares this process holds, by cluster',
  }),
  bridges: z.array(z.object({ bridge: z.string(), text: z.string(), ok: z.boolean() })),
  alerts: z.array(z.object({ key: z.string(), title: z.string() })),
}).openapi('Status');
export type Status = z.infer<typeof statusBody>;

export const wokenBody = statusBody.extend({ caller: z.string() }).openapi('Woken');

export const holdRequest = z.strictObject({
  who: z.string().min(1).max(200),
  why: z.string().min(1).max(1000),
}).openapi('HoldRequest');
export const holdBody = z.object({
  held: z.literal(true),
  durable: z.boolean(),
  warning: z.string().optional(),
});
export const heldBody = z.object({ held: z.boolean(), reasons: z.array(z.string()) });

export const clusterParam = z.object({
  id: z.string().min(1).max(63).openapi({ example: 'core' }),
});
export const confirmedBody = z.object({
  confirmed: z.string(),
  by: z.string(),
  seconds: z.number(),
});

export const doctorBody = z.object({
  ok: z.boolean(),
  findings: z.array(z.object({
    bridge: z.string(),
    ok: z.boolean(),
    failure: z.number().int().optional(),
    name: z.string(),
    text: z.string(),
    mend: z.string().optional(),
  })),
});
