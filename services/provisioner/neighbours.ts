import { AppError } from '@hackspace/kit/errors.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { z } from 'zod';
import { jsonClient } from './http.ts';

/** A feed's subscription URL, shown once: it holds its token. Never logged, never kept. */
export interface FeedToken {
  id: string;
  url: string;
}

const created = z.object({ id: z.string(), url: z.url() });
const vault = z.object({ open: z.boolean() });

/** ics-proxy's token API: a token of the feed for one tenant's member. */
export function icsProxy(options: { url: string; feed: string; token: Secret }) {
  const client = jsonClient({
    name: 'ics-proxy',
    url: options.url,
    timeoutMs: 5000,
    maxBytes: 64 * 1024,
    headers: () => ({ Authorization: `Bearer ${options.token.reveal()}` }),
  });
  return async (label: string): Promise<FeedToken> => {
    const path = `api/feeds/${encodeURIComponent(options.feed)}/tokens`;
    const { status, json } = await client.post(path, { label, view: 'full' });
    const token = created.safeParse(json);
    if (status === 201 && token.success) return token.data;
    throw new AppError('unavailable', `Cannot get a feed token from ics-proxy: answer ${status}`);
  };
}

/** Whether the vault is open, as the unsealer sees it. `unknown` for want of an answer. */
export function unsealer(options: { url: string; token?: Secret | undefined }) {
  const client = jsonClient({
    name: 'the unsealer',
    url: options.url,
    timeoutMs: 3000,
    maxBytes: 256 * 1024,
    headers: (): Record<string, string> =>
      options.token ? { Authorization: `Bearer ${options.token.reveal()}` } : {},
  });
  return async (): Promise<'open' | 'sealed' | 'unknown'> => {
    try {
      const { status, json } = await client.get('status');
      const answer = vault.safeParse(json);
      if (status !== 200 || !answer.success) return 'unknown';
      return answer.data.open ? 'open' : 'sealed';
    } catch {
      return 'unknown';
    }
  };
}
