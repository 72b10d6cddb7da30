import { isIP } from 'node:net';
import { dirname, isAbsolute, resolve } from 'node:path';
import { duration, listen, loadConfig } from '@hackspace/kit/config.ts';
import { stateConfig } from '@hackspace/kit/state.ts';
import { z } from 'zod';
import { sourcePolicySchema, viewPolicySchema } from './calendar/policy.ts';
import { checkSource, sourceFields } from './sources/source.ts';

/** Google takes URLs of at most 256 characters. */
export const MAX_URL = 255;
const TOKEN_LENGTH = 64;

const FEED_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(name);
  } catch {
    return false;
  }
}

const source = z.strictObject({
  ...sourceFields,
  refresh: duration().refine((ms) => ms >= 5000 && ms <= 7 * 86_400_000, {
    message: 'must be between 5s and 7d',
  }).default(15 * 60_000).describe('Wanted time between two fetches.'),
  ...sourcePolicySchema.shape,
}).superRefine(checkSource);

const feed = z.strictObject({
  name: z.string().min(1).max(200),
  description: z.string().max(2000).optional(),
  sources: z.array(source).min(1).max(200),
  zone: z.string().refine(isZone, 'must be a time zone such as Europe/Berlin').default('UTC')
    .describe('The zone the agenda shows first, until the reader chooses another.'),
  compress: z.boolean().default(true).describe(
    "Whether bodies may be compressed; some readers of Outlook's cannot take it.",
  ),
  budgetBytes: z.number().int().min(10_000).max(256 * 1024 * 1024).default(1_000_000).describe(
    'Largest rendered size in bytes; Google drops what is past about 1 MB.',
  ),
  window: viewPolicySchema.shape.window.describe(
    'What is served of the past and the future; all of it when absent.',
  ),
  views: z.strictObject({
    full: viewPolicySchema.optional(),
    busy: viewPolicySchema.optional(),
  }).default({}).describe("Filters of one view, on top of its sources' own."),
  color: sourcePolicySchema.shape.color.describe(
    'A CSS colour name, for readers that colour whole calendars.',
  ),
  staleAfter: duration().default(86_400_000).describe(
    'A source not refreshed for so long counts as stale.',
  ),
  staleNotice: z.boolean().default(false).describe(
    'Whether the feed itself tells its readers, by an event, that a source is stale.',
  ),
});

export const configSchema = z.strictObject({
  listen: listen(8080),
  publicUrl: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .transform((url) => url.replace(/\/+$/, ''))
    .refine((url) => !/[?#]|\/\/[^/]*@/.test(url), 'must hold no query, fragment or credentials')
    .describe('Where subscribers reach this service, without a slash at the end.'),
  state: stateConfig().describe(
    'A directory, relative to this file, or Redis/Valkey when there are replicas.',
  ),
  admin: z.strictObject({ tokenFile: z.string().min(1) }).optional().describe(
    'Without it there is no admin page and no API.',
  ),
  trustedProxies: z.array(
    z.string().refine(isNetwork, 'must be an address or a CIDR such as 10.0.0.0/8'),
  ).default([]).describe('Reverse proxies whose X-Forwarded-For is believed.'),
  feeds: z.record(
    z.string().regex(FEED_ID, 'must be lower-case letters, digits and -'),
    feed,
  ).refine((feeds) => Object.keys(feeds).length > 0, 'must hold at least one feed'),
}).superRefine((config, context) => {
  for (const [id, { sources }] of Object.entries(config.feeds)) {
    const url = `${config.publicUrl}/proxy/${id}.ics?token=`;
    if (url.length + TOKEN_LENGTH > MAX_URL) {
      context.addIssue({
        code: 'custom',
        path: ['feeds', id],
        message: `its URL has ${url.length + TOKEN_LENGTH} characters: Google takes ${MAX_URL}`,
      });
    }
    const seen = new Set<string>();
    for (const [i, { id: name }] of sources.entries()) {
      if (seen.has(name)) {
        context.addIssue({
          code: 'custom',
          path: ['feeds', id, 'sources', i, 'id'],
          message: `"${name}" is used twice in this feed`,
        });
      }
      seen.add(name);
    }
  }
});

export type Config = z.output<typeof configSchema>;
export type FeedConfig = Config['feeds'][string];
export type FeedSource = FeedConfig['sources'][number];

/** Reads the config; a relative `state` directory is relative to the file. Throws AppError `invalid`. */
export async function loadIcsConfig(file: string): Promise<Config> {
  const config = await loadConfig(configSchema, { file, envPrefix: 'ICS_PROXY' });
  const { state } = config;
  if (typeof state === 'string' && !/^rediss?:/.test(state) && !isAbsolute(state)) {
    return { ...config, state: resolve(dirname(resolve(file)), state) };
  }
  return config;
}

function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined ||
    (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
}

/** A subscriber's URL. Holds the token: for the subscriber's eyes only. */
export function feedUrl(config: Pick<Config, 'publicUrl'>, feed: string, token: string): string {
  return `${config.publicUrl}/proxy/${feed}.ics?token=${token}`;
}
