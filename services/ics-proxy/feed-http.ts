import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Access, presentedToken } from './access.ts';
import { type FeedDocument, PRIVATE_HEADERS, select } from './document.ts';
import type { Feeds } from './feeds.ts';
import type { TokenRecord, Tokens } from './tokens.ts';

/** The parts of a request to a feed's URL that count, from whichever server it came. */
export interface FeedRequest {
  feed: string;
  query?: string | undefined;
  authorization?: string | undefined;
  acceptEncoding?: string | undefined;
  ifNoneMatch?: string | undefined;
  ifModifiedSince?: string | undefined;
  /** Of the client, behind trusted proxies. */
  address: string;
}

export interface FeedAnswer {
  status: number;
  /** Names and values in turn. */
  headers: readonly string[];
  body: Uint8Array | undefined;
}

/** Who may see which document; or the answer that says no. */
export type Admitted =
  | { record: TokenRecord; document: FeedDocument }
  | { refused: Refusal };
export type Refusal = { status: 404 | 429 | 503; retryAfter?: number };

export interface FeedHttp {
  /** The answer to a right and ready request, without waiting; undefined when it takes more. */
  quick(request: FeedRequest): FeedAnswer | undefined;
  /** The answer to any request for the `.ics`. */
  answer(request: FeedRequest): Promise<FeedAnswer>;
  /** The same gate for the page and the JSON. */
  admit(request: FeedRequest): Promise<Admitted>;
  /** For `serve`: what `quick` can answer never sees the app. */
  fast(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface FeedHttpOptions {
  access: Access;
  feeds: Feeds;
  tokens: Tokens;
  /** Told the status of each answer. */
  count: (status: number) => void;
}

const encoder = new TextEncoder();

/** The one 404, and its siblings: constant but for `Retry-After`. */
export function refusalAnswer(refusal: Refusal): FeedAnswer {
  const text = {
    404: 'Not found\n',
    429: 'Too many failed requests\n',
    503: 'This feed is being fetched for the first time\n',
  }[refusal.status];
  const body = encoder.encode(text);
  const headers = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(body.length),
    ...PRIVATE_HEADERS,
  ];
  if (refusal.retryAfter !== undefined) headers.push('Retry-After', String(refusal.retryAfter));
  return { status: refusal.status, headers, body };
}

const NOT_FOUND = refusalAnswer({ status: 404 });

export function createFeedHttp(options: FeedHttpOptions): FeedHttp {
  const { access, feeds, tokens, count } = options;

  function quick(request: FeedRequest): FeedAnswer | undefined {
    const record = access.quick(request.feed, presentedToken(request));
    const document = record && feeds.document(record.feed, record.view);
    if (!document) return undefined;
    tokens.touch(record);
    return select(document, request, feeds.want);
  }

  async function admit(request: FeedRequest): Promise<Admitted> {
    const { feed, address } = request;
    const admission = await access.admit(feed, presentedToken(request), address);
    if (!admission.ok) {
      const { retryAfter } = admission;
      return {
        refused: retryAfter === undefined ? { status: 404 } : { status: 429, retryAfter },
      };
    }
    const { record } = admission;
    tokens.touch(record);
    const document = await feeds.ensure(feed, record.view);
    if (document) return { record, document };
    return { refused: { status: 503, retryAfter: feeds.retryAfter(feed) } };
  }

  return {
    admit,
    quick,
    async answer(request) {
      const ready = quick(request);
      if (ready) return ready;
      const admitted = await admit(request);
      if (!('refused' in admitted)) return select(admitted.document, request, feeds.want);
      return admitted.refused.status === 404 ? NOT_FOUND : refusalAnswer(admitted.refused);
    },
    fast(request, response) {
      const { url = '', method } = request;
      if (method !== 'GET' && method !== 'HEAD') return false;
      const target = parseTarget(url);
      if (!target) return false;
      const { headers } = request;
      const answer = quick({
        feed: target.feed,
        query: target.token,
        authorization: headers.authorization,
        acceptEncoding: headers['accept-encoding'] as string | undefined,
        ifNoneMatch: headers['if-none-match'],
        ifModifiedSince: headers['if-modified-since'],
        address: '',
      });
      if (!answer) return false;
      count(answer.status);
      response.writeHead(answer.status, answer.headers as string[]);
      if (answer.body === undefined || method === 'HEAD') response.end();
      else response.end(answer.body);
      return true;
    },
  };

  function parseTarget(url: string): { feed: string; token: string | undefined } | undefined {
    if (!url.startsWith('/proxy/')) return undefined;
    const end = url.indexOf('.ics', 7);
    if (end < 0) return undefined;
    const rest = url.length - end - 4;
    // Exactly `?token=` and 64 digits, or nothing: any other form takes the long way.
    if (rest === 0) return { feed: url.slice(7, end), token: undefined };
    if (rest !== 71 || !url.startsWith('?token=', end + 4)) return undefined;
    return { feed: url.slice(7, end), token: url.slice(end + 11) };
  }
}
