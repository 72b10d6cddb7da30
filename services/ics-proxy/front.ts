import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Access, createAccess } from './access.ts';
import { createFeedHttp, type FeedHttp } from './feed-http.ts';
import type { Feeds } from './feeds.ts';
import type { Tokens } from './tokens.ts';
import type { WireOptions } from './wire.ts';

/** What answers subscribers: all of it without the app, which takes as long to load as the rest. */
export interface Front {
  access: Access;
  feedHttp: FeedHttp;
  /** Answers on feed URLs so far, by status. */
  counts: Map<number, number>;
  count(status: number): void;
  /** For `serve`: answers feeds from prepared bytes before the app sees the request. */
  fast(request: IncomingMessage, response: ServerResponse): boolean;
  /** For `installWire`: the same, before node:http has parsed anything. */
  wire: WireOptions;
}

export function createFront({ feeds, tokens }: { feeds: Feeds; tokens: Tokens }): Front {
  const counts = new Map<number, number>();
  const count = (status: number) => void counts.set(status, (counts.get(status) ?? 0) + 1);
  const access = createAccess({ tokens, hasFeed: feeds.has });
  const feedHttp = createFeedHttp({ access, feeds, tokens, count });
  return {
    access,
    feedHttp,
    counts,
    count,
    fast: feedHttp.fast,
    wire: { quick: feedHttp.quick, count },
  };
}
