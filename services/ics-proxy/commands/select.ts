import { AppError } from '@hackspace/kit/errors.ts';
import { type Config, type FeedConfig, loadIcsConfig } from '../config.ts';
import type { View } from '../tokens.ts';

/** The id if the config has such a feed; throws AppError `not_found` naming those it has. */
export function knownFeed(config: Config, feed: string): string {
  if (Object.hasOwn(config.feeds, feed)) return feed;
  const names = Object.keys(config.feeds).slice(0, 20).join(', ');
  throw new AppError('not_found', `Cannot find feed ${feed}: the config has ${names}`);
}

export function knownView(view: string): View {
  if (view === 'full' || view === 'busy') return view;
  throw new AppError('invalid', `Cannot use view ${view}: it must be full or busy`);
}

/** The feed that `--config` and `--feed` name together, or none when neither is given. */
export async function configuredFeed(
  options: { config?: string; feed?: string },
): Promise<(FeedConfig & { id: string }) | undefined> {
  if (options.config === undefined && options.feed === undefined) return undefined;
  if (options.config === undefined || options.feed === undefined) {
    throw new AppError('invalid', 'Cannot render: --config and --feed go together');
  }
  const config = await loadIcsConfig(options.config);
  const id = knownFeed(config, options.feed);
  return { id, ...config.feeds[id]! };
}
