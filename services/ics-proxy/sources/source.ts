import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { duration } from '@hackspace/kit/config.ts';
import { AppError, StalledError } from '@hackspace/kit/errors.ts';
import { z } from 'zod';
import { isCidr, type Lookup } from './address.ts';
import { authSchema, type Credentials, openCredentials } from './auth.ts';
import type { Dial, Reach } from './exchange.ts';
import { Fault } from './fault.ts';
import { fetchFile } from './file.ts';

/** What an upstream answered last time, as it wants to be asked next time. Serialisable. */
export type Validators = Record<string, string>;

export type FetchResult =
  | {
    status: 'fresh';
    /** One or more VCALENDARs, one after the other. Untrusted. */
    bytes: Uint8Array;
    validators: Validators;
    /** What was left out of `bytes`, and why; for people. */
    warnings?: string[];
  }
  | { status: 'unchanged'; validators: Validators };

export interface Source {
  readonly id: string;
  /**
   * `previous` comes from the last result; `body` gives the bytes that belong to it (CalDAV keeps
   * what did not change). Throws AppError `unavailable`, with `retryAfter` in seconds when the
   * upstream named a time, or StalledError when only a human can help (401, 403, 404, 410, refused
   * address, unreadable secret). Messages hold neither URLs nor credentials.
   */
  fetch(
    previous: Validators | undefined,
    signal: AbortSignal,
    body?: () => Promise<Uint8Array | undefined>,
  ): Promise<FetchResult>;
}

const USER_AGENT = 'Mozilla/5.0 (compatible; hackspace-ics-proxy/0.1)';

/** The keys of a source that say where it is and how to get it; policies come on top of them. */
export const sourceFields = {
  id: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be lower-case letters, digits, _ and -'),
  url: z.string().min(1).max(4096).superRefine((text, context) => {
    const fault = urlFault(text);
    if (fault) context.addIssue({ code: 'custom', message: fault });
  }),
  type: z.enum(['ics', 'caldav']).default('ics').describe(
    '`ics`: one file behind one URL, or on disk. `caldav`: a collection, or a server to search.',
  ),
  auth: authSchema.optional(),
  userAgent: z.string().min(1).max(200).regex(/^[\x20-\x7e]+$/, 'must be plain ASCII')
    .default(USER_AGENT),
  timeout: duration().default(15_000).describe(
    'For one request with its redirects; a CalDAV fetch is many requests.',
  ),
  maxBytes: z.number().int().min(1024).max(256 * 1024 * 1024).default(25 * 1024 * 1024).describe(
    'Of the decoded calendar.',
  ),
  allowPrivate: z.union([
    z.boolean(),
    z.array(z.string().refine(isCidr, 'must be a CIDR such as 10.0.0.0/8 or fd00::/8')),
  ]).default(false),
  caFile: z.string().min(1).optional().describe(
    "PEM of the authorities this source's certificate may come from, instead of the system's.",
  ),
};

/** Faults that concern several keys; for `superRefine` of a schema that holds `sourceFields`. */
export function checkSource(
  source: { url: string; type: string; auth?: unknown; allowPrivate: boolean | string[] },
  context: z.RefinementCtx,
): void {
  const fault = (key: string, message: string) =>
    context.addIssue({ code: 'custom', path: [key], message });
  const isFile = /^file:/i.test(source.url);
  if (isFile && source.auth) fault('auth', 'a file needs no credentials');
  if (isFile && source.type === 'caldav') fault('type', 'caldav needs http or https');
  const auth = source.auth as z.output<typeof authSchema> | undefined;
  const open = /^http:/i.test(source.url) && source.allowPrivate === false;
  if (auth && auth.type !== 'digest' && open) {
    fault('auth', `${auth.type} over http sends the secret readable by anyone: use https`);
  }
}

export const sourceSchema = z.strictObject(sourceFields).superRefine(checkSource);
export type SourceConfig = z.output<typeof sourceSchema>;

function urlFault(text: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (!scheme || !['http', 'https', 'webcal', 'webcals', 'file'].includes(scheme)) {
    return 'must be an http, https, webcal or file URL';
  }
  if (scheme === 'file') {
    return /^file:\/\/[^/]/i.test(text)
      ? 'must name no host: file:///path or file:path'
      : undefined;
  }
  if (!URL.canParse(webUrl(text))) return 'must be a complete URL';
  const url = new URL(webUrl(text));
  if (url.username || url.password) return 'must hold no credentials: use auth with a passwordFile';
  return undefined;
}

/** webcal is https by another name; the scheme is swapped before parsing, for its host rules. */
function webUrl(text: string): string {
  return text.replace(/^webcals?:/i, 'https:');
}

export interface SourceDeps {
  /** The folder that relative file: URLs start from; the working directory when absent. */
  base?: string;
  lookup?: Lookup;
  dial?: Dial;
}

/** Takes a checked config; fails at the first fetch, not here. */
export function createSource(config: SourceConfig, deps: SourceDeps = {}): Source {
  const text = config.url;
  const isFile = /^file:/i.test(text);
  const place = createHash('sha256').update(`${config.type} ${text}`).digest('hex').slice(0, 16);
  let known: { secret: string; credentials: Credentials } | undefined;

  async function open(origin: string): Promise<Reach> {
    const { dial, lookup } = await import('./exchange.ts');
    const { auth } = config;
    if (auth) {
      const opened = await openCredentials(auth);
      if (known?.secret !== opened.secret) known = opened;
    }
    return {
      grant: config.allowPrivate,
      maxBytes: config.maxBytes,
      timeout: config.timeout,
      userAgent: config.userAgent,
      ca: config.caFile ? await readCa(config.caFile) : undefined,
      credentials: known?.credentials,
      credentialsFor: origin,
      lookup: deps.lookup ?? lookup,
      dial: deps.dial ?? dial,
    };
  }

  async function fetchOnce(
    previous: Validators | undefined,
    signal: AbortSignal,
    body: () => Promise<Uint8Array | undefined>,
  ): Promise<FetchResult> {
    if (isFile) return await fetchFile(filePath(text, deps.base), config.maxBytes, previous);
    const url = new URL(webUrl(text));
    const reach = await open(url.origin);
    if (config.type === 'caldav') {
      // With its XML parser it is loaded only where there is a use for it.
      const { fetchCalDav } = await import('./caldav.ts');
      return await fetchCalDav(url, previous, reach, signal, body);
    }
    const { fetchCalendar } = await import('./http.ts');
    return await fetchCalendar(url, previous, reach, signal);
  }

  return {
    id: config.id,
    async fetch(previous, signal, body) {
      // What another place answered says nothing about this one: the config has changed.
      const same = previous?.place === place ? previous : undefined;
      try {
        const result = await fetchOnce(same, signal, body ?? (() => Promise.resolve(undefined)));
        return { ...result, validators: { ...result.validators, place } };
      } catch (error) {
        const message = `Cannot fetch source ${config.id}: `;
        if (!(error instanceof Fault)) {
          throw new AppError('internal', `${message}internal error`, { cause: error });
        }
        if (error.stalled) throw new StalledError(message + error.message);
        throw new AppError('unavailable', message + error.message, {
          ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
        });
      }
    },
  };
}

function filePath(url: string, base = process.cwd()): string {
  if (/^file:\/\//i.test(url)) return fileURLToPath(url);
  return resolve(base, decodeURIComponent(url.slice('file:'.length)));
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new Fault(`caFile cannot be read: ${path}`, { stalled: true });
  }
}
