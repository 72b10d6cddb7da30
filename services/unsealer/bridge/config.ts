/** What one bridge joins: a downstream cluster's ServiceAccounts and the upstream OpenBao. */
import { z } from 'zod';
import { duration, secretFile } from '@hackspace/kit/config.ts';

const httpsUrl = z.string().regex(/^https:\/\/[^/?#@\s]+\/?$/, 'must be https://host:port');
const name = z.string().regex(
  /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
  'must be a Kubernetes name',
);
const mount = z.string().regex(/^[\w-]+(\/[\w-]+)*$/, 'must be the path of an auth mount');

export const bridgeSchema = z.strictObject({
  upstream: z.strictObject({
    url: httpsUrl,
    caFile: z.string().min(1),
    san: z.string().optional(),
    tokenFile: secretFile().describe(
      "An OpenBao token that may write the mount's config; read anew at each use.",
    ),
  }),
  downstream: z.strictObject({
    url: httpsUrl.describe('As this service reaches the downstream API.'),
    caFile: z.string().min(1),
    san: z.string().optional(),
    tokenFile: secretFile().optional(),
    certFile: z.string().optional(),
    keyFile: secretFile().optional(),
    fromUpstream: httpsUrl.optional().describe('As OpenBao reaches it, when that differs.'),
  }),
  jwt: z.strictObject({
    mount,
    role: z.string().min(1),
    issuer: z.string().min(1),
    audience: z.string().min(1),
    overlap: duration().prefault('25h').describe(
      'How long a key that the downstream no longer shows stays pinned: longer than its tokens live.',
    ),
    every: duration().prefault('5m'),
  }).optional().describe(
    "auth/jwt with the downstream's keys pinned: nothing calls back, nothing expires by itself.",
  ),
  kubernetes: z.strictObject({
    mount,
    role: z.string().min(1),
    audience: z.string().min(1),
    reviewer: z.strictObject({ namespace: name, name, ttl: duration().prefault('24h') }),
    every: duration().prefault('5m'),
  }).optional().describe(
    'auth/kubernetes with a reviewer token that is renewed before it expires.',
  ),
  client: z.strictObject({ namespace: name, name }).describe(
    "The ServiceAccount that logs in: External Secrets' or a workload's.",
  ),
}).refine((b) => b.jwt || b.kubernetes, 'needs jwt or kubernetes');
export type BridgeConfig = z.output<typeof bridgeSchema>;
