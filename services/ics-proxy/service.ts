import { readSecret } from '@hackspace/kit/config.ts';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { serve } from '@hackspace/kit/serve.ts';
import { openState } from '@hackspace/kit/state.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import { createApp } from './app.ts';
import type { Config } from './config.ts';
import { createFeeds } from './feeds.ts';
import { fetchCounter } from './measure.ts';
import { createWorkerRenderer } from './renderer.ts';
import { lastGoodStore } from './sources/last-good.ts';
import { createSource } from './sources/source.ts';
import { openTokens } from './tokens.ts';
import { installWire } from './wire.ts';

export interface Service {
  url: string;
  close(): Promise<void>;
}

/** The whole service on its real parts. `base` is the folder relative `file:` URLs start from. */
export async function startService(config: Config, base: string): Promise<Service> {
  const log = getLogger(['ics-proxy', 'tokens']);
  const admin = config.admin ? await readSecret(config.admin.tokenFile) : undefined;
  const state = await openState(config.state);
  const tokens = await openTokens(state, {
    onError: (error) => log.error('tokens could not be read or written', { error }),
  });
  const metrics = createMetrics('ics-proxy');
  const feeds = createFeeds({
    config,
    state,
    tokens,
    renderer: createWorkerRenderer(),
    lastGood: lastGoodStore(state),
    createSource: (source) => createSource(source, { base }),
    onFetch: fetchCounter(metrics),
  });
  const app = createApp(config, { feeds, tokens, metrics, admin });
  const close = async () => {
    await feeds.close();
    await tokens.close();
    await state.close();
  };
  try {
    const served = await serve(app.http, { ...config.listen, fast: app.fast });
    const wire = installWire(served.server, app.wire);
    return {
      url: served.url,
      async close() {
        const closed = served.close();
        wire.close(config.listen.drain);
        await closed;
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
