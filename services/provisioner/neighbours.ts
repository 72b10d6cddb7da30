import { apiClient } from '@hackspace/kit/client.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { z } from 'zod';
// Types alone: each service is deployed without the code of the others.
import type { IcsProxyApi } from '@hackspace/ics-proxy/api.ts';
import type { UnsealerApi } from '@hackspace/unsealer/app.ts';

/** A feed's subscription URL, shown once: it holds its token. Never logged, never kept. */
export interface FeedToken {
  id: string;
  url: string;
}

// The other side may be of another version than the types are.
const created = z.object({ id: z.string(), url: z.url() });
const feeds = z.object({ feeds: z.array(z.object({ id: z.string() })) });
const vault = z.object({ open: z.boolean() });

/** ics-proxy's token API: a token of the feed for one tenant's member. */
export function icsProxy(options: { url: string; feed: string; token: Secret }) {
  const { url, token } = options;
  const client = apiClient<IcsProxyApi>({
    name: 'ics-proxy',
    url,
    token,
    timeoutMs: 5000,
  });
  const make = async (label: string): Promise<FeedToken> => {
    const answer = await client.api.feeds[':feed'].tokens.$post({
      param: { feed: encodeURIComponent(options.feed) },
      json: { label, view: 'full' },
    });
    const made = answer.status === 201
      ? created.safeParse(await answer.json().catch(() => undefined))
      : undefined;
    if (made?.success) return made.data;
    const { status } = answer;
    throw new AppError('unavailable', `Cannot get a feed token from ics-proxy: answer ${status}`);
  };
  /** Throws AppError `unavailable` unless it lets us in and has the feed. */
  const check = async (): Promise<void> => {
    const answer = await client.api.feeds.$get();
    const all = answer.status === 200
      ? feeds.safeParse(await answer.json().catch(() => undefined))
      : undefined;
    if (all?.data?.feeds.some(({ id }) => id === options.feed)) return;
    const why = all?.success ? `it has no feed ${options.feed}` : `answer ${answer.status}`;
    throw new AppError('unavailable', `Cannot make tokens at ics-proxy: ${why}`);
  };
  return { make, check };
}

/** Whether the vault is open, as the unsealer sees it. `unknown` for want of an answer. */
export function unsealer(options: { url: string; token?: Secret | undefined }) {
  const { url, token } = options;
  const client = apiClient<UnsealerApi>({
    name: 'the unsealer',
    url,
    token,
    timeoutMs: 3000,
    maxBytes: 256 * 1024,
  });
  return async (): Promise<'open' | 'sealed' | 'unknown'> => {
    try {
      const answer = await client.status.$get();
      if (answer.status !== 200) return 'unknown';
      return vault.parse(await answer.json()).open ? 'open' : 'sealed';
    } catch {
      return 'unknown';
    }
  };
}
