import { setImmediate as nextTurn } from 'node:timers/promises';
import { readSecret } from '@hackspace/kit/config.ts';
import { serve } from '@hackspace/kit/serve.ts';
import { openState } from '@hackspace/kit/state.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Config } from './config.ts';
import { createFeeds } from './feeds.ts';
import { createFront } from './front.ts';
import { createWorkerRenderer } from './renderer.ts';
import { lastGoodStore } from './sources/last-good.ts';
import { createSource } from './sources/source.ts';
import { openTokens } from './tokens.ts';
import { installWire } from './wire.ts';

export interface Service {
  url: string;
  /** Settles when everything can be answered, not feeds alone. */
  loaded: Promise<void>;
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
  const fetches: [feed: string, source: string, result: string][] = [];
  let onFetch = (...fetch: typeof fetches[number]): void => {
    fetches.push(fetch);
  };
  const feeds = createFeeds({
    config,
    state,
    tokens,
    renderer: createWorkerRenderer(),
    lastGood: lastGoodStore(state),
    createSource: (source) => createSource(source, { base }),
    onFetch: (...fetch) => onFetch(...fetch),
  });
  const front = createFront({ feeds, tokens });
  async function loadApp() {
    // One after the other with a turn between, as each holds the thread while it is loaded.
    const { createMetrics } = await later(() => import('@hackspace/kit/metrics.ts'));
    await later(() => import('@hono/zod-openapi'));
    const { createApp } = await later(() => import('./app.ts'));
    const { fetchCounter } = await later(() => import('./measure.ts'));
    // So that a fetch is not what finds out that it cannot be loaded.
    await later(() => import('./sources/http.ts'));
    const metrics = createMetrics('ics-proxy');
    onFetch = fetchCounter(metrics);
    for (const fetch of fetches.splice(0)) onFetch(...fetch);
    return createApp(config, { feeds, tokens, metrics, admin, front }).http;
  }
  const close = async () => {
    await feeds.close();
    await tokens.close();
    await state.close();
  };
  try {
    const served = await serve(loadApp, {
      ...config.listen,
      fast: front.fast,
      service: 'ics-proxy',
    });
    const wire = installWire(served.server, front.wire);
    return {
      url: served.url,
      loaded: served.loaded,
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

async function later<T>(load: () => Promise<T>): Promise<T> {
  await nextTurn();
  return await load();
}
