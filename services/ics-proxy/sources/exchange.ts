import { lookup as systemLookup } from 'node:dns/promises';
import * as http from 'node:http';
import * as https from 'node:https';
import { admit, type Grant, type Lookup, type Resolved } from './address.ts';
import type { Credentials } from './auth.ts';
import { ACCEPT_ENCODING, readBody } from './decode.ts';
import { Fault, networkFault } from './fault.ts';

const MAX_REDIRECTS = 5;
const NEXT_ADDRESS_MS = 4_000;

/** Opens one connection to `options.host`, always a literal address. Replaced in tests. */
export type Dial = (protocol: string, options: https.RequestOptions) => http.ClientRequest;

/** What may be reached, how, and how much of it is taken. */
export interface Reach {
  grant: Grant;
  /** Of the decoded body. */
  maxBytes: number;
  /**
   * Milliseconds for one exchange: every redirect, the challenge and the body; a silence of a third
   * of it inside a body ends it too.
   */
  timeout: number;
  userAgent: string;
  /** PEM of the authorities to trust instead of the system's. */
  ca: string | undefined;
  credentials: Credentials | undefined;
  /** The only origin that is ever shown them. */
  credentialsFor: string;
  lookup: Lookup;
  dial: Dial;
}

export interface Ask {
  method: string;
  headers: Record<string, string>;
  body?: string;
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** Empty unless the status is 2xx. */
  bytes: Uint8Array;
  /** Where the answer came from, after redirects. */
  url: URL;
}

