/** JSON over the pinned transport: how the bridge speaks to OpenBao and to a Kubernetes API. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@hackspace/kit/errors.ts';
import { readSecret } from '@hackspace/kit/secret.ts';
import { createPinned, readCa } from '../pinned.ts';
import type { BridgeConfig } from './config.ts';

export interface ApiAnswer {
  status: number;
  // deno-lint-ignore no-explicit-any -- the server's own; each reader checks what it uses
  body: any;
  /** The server's clock, from its Date header; epoch milliseconds. */
  date: number | undefined;
}

export interface Api {
  /** Throws TransportError when nobody, or a stranger, answers. Any status is an answer. */
  ask(method: string, path: string, body?: unknown, token?: string): Promise<ApiAnswer>;
  /** PEM. */
  readonly ca: string;
  close(): void;
}

export interface ApiOptions {
  url: string;
  caFile: string;
  san?: string | undefined;
  tokenFile?: string | undefined;
  certFile?: string | undefined;
  keyFile?: string | undefined;
  header: (token: string) => Record<string, string>;
}

/** The token file is read at each call: whoever renews it need not tell us. */
export async function openApi(options: ApiOptions): Promise<Api> {
  const ca = await readCa(options.caFile);
  const common = { url: options.url, ca, san: options.san };
  const bare = createPinned(common);
  // A client certificate goes before a bearer token: calls in another's name need a connection without.
  const pinned = options.certFile
    ? createPinned({
      ...common,
      cert: await readFile(options.certFile, 'utf8'),
      key: (await readSecret(options.keyFile!)).reveal(),
    })
    : bare;
  return {
    ca,
    close() {
      pinned.close();
      bare.close();
    },
    async ask(method, path, body, token) {
      const own = token ?? (options.tokenFile && (await readSecret(options.tokenFile)).reveal());
      const answer = await (token === undefined ? pinned : bare).ask({
        method,
        path,
        headers: {
          // /openid/v1/jwks answers 406 to application/json alone.
          Accept: 'application/json, application/jwk-set+json',
          ...(own ? options.header(own) : {}),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: new TextEncoder().encode(JSON.stringify(body)) }),
        timeout: 10_000,
        maxBytes: 4 * 1024 * 1024,
      });
      const date = Date.parse(String(answer.headers.date ?? ''));
      return {
        status: answer.status,
        body: parse(answer.body),
        date: Number.isNaN(date) ? undefined : date,
      };
    },
  };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

export const openKubernetes = (options: Omit<ApiOptions, 'header'>): Promise<Api> =>
  openApi({ ...options, header: (token) => ({ Authorization: `Bearer ${token}` }) });

export const openVault = (options: Omit<ApiOptions, 'header'>): Promise<Api> =>
  openApi({ ...options, header: (token) => ({ 'X-Vault-Token': token }) });

export interface Ends {
  id: string;
  config: BridgeConfig;
  upstream: Api;
  downstream: Api;
}

export async function openEnds(id: string, config: BridgeConfig): Promise<Ends> {
  return {
    id,
    config,
    upstream: await openVault(config.upstream),
    downstream: await openKubernetes(config.downstream),
  };
}

/** What an API said of its refusal, shortened; these texts hold no token. */
export function reasonOf(answer: ApiAnswer): string {
  const { errors, message } = answer.body ?? {};
  const text = Array.isArray(errors)
    ? errors.join('; ')
    : typeof message === 'string'
    ? message
    : '';
  return text.replaceAll(/\s+/g, ' ').slice(0, 300) || `status ${answer.status}`;
}

/** The body of a 2xx; throws AppError `unavailable` otherwise. */
export async function insist(
  api: Api,
  method: string,
  path: string,
  body?: unknown,
  // deno-lint-ignore no-explicit-any -- as above
): Promise<any> {
  const answer = await api.ask(method, path, body);
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  throw new AppError(
    'unavailable',
    `Cannot ${method} ${path}: ${answer.status}: ${reasonOf(answer)}`,
  );
}

const TOKEN = z.object({
  status: z.object({ token: z.string().min(1), expirationTimestamp: z.string() }),
});

/** A ServiceAccount's token by TokenRequest (authentication.k8s.io/v1), and when it ends. */
export async function requestToken(
  downstream: Api,
  account: { namespace: string; name: string },
  options: { audiences?: string[]; seconds: number },
): Promise<{ token: string; expires: number }> {
  const path = `/api/v1/namespaces/${account.namespace}/serviceaccounts/${account.name}/token`;
  const answer = await insist(downstream, 'POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      expirationSeconds: options.seconds,
      ...(options.audiences ? { audiences: options.audiences } : {}),
    },
  });
  const { status } = TOKEN.parse(answer);
  return { token: status.token, expires: Date.parse(status.expirationTimestamp) };
}

/** A TokenReview of `token`, asked with `reviewer` as the credential. */
export function reviewToken(
  downstream: Api,
  token: string,
  reviewer: string,
  audiences: string[],
): Promise<ApiAnswer> {
  return downstream.ask('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences },
  }, reviewer);
}
