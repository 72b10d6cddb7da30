import { AppError } from '@hackspace/kit/errors.ts';
import { openState } from '@hackspace/kit/state.ts';
import { type Config, feedUrl, loadIcsConfig } from '../config.ts';
import { knownFeed, knownView } from './select.ts';
import { parseExpiry, parseOverlap } from '../expiry.ts';
import { LABEL, openTokens, showToken, type Tokens } from '../tokens.ts';

/** How often a running server looks for changes by the command line, with room to spare. */
const TAKE_EFFECT_MS = 500;

/** Works on the state that a running server shares: no server is needed, none has to be told. */
async function withTokens<T>(
  file: string,
  work: (tokens: Tokens, config: Config) => Promise<T>,
): Promise<T> {
  const config = await loadIcsConfig(file);
  const state = await openState(config.state);
  try {
    const tokens = await openTokens(state, { pollMs: 0 });
    try {
      return await work(tokens, config);
    } finally {
      await tokens.close();
    }
  } finally {
    await state.close();
  }
}

export interface CreateOptions {
  config: string;
  feed: string;
  label: string;
  view: string;
  expires?: string;
}

/** The new feed URL. */
export function createToken(options: CreateOptions): Promise<string> {
  const { label } = options;
  const view = knownView(options.view);
  return withTokens(options.config, async (tokens, config) => {
    const feed = knownFeed(config, options.feed);
    if (!LABEL.test(label.trim())) {
      throw new AppError(
        'invalid',
        'Cannot make token: label must be 1 to 100 characters on one line',
      );
    }
    const expires = options.expires === undefined
      ? undefined
      : parseExpiry(options.expires, Date.now());
    const { token } = await tokens.create({
      feed,
      label: label.trim(),
      view,
      expires,
    });
    return feedUrl(config, feed, token);
  });
}

/** One JSON line a token. */
export function listTokens(options: { config: string; feed?: string }): Promise<string[]> {
  return withTokens(options.config, (tokens, config) => {
    const feed = options.feed === undefined ? undefined : knownFeed(config, options.feed);
    return Promise.resolve(tokens.list(feed).map((token) => JSON.stringify(showToken(token))));
  });
}

/** When this returns, no running server takes the token any more. */
export async function revokeToken(options: { config: string; id: string }): Promise<void> {
  await withTokens(options.config, (tokens) => tokens.revoke(options.id));
  await new Promise((resolve) => setTimeout(resolve, TAKE_EFFECT_MS));
}

/** The new feed URL; the old one goes on for `overlap`. */
export function rotateToken(
  options: { config: string; id: string; overlap: string },
): Promise<string> {
  return withTokens(options.config, async (tokens, config) => {
    const { token, record } = await tokens.rotate(options.id, parseOverlap(options.overlap));
    return feedUrl(config, record.feed, token);
  });
}
