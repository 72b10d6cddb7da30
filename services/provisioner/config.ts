import { duration, listen, loadConfig, parseConfig, secretFile } from '@hackspace/kit/config.ts';
import { AppError, fileReason } from '@hackspace/kit/errors.ts';
import { stateConfig } from '@hackspace/kit/state.ts';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { type Policy, policySchema } from './tenant/policy.ts';

/** https anywhere, http on this machine only. */
const safeUrl = z.url().refine((text) => {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username || password) return false;
  return protocol === 'https:' ||
    (protocol === 'http:' && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname));
}, 'must be https (http on loopback only), without user and password');
/** Inside one cluster, where a NetworkPolicy stands for TLS. */
const innerUrl = z.url().refine(
  (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
  'must be http(s)',
);
const file = z.string().min(1).max(4096);
const person = z.strictObject({ name: z.string().min(1).max(100), email: z.email() });
const branch = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/).default('main');
const signersFile = file.optional().describe(
  'Public keys as in `authorized_keys`: with `signingKeyFile` nothing is written on top of a commit that neither it nor one of these signed.',
);

const store = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('bare-git'),
    repositoryDir: file.describe('The folder of the bare repository; made when missing.'),
    branch,
    signingKeyFile: secretFile().optional().describe(
      'An OpenSSH private key that signs every commit.',
    ),
    signersFile,
  }),
  z.strictObject({
    kind: z.literal('git-remote'),
    url: z.string().regex(/^(https|ssh|http):\/\//, 'must be https:// or ssh://'),
    repositoryDir: file.describe('Where the local copy is kept.'),
    branch,
    username: z.string().min(1).optional(),
    tokenFile: secretFile().optional(),
    sshKeyFile: secretFile().optional(),
    knownHostsFile: file.optional(),
    signingKeyFile: secretFile().optional(),
    signersFile,
  }),
  z.strictObject({
    kind: z.literal('forgejo'),
    url: safeUrl,
    owner: z.string().min(1).max(100),
    repo: z.string().min(1).max(100),
    branch,
    tokenFile: secretFile(),
  }),
]);

const membership = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('keycloak'),
    url: safeUrl,
    realm: z.string().min(1).max(100),
    issuer: z.url().optional(),
    clientId: z.string().min(1),
    clientSecretFile: secretFile(),
    paying: z.union([
      z.strictObject({ groupId: z.uuid() }),
      z.strictObject({ groupPath: z.string().startsWith('/') }),
      z.strictObject({ role: z.string().min(1) }),
      z.strictObject({ attribute: z.string().min(1), value: z.string() }),
    ]),
    knownMember: z.string().min(1).describe('`sub` of somebody who certainly pays.'),
    timeout: duration().prefault('5s'),
  }),
  z.strictObject({ kind: z.literal('claims'), group: z.string().startsWith('/') }),
  z.strictObject({ kind: z.literal('static'), membersFile: file }),
]);