export const lookup: Lookup = async (hostname) => {
  const found = await systemLookup(hostname, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
};

export const dial: Dial = (protocol, options) =>
  protocol === 'https:' ? https.request(options) : http.request(options);

/**
 * One question and its final answer. Each hop is resolved once, every address judged, and the
 * connection made to that literal address, so that DNS cannot change in between. The environment's
 * proxy settings are ignored on purpose: a proxy would connect where nobody judged.
 * Throws Fault. `url` and everything answered are untrusted.
 */
export async function exchange(
  url: URL,
  ask: Ask,
  reach: Reach,
  signal: AbortSignal,
): Promise<Answer> {
  const controller = new AbortController();
  const cancel = () => controller.abort(new Fault('fetch was cancelled'));
  if (signal.aborted) throw new Fault('fetch was cancelled');
  signal.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(
    () => controller.abort(new Fault(`no complete answer within ${reach.timeout / 1000} s`)),
    reach.timeout,
  );
  try {
    return await follow(url, ask, reach, controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : networkFault(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

async function follow(start: URL, ask: Ask, reach: Reach, signal: AbortSignal): Promise<Answer> {
  let url = start;
  let credentials = start.origin === reach.credentialsFor ? reach.credentials : undefined;
  let challenges = 0;
  for (let redirects = 0;;) {
    const answer = await send(url, ask, reach, credentials, signal).catch((error: unknown) => {
      // Where the config points is for a human to mend; where a redirect points may be a hotel's
      // login page of tonight, so it is tried again like any other outage.
      if (redirects > 0 && error instanceof Fault && error.stalled) throw new Fault(error.message);
      throw error;
    });
    const status = answer.statusCode ?? 0;
    if (status === 401 && credentials && challenges++ < 2) {
      const again = credentials.challenged(answer.headers['www-authenticate']);
      answer.destroy();
      if (again) continue;
    }
    const location = answer.headers.location;
    if ([301, 302, 303, 307, 308].includes(status)) {
      answer.destroy();
      if (++redirects > MAX_REDIRECTS) throw new Fault(`more than ${MAX_REDIRECTS} redirects`);
      const next = target(location, url);
      if (next.origin !== url.origin && credentials) {
        if (url.protocol === 'https:' && next.protocol === 'http:') {
          throw new Fault('redirect from https to http while credentials are set');
        }
        credentials = undefined; // for good: a redirect back does not earn them again
      }
      if (status === 303 && ask.method !== 'GET') throw new Fault('redirect changes the method');
      url = next;
      continue;
    }
    if (status < 200 || status > 299) {
      answer.destroy();
      const lost = status === 401 && reach.credentials && !credentials;
      if (lost) {
        throw new Fault(
          'redirected to another origin, where the credentials are not sent; set url to that one',
          { stalled: true },
        );
      }
      return { status, headers: answer.headers, bytes: new Uint8Array(), url };
    }
    credentials?.accepted(answer.headers['authentication-info']);
    const bytes = await readBody(answer, reach.maxBytes, reach.timeout / 3, signal);
    return { status, headers: answer.headers, bytes, url };
  }
}

function target(location: string | undefined, from: URL): URL {
  if (!location || !URL.canParse(location, from)) {
    throw new Fault('redirect without a usable location');
  }
  const next = new URL(location, from);
  if (next.protocol !== 'https:' && next.protocol !== 'http:') {
    throw new Fault('redirect to something that is not http');
  }
  if (next.username || next.password) {
    throw new Fault('redirect carries credentials in its URL');
  }
  return next;
}

async function send(
  url: URL,
  ask: Ask,
  reach: Reach,
  credentials: Credentials | undefined,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const addresses = await abortable(admit(url, reach.grant, reach.lookup), signal);
  for (const [i, address] of addresses.entries()) {
    const last = i === addresses.length - 1;
    try {
      const authorization = credentials?.header(ask.method, url);
      return await connect(url, address, ask, authorization, reach, signal, last);
    } catch (error) {
      if (last || signal.aborted || !(error instanceof Unreached)) throw error;
    }
  }
  throw new Fault('host name is unknown');
}

/** The address did not answer in time or at all; another one may. */
class Unreached extends Fault {}

const UNREACHED =
  /^(ECONNREFUSED|ConnectionRefused|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EADDRNOTAVAIL)$/;

function connect(
  url: URL,
  { address, family }: Resolved,
  ask: Ask,
  authorization: string | undefined,
  reach: Reach,
  signal: AbortSignal,
  last: boolean,
): Promise<http.IncomingMessage> {
  const body = ask.body === undefined ? undefined : Buffer.from(ask.body);
  const name = url.hostname.replace(/\.$/, '');
  const named = !name.startsWith('[') && !/^[\d.]+$/.test(name);
  return new Promise((resolve, reject) => {
    const request = reach.dial(url.protocol, {
      host: address,
      family,
      port: url.port || (url.protocol === 'https:' ? 443 : 80),
      path: url.pathname + url.search,
      method: ask.method,
      headers: {
        host: url.host,
        'user-agent': reach.userAgent,
        'accept-encoding': ACCEPT_ENCODING,
        ...ask.headers,
        ...(body ? { 'content-length': String(body.length) } : {}),
        ...(authorization ? { authorization } : {}),
      },
      agent: false,
      ...(url.protocol === 'https:' && named ? { servername: name } : {}),
      ...(url.protocol === 'https:' && reach.ca ? { ca: reach.ca } : {}),
    });
    const fail = (error: unknown) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      request.destroy();
      reject(error);
    };
    const aborted = () => fail(signal.reason);
    const timer = last ? undefined : setTimeout(
      () => fail(new Unreached('connection timed out')),
      NEXT_ADDRESS_MS,
    );
    signal.addEventListener('abort', aborted, { once: true });
    request.on('socket', (socket) => socket.once('connect', () => clearTimeout(timer)));
    request.on('error', (error: NodeJS.ErrnoException) => {
      const fault = networkFault(error);
      fail(UNREACHED.test(error.code ?? '') ? new Unreached(fault.message) : fault);
    });
    request.on('response', (answer) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      answer.on('error', () => {}); // until readBody listens, and after it let go
      resolve(answer);
    });
    request.end(body);
  });
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
