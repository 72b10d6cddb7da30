import { duration } from '@hackspace/kit/config.ts';
import { z } from 'zod';

const quantity = z.union([
  z.string().regex(/^\d{1,7}(m|Ki|Mi|Gi|Ti)?$/, 'must be a quantity such as 500m, 2 or 4Gi'),
  z.number().int().min(0).max(1_000_000).transform(String),
]);
const label = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a DNS-1123 label');
const cidr = z.string().regex(/^[0-9a-f.:]{2,39}\/\d{1,3}$/i, 'must be a CIDR such as 10.0.0.0/8');

const plan = z.strictObject({
  title: z.string().min(1).max(80),
  requestsCpu: quantity,
  requestsMemory: quantity,
  limitsCpu: quantity,
  limitsMemory: quantity,
  storage: quantity,
  pods: z.number().int().min(1).max(1000),
  services: z.number().int().min(0).max(200).default(10),
  secrets: z.number().int().min(1).max(500).default(30),
  configMaps: z.number().int().min(1).max(500).default(30),
  volumes: z.number().int().min(0).max(100).default(5),
  /** Per container, when the member says nothing. */
  defaultCpu: quantity.default('100m'),
  defaultMemory: quantity.default('128Mi'),
});

/** The one file in which an administrator says what members may have. */
export const policySchema = z.strictObject({
  plans: z.record(label, plan).refine((p) => Object.keys(p).length > 0, 'needs at least one plan'),
  defaultPlan: label,
  tenantsPerMember: z.number().int().min(1).max(100).default(1),
  repositories: z.array(
    z.url().refine((text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      return url !== undefined && url.origin === text && /^https?:$/.test(url.protocol);
    }, 'must be an origin such as https://codeberg.org, without a path'),
  ).min(1).describe("Origins of members' repositories: `https://host`, compared exactly."),
  flux: z.strictObject({
    interval: duration().prefault('10m'),
    retryInterval: duration().prefault('2m'),
    timeout: duration().prefault('2m'),
    wait: z.boolean().default(true).describe(
      'Flux waits for workloads to become healthy; off where nothing runs pods (tests).',
    ),
  }).prefault({}),
  network: z.strictObject({
    ingressFrom: z.array(label).default([]).describe(
      "Namespaces that may open connections to tenants: the ingress controller's, say.",
    ),
    internet: z.boolean().default(true).describe(
      'Whether tenants may reach the internet. Private ranges stay closed.',
    ),
    closed: z.array(cidr).default([
      '10.0.0.0/8',
      '100.64.0.0/10',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.168.0.0/16',
    ]),
  }).prefault({}),
  vault: z.strictObject({
    server: z.url(),
    mount: label.default('jwt-member-prod'),
    role: label.default('tenant'),
    audience: label.default('openbao'),
    kv: label.default('secret'),
    caBundle: z.string().regex(/^[A-Za-z0-9+/=]+$/).optional().describe(
      "The PEM of the vault's CA in base64; public.",
    ),
  }).optional(),
  users: z.strictObject({
    prefix: z.string().regex(/^[A-Za-z0-9:/._#-]{1,200}$/),
  }).optional().describe(
    "How the API server names members who log in with OIDC: gives them their namespace's role.",
  ),
  lifecycle: z.strictObject({
    answers: z.number().int().min(1).max(100).default(3).describe(
      'Definite "no"s in a row before anything happens.',
    ),
    grace: duration().prefault('30d'),
    suspended: duration().prefault('60d'),
    exported: duration().prefault('30d'),
    drain: duration().prefault('1h').describe(
      'How long the first of the two deleting commits stays before the second at most.',
    ),
  }).prefault({}),
}).refine((policy) => Object.hasOwn(policy.plans, policy.defaultPlan), {
  path: ['defaultPlan'],
  message: 'must be one of the plans',
});

export type Policy = z.output<typeof policySchema>;
export type Plan = Policy['plans'][string];
