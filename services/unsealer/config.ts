/** The one YAML file of the unsealer. */
import { z } from 'zod';
import { AppError, type Fault } from '@hackspace/kit/errors.ts';
import { duration, listen, loadConfig, secretFile } from '@hackspace/kit/config.ts';
import { stateConfig } from '@hackspace/kit/state.ts';
import { bridgeSchema } from './bridge/config.ts';

const httpsUrl = z.string().regex(/^https:\/\/[^/?#@\s]+\/?$/, 'must be https://host:port');
const id = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'must be a DNS-like name');
const spki = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, 'must be the base64 SHA-256 of a public key');

const node = z.union([
  httpsUrl.transform((url) => ({ id: new URL(url).host, url, san: undefined, spki: undefined })),
  z.strictObject({
    id: id.optional(),
    url: httpsUrl,
    san: z.string().min(1).max(253).optional().describe(
      'The exact name its certificate must carry; the host of `url` when absent.',
    ),
    spki: spki.optional(),
  }).transform((n) => ({ ...n, id: n.id ?? new URL(n.url).host })),
]);

/** Finds nodes beside the listed ones. A hint only: each must prove the name that is pinned here. */
const discover = z.union([
  z.strictObject({
    dns: z.string().min(1).max(253).describe('A headless Service: each address of it is a node.'),
    port: z.number().int().min(1).max(65535).default(8200),
    san: z.string().min(1).max(253).describe("The name every node's certificate carries."),
    every: duration().prefault('10s'),
  }),
  z.strictObject({
    namespace: id,
    labels: z.string().regex(/^[\w./=,-]{1,500}$/, 'must be a label selector').describe(
      '`app.kubernetes.io/name=openbao`',
    ),
    port: z.number().int().min(1).max(65535).default(8200),
    san: z.string().min(1).max(253),
    every: duration().prefault('10s'),
  }),
]);

const cluster = z.strictObject({
  nodes: z.array(node).max(200).default([]),
  discover: discover.optional(),
  caFile: z.string().min(1),
  threshold: z.number().int().min(1).max(255).describe('Shares that open a node'),
  shares: z.number().int().min(1).max(255).describe('Shares that were dealt'),
  clusterId: z.guid().describe(
    '`cluster_id` of seal-status while a node is open. Random hex in UUID form, without version bits.',
  ),
  shareFiles: z.array(z.string().min(1)).min(1).describe(
    'Enrolled shares, encrypted; fewer than the threshold',
  ),
  keyFile: secretFile().optional().describe('Decrypts the shares; or the passphrase does'),
  passphraseFile: secretFile().optional().describe('Decrypts the shares; or the key does'),
  coldStart: z.enum(['auto', 'confirm']).default('auto').describe(
    'Whether a human confirms when no node is open',
  ),
  poll: z.strictObject({
    idle: duration().prefault('5s').describe('Between looks while the node is open'),
    sealed: duration().prefault('40ms').describe('Between looks while it is down or sealed'),
  }).prefault({}),
  budget: z.strictObject({
    perHour: z.number().int().min(1).max(100_000).default(100).describe(
      'Shares sent to one node at most',
    ),
    first: duration().prefault('250ms'),
    max: duration().prefault('1m'),
  }).prefault({}),
  progressTimeout: duration().prefault('1m'),
  sealedTooLong: duration().prefault('2m').describe('An alert is sent after it'),
});
export type ClusterConfig = z.output<typeof cluster>;

const caller = z.strictObject({
  tokenFile: secretFile().optional().describe('SHA-256 compared; the file holds the token itself.'),
  serviceAccounts: z.strictObject({
    jwksFile: z.string().min(1).describe(
      "The cluster's public keys, `kubectl get --raw /openid/v1/jwks`.",
    ),
    issuer: z.string().min(1),
    audience: z.string().min(1),
    subjects: z.array(z.string().regex(/^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$/)).min(1)
      .describe('`system:serviceaccount:NAMESPACE:NAME`, exactly.'),
  }).optional(),
}).refine((c) => c.tokenFile || c.serviceAccounts, 'needs tokenFile or serviceAccounts');
export type CallerConfig = z.output<typeof caller>;

const alert = z.strictObject({
  type: z.enum(['json', 'ntfy', 'matrix']),
  url: z.url({ protocol: /^https?$/ }).describe(
    'json: the hook; ntfy: server and topic; matrix: the homeserver.',
  ),
  urlFile: secretFile().optional().describe(
    'The whole URL by file, where it is itself a secret; replaces `url`.',
  ),
  tokenFile: secretFile().optional(),
  room: z.string().regex(/^!/, 'must be a room id, !id:server').optional(),
}).refine((a) => a.type !== 'matrix' || (a.room && a.tokenFile), 'matrix needs room and tokenFile');
export type AlertConfig = z.output<typeof alert>;

