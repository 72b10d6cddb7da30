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
const vault = z.object({ open: z.boolean() });

/** ics-proxy's token API: a token of the feed for one tenant's member. */
export function icsProxy(options: { url: string; feed: string; token: Secret }) {
  const { url, token } = options;
  const client = apiClient<IcsProxyApi>({
    name: 'ics-proxy',
    url,
    token,
    timeoutMs: 5000,
    maxBytes: 64 * 1024,
  });
  return async (label: string): Promise<FeedToken> => {
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