export const configSchema = z.strictObject({
  listen: listen(8081),
  publicUrl: safeUrl.describe('The portal as members reach it.'),
  policyFile: file.describe('The YAML file of plans and rules.'),
  state: stateConfig(),
  space: z.strictObject({
    name: z.string().min(1).max(80).default('Hackspace'),
    colour: z.string().regex(/^#[0-9a-f]{6}$/i, 'must be a colour such as #1d5fa8').optional()
      .describe('The band at the top of each page, `#rrggbb`.'),
    logoFile: file.optional().describe('A small SVG or PNG, shown beside the name.'),
    joinUrl: z.url({ protocol: /^https?$/ }).optional().describe(
      'Where people read how to become a paying member.',
    ),
    textsFile: file.optional().describe("YAML of sentences that replace the portal's own."),
  }).prefault({}),
  portal: z.strictObject({
    issuer: safeUrl,
    clientId: z.string().min(1),
    clientSecretFile: secretFile(),
    sessionSecretFile: secretFile().describe('Encrypts sessions at rest; 32 characters or more.'),
    adminGroup: z.string().startsWith('/').default('/hackspace-admins').describe(
      'Path of the group whose members administrate.',
    ),
    commitUrl: z.string().regex(/^https?:\/\/.*\{commit\}/, 'must hold {commit}').optional()
      .describe('Where a commit can be looked at; `{commit}` is its id.'),
  }).optional().describe('The pages. Without it there is only the API.'),
  committer: person.prefault({
    name: 'Hackspace provisioner',
    email: 'provisioner@hackspace.invalid',
  }),
  api: z.strictObject({
    issuer: safeUrl,
    jwksUrl: safeUrl.optional(),
    audience: z.string().min(1).default('provisioner'),
    clients: z.array(z.string().min(1)).min(1),
    algorithms: z.array(z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA']))
      .min(1).default(['RS256', 'ES256']),
    adminScope: z.string().min(1).default('provisioner:admin'),
    scope: z.string().min(1).optional(),
    rateLimit: z.strictObject({
      points: z.number().int().min(1).default(30),
      per: duration().prefault('1m'),
    }).prefault({}).describe('Writes of one subject.'),
  }),
  store: store.describe('Where the tenants are written'),
  membership: membership.describe('Who is asked whether somebody pays'),
  sweep: z.strictObject({
    every: duration().prefault('1d').describe(
      '0s switches it off: `cli.ts sweep` from a timer then, at least once a day; a pause of more ' +
        'than four days starts the count of "no"s again.',
    ),
    breaker: z.strictObject({
      share: z.number().min(0).max(1).default(0.1).describe(
        'Lapses of one sweep above this share of the members, and above `min`, open the breaker',
      ),
      min: z.number().int().min(0).default(3).describe(
        'So many lapses of one sweep never open the breaker',
      ),
    }).prefault({}),
  }).prefault({}),
  notify: z.strictObject({
    smtp: z.strictObject({
      host: z.string().min(1),
      port: z.number().int().min(1).max(65535).default(587),
      security: z.enum(['tls', 'starttls', 'none']).default('starttls'),
      from: z.email(),
      admin: z.email(),
      user: z.string().optional(),
      passwordFile: secretFile().optional(),
    }).optional(),
    webhook: z.strictObject({ url: innerUrl, secretFile: secretFile() }).optional(),
  }).prefault({}),
  export: z.strictObject({
    archiveDir: file.describe('What was exported before a deletion is kept here'),
    hook: z.strictObject({ url: innerUrl, secretFile: secretFile() }).optional(),
  }),
  cluster: z.strictObject({
    server: z.url().startsWith('https://'),
    caFile: file,
    tokenFile: secretFile(),
  }).optional(),
  receiver: z.strictObject({
    url: innerUrl.describe(
      'Where Flux’s Receiver is reached. The path may be left out: Flux makes it of `name` and the key.',
    ),
    name: z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, 'must be namespace/name')
      .default('flux-system/tenants').describe('The Receiver, as namespace/name.'),
    secretFile: secretFile(),
  }).optional().describe('Wakes Flux after each commit. Without it Flux looks by itself.'),
  icsProxy: z.strictObject({
    url: innerUrl,
    feed: z.string().regex(/^[\w-]{1,64}$/),
    tokenFile: secretFile(),
  }).optional(),
  unsealer: z.strictObject({ url: innerUrl, tokenFile: secretFile().optional() }).optional(),
  kubeconfig: z.strictObject({
    server: z.url().startsWith('https://'),
    caFile: file,
    cluster: z.string().regex(/^[a-z0-9-]{1,40}$/).default('member-prod'),
    clientId: z.string().min(1),
  }).optional(),
});

export type Config = z.output<typeof configSchema>;

export interface Loaded {
  config: Config;
  policy: Policy;
}

/** The config and the policy it names. Throws AppError `invalid` with every fault of the file. */
export async function load(path: string): Promise<Loaded> {
  const config = await loadConfig(configSchema, { file: path, envPrefix: 'PROVISIONER' });
  return { config, policy: await loadPolicy(config.policyFile) };
}

export async function loadPolicy(path: string): Promise<Policy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError('invalid', `Cannot read policy ${path}: ${fileReason(cause)}`);
  }
  return parseConfig(policySchema, text, {
    file: path,
    base: dirname(path),
    envPrefix: 'PROVISIONER_POLICY',
    env: {},
  });
}