const kubernetes = z.strictObject({
  url: httpsUrl,
  caFile: z.string().min(1),
  tokenFile: secretFile().optional(),
  certFile: z.string().min(1).optional(),
  keyFile: secretFile().optional(),
  san: z.string().optional(),
});
export type KubernetesConfig = z.output<typeof kubernetes>;

/** The words that let one process hold enough shares to open a node alone. */
export const ALONE = 'one process may open the vault alone';

export const schema = z.strictObject({
  listen: listen(8082),
  state: stateConfig(),
  helper: z.string().regex(/^[\w.-]{1,63}$/).default('unsealer').describe(
    'Name of this process in logs and alerts',
  ),
  singleBox: z.literal(ALONE).optional(),
  elected: z.union([
    z.boolean(),
    z.strictObject({ namespace: id, lease: id, duration: duration().prefault('15s') }),
  ]).default(false).describe(
    'Who alone may reset poisoned progress: this one, another, or the holder of a Lease.',
  ),
  callers: z.strictObject({ wake: caller.optional(), operators: caller.optional() }).prefault({}),
  hold: z.strictObject({
    file: z.string().min(1).optional().describe(
      'While this file is there, nothing is sent. Its text says who and why.',
    ),
    annotation: z.strictObject({
      path: z.string().regex(/^\/apis?\/[\w./-]{1,500}$/).describe(
        '`/api/v1/namespaces/openbao/configmaps/unsealer`',
      ),
      key: z.string().default('unsealer.hackspace.dev/hold'),
      every: duration().prefault('5s'),
    }).optional(),
    deadMan: duration().optional().describe(
      'Sends only while a human renewed the lease (`POST /lease`) within this time.',
    ),
  }).prefault({}),
  kubernetes: kubernetes.optional().describe(
    'For discovery by labels, a hold by annotation and a Lease',
  ),
  alerts: z.array(alert).max(10).default([]).describe('Who is told of trouble'),
  clusters: z.record(id, cluster).describe('The vaults to open, by name'),
  bridges: z.record(id, bridgeSchema).default({}).describe(
    'Clusters whose ServiceAccounts log in to a vault',
  ),
});
export type Config = z.output<typeof schema>;

/** Reads and checks the whole config; throws AppError `invalid` with every fault. */
export async function readConfig(
  file: string,
  env?: Record<string, string | undefined>,
): Promise<Config> {
  const options = { file, envPrefix: 'UNSEALER', ...(env ? { env } : {}) };
  const config = await loadConfig(schema, options);
  const faults = crossCheck(config);
  if (faults.length === 0) return config;
  const list = faults.map((f) => `  ${f.path}: ${f.message}`).join('\n');
  throw new AppError('invalid', `Cannot use config ${file}:\n${list}`, { faults });
}

/** What one key alone cannot tell. */
export function crossCheck(config: Config): Fault[] {
  const faults: Fault[] = [];
  const add = (path: string, message: string) => faults.push({ path, message });
  if (Object.keys(config.clusters).length === 0) add('clusters', 'names no cluster');
  for (const [name, c] of Object.entries(config.clusters)) {
    const at = `clusters.${name}`;
    if (c.threshold > c.shares) add(`${at}.threshold`, 'is larger than shares');
    if (c.shares > 1 && c.threshold < 2) add(`${at}.threshold`, 'must be at least 2 of many');
    if (!c.nodes.length && !c.discover) add(`${at}.nodes`, 'is empty and nothing is discovered');
    if (new Set(c.nodes.map((n) => n.id)).size < c.nodes.length) {
      add(`${at}.nodes`, 'two share an id');
    }
    if ((c.keyFile === undefined) === (c.passphraseFile === undefined)) {
      add(`${at}.keyFile`, 'give either keyFile or passphraseFile');
    }
    if (c.shareFiles.length >= c.threshold && config.singleBox !== ALONE) {
      const alone = `${c.shareFiles.length} shares reach the threshold of ${c.threshold}`;
      add(`${at}.shareFiles`, `${alone}: keep fewer, or set singleBox: "${ALONE}"`);
    }
    if (c.discover && 'namespace' in c.discover && !config.kubernetes) {
      add(`${at}.discover`, 'labels need the key kubernetes');
    }
  }
  if (typeof config.elected === 'object' && !config.kubernetes) {
    add('elected', 'a Lease needs the key kubernetes');
  }
  if (config.hold.annotation && !config.kubernetes) {
    add('hold.annotation', 'needs the key kubernetes');
  }
  return faults;
}
