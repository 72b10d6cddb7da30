import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { State } from '@hackspace/kit/state.ts';
import type { Occurrence } from './calendar/agenda.ts';
import type { MergeOptions } from './calendar/merge.ts';
import { type SourcePolicy, sourcePolicySchema } from './calendar/policy.ts';
import type { Config, FeedConfig, FeedSource } from './config.ts';
import {
  addCoding,
  type Encoding,
  ENCODINGS,
  type FeedDocument,
  prepareDocument,
  type Representation,
} from './document.ts';
import { canEncode, encode } from './encode.ts';
import { type FeedHealth, feedHealth, type SourceMemory } from './health.ts';
import { type Refresher, type RefreshJob, startRefresh } from './refresh.ts';
import type { Rendered, Renderer } from './renderer.ts';
import type { LastGoodStore } from './sources/last-good.ts';
import { openPublished } from './published.ts';
import type { Source } from './sources/source.ts';
import type { Tokens, View } from './tokens.ts';

export interface Feeds {
  has(feed: string): boolean;
  ids(): string[];
  config(feed: string): FeedConfig;
  /** What is served now; no I/O, no waiting. */
  document(feed: string, view: View): FeedDocument | undefined;
  /** As `document`, but renders a view nobody asked for so far. Undefined before the first fetch. */
  ensure(feed: string, view: View): Promise<FeedDocument | undefined>;
  /** Has a coding made that somebody asked for: from then on it is made with every change. */
  want(document: FeedDocument, name: Encoding): void;
  /** Feeds that have nothing to serve. */
  waiting(): string[];
  /** Seconds until it makes sense to ask again for a feed that has no document. */
  retryAfter(feed: string): number;
  agenda(document: FeedDocument, span: AgendaSpan): Promise<Occurrence[]>;
  health(feed?: string): FeedHealth[];
  /** Fetches every source of the feed now; settles when all are done, whatever came of it. */
  refresh(feed: string): Promise<void>;
  /** Whether what earlier lives kept has been taken in. */
  restored(): boolean;
  close(): Promise<void>;
}

export interface AgendaSpan {
  from: number;
  to: number;
  zone: string;
  limit: number;
}

export interface FeedsOptions {
  config: Config;
  state: State;
  tokens: Tokens;
  renderer: Renderer;
  lastGood: LastGoodStore;
  createSource: (config: FeedSource) => Source;
  /** Told of each fetch: `fresh`, `unchanged` or `error`. */
  onFetch?: (feed: string, source: string, result: string) => void;
  now?: () => number;
  random?: () => number;
}

interface FeedState {
  readonly id: string;
  readonly config: FeedConfig;
  readonly sources: SourceMemory[];
  readonly documents: Map<View, FeedDocument>;
  readonly rendered: Map<View, Rendered>;
  /** Codings that were asked for in this life. */
  readonly wanted: Set<Encoding>;
  /** Under way. */
  rendering?: Promise<void>;
  /** Waits for its other sources, which are being fetched. */
  held?: ReturnType<typeof setTimeout> | undefined;
  renderError?: string;
  /** It has gone out in an earlier life: subscribers do not wait for a source that hangs now. */
  wentOut?: boolean;
}

const log = getLogger(['ics-proxy', 'feeds']);
/** A feed without a document waits so long for its slowest source before it goes out without it. */
const FIRST_GRACE = 20_000;
const SWEEP = 60_000;
/** Feeds rendered at the same time: while one answer comes back the render thread has the next. */
const LANES = 4;
/** A change waits so long for the feed's other sources that are being fetched, to be merged once. */
const GATHER = 2000;
const POSSIBLE = ENCODINGS.filter(canEncode);
const MIN_REFRESH = 15 * 60_000;
/** A feed with a window is rendered anew so often, since the window moves with the clock. */
const WINDOW_STEP = 3_600_000;

function mergeOptions(feed: FeedState, view: View, at: number): MergeOptions {
  const { name, description, color, sources, views, window, budgetBytes, staleNotice } =
    feed.config;
  return {
    feed: {
      id: feed.id,
      name,
      description,
      color,
      // Asking more often than the sources are asked gains nothing.
      refresh: Math.max(MIN_REFRESH, Math.min(...sources.map((s) => s.refresh))),
    },
    view,
    policy: views[view],
    budgetBytes,
    staleNotice,
    now: at,
    window,
  };
}

function hasWindow({ window, sources, views }: FeedConfig): boolean {
  return [window, ...sources.map((s) => s.window), views.full?.window, views.busy?.window]
    .some((w) => w !== undefined);
}

/** The keys of a source that are its policy. */
function policyOf(source: FeedSource): SourcePolicy {
  const keys = Object.keys(sourcePolicySchema.shape) as (keyof SourcePolicy)[];
  return Object.fromEntries(
    keys.filter((key) => source[key] !== undefined).map((key) => [key, source[key]]),
  ) as SourcePolicy;
}

/** Keeps every feed's documents current. Returns at once; what was kept is taken in behind. */
export function createFeeds(options: FeedsOptions): Feeds {
  const { config, tokens, renderer, lastGood } = options;
  const now = options.now ?? Date.now;
  const started = now();
  const feeds = new Map<string, FeedState>();
  for (const [id, feedConfig] of Object.entries(config.feeds)) {
    const sources = feedConfig.sources.map((source): SourceMemory => ({
      key: `${id}/${source.id}`,
      config: source,
      warnings: [],
    }));
    feeds.set(id, {
      id,
      config: feedConfig,
      sources,
      documents: new Map(),
      rendered: new Map(),
      wanted: new Set(),
    });
  }
  const published = openPublished(options.state, now);
  const asked = new WeakSet<Representation>();
  let encoding: Promise<unknown> = Promise.resolve();
  const agendas = new Map<string, Promise<Occurrence[]>>();
  const dirty = new Set<FeedState>();
  const renderedAt = new Map<FeedState, number>();
  const busyFeeds = new Set(tokens.list().filter((t) => t.view === 'busy').map((t) => t.feed));
  let refresher: Refresher | undefined;
  let pumping: Promise<void> | undefined;
  let restoredAll = false;
  let closed = false;

  tokens.onChange((changed) => {
    for (const id of changed) {
      const feed = feeds.get(id);
      if (tokens.list(id).some((t) => t.view === 'busy')) busyFeeds.add(id);
      else busyFeeds.delete(id);
      if (feed && busyFeeds.has(id) && !feed.documents.has('busy')) mark(feed);
    }
  });

  function status(source: SourceMemory) {
    return refresher?.status(source.key) ?? { failures: 0, needsHuman: false };
  }
  function isStale(feed: FeedState, source: SourceMemory): boolean {
    return source.checkedAt !== undefined && now() - source.checkedAt > feed.config.staleAfter;
  }
  /** Ready to go out: something is there, and every source has been tried or had its time. */
  function presentable(feed: FeedState): boolean {
    if (!feed.sources.some((s) => s.facts)) return false;
    if (feed.documents.size > 0 || now() - started > FIRST_GRACE) return true;
    if (feed.wentOut && restoredAll) return true;
    return feed.sources.every((s) => s.facts || status(s).failures > 0);
  }

  function mark(feed: FeedState): void {
    const more = feed.documents.size > 0 &&
      feed.sources.some((s) => refresher?.isFetching(s.key));
    if (more) feed.held ??= setTimeout(() => release(feed), GATHER);
    else release(feed);
  }
  function release(feed: FeedState): void {
    clearTimeout(feed.held);
    feed.held = undefined;
    dirty.add(feed);
    pumping ??= pump().finally(() => {
      pumping = undefined;
      // What was marked in the last moment is not forgotten.
      for (const late of dirty) return closed ? undefined : release(late);
    });
  }
  async function pump(): Promise<void> {
    // Sources that answer together are merged together.
    await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all(Array.from({ length: LANES }, async () => {
      for (const feed of dirty) {
        if (closed) return;
        if (feed.rendering) continue;
        dirty.delete(feed);
        if (!presentable(feed)) continue;
        await (feed.rendering = renderFeed(feed));
      }
    }));
  }
  async function renderFeed(feed: FeedState): Promise<void> {
    await renderView(feed, 'full');
    if (busyFeeds.has(feed.id)) await renderView(feed, 'busy');
    delete feed.rendering;
  }

  async function renderView(feed: FeedState, view: View): Promise<void> {
    const sources = feed.sources.filter((s) => s.facts);
    const { compress } = feed.config;
    const at = now();
    try {
      const result = await renderer.render({
        sources: sources.map((s) => ({
          key: s.key,
          id: s.config.id,
          policy: policyOf(s.config),
          ...(feed.config.staleNotice && isStale(feed, s)
            ? { stale: { since: s.checkedAt! } }
            : {}),
        })),
        options: mergeOptions(feed, view, at),
        encodings: compress ? codings(feed) : [],
        previousBasis: feed.documents.get(view)?.etagBasis,
      });
      renderedAt.set(feed, at);
      feed.rendered.set(view, result);
      delete feed.renderError;
      if (!result.content) return;
      const modified = await published.modified(feed.id, view, result.etagBasis);
      feed.documents.set(
        view,
        prepareDocument({
          feed: feed.id,
          view,
          etagBasis: result.etagBasis,
          modified,
          components: result.components,
          possible: compress ? POSSIBLE : [],
          ...result.content,
        }),
      );
    } catch (error) {
      if (closed) return;
      // The feed goes on with what it had.
      feed.renderError = `Cannot render feed ${feed.id}: ${describe(error)}`;
      log.error('feed could not be rendered', { feed: feed.id, view, error });
    }
  }

  /** Until somebody asks, the one coding that everybody takes. */
  function codings({ wanted }: FeedState): Encoding[] {
    return wanted.size > 0 ? [...wanted] : ['gzip'];
  }
  async function makeCoding(document: FeedDocument, name: Encoding): Promise<void> {
    const served = feeds.get(document.feed)!.documents.get(document.view);
    if (closed || served !== document) return;
    addCoding(document, name, await encode(document.bytes, name));
  }

  async function take(feed: FeedState, source: SourceMemory, bytes: Uint8Array): Promise<void> {
    source.facts = await renderer.put(source.key, bytes);
    mark(feed);
  }

  function job(feed: FeedState, source: SourceMemory): RefreshJob {
    const fetcher = options.createSource(source.config);
    return {
      key: source.key,
      refreshMs: source.config.refresh,
      lastSuccess: source.checkedAt,
      async run(signal) {
        const result = await lastGood.refresh(fetcher, source.key, signal);
        if (result.changed) {
          source.warnings = result.warnings;
          source.checkedAt = result.good.checkedAt;
          source.fetchedAt = result.good.fetchedAt;
          await take(feed, source, result.good.bytes);
          return 'fresh';
        }
        const wasStale = isStale(feed, source);
        source.checkedAt = result.checkedAt;
        source.fetchedAt = result.fetchedAt;
        if (wasStale && feed.config.staleNotice) mark(feed);
        return 'unchanged';
      },
    };
  }

  async function restore(): Promise<void> {
    const all = [...feeds.values()].flatMap((feed) =>
      feed.sources.map((source) => ({ feed, source }))
    );
    let next = 0;
    const lane = async () => {
      while (next < all.length && !closed) {
        const { feed, source } = all[next++]!;
        try {
          const kept = await lastGood.load(source.key);
          if (!kept) continue;
          source.checkedAt = kept.checkedAt;
          source.fetchedAt = kept.fetchedAt;
          await take(feed, source, kept.bytes);
        } catch (error) {
          log.error('last good copy could not be read', {
            feed: feed.id,
            source: source.config.id,
            error,
          });
        }
      }
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    if (closed) return;
    restoredAll = true;
    const earlier = await published.feeds();
    for (const feed of feeds.values()) {
      feed.wentOut = earlier.has(feed.id);
      if (feed.wentOut && feed.documents.size === 0) mark(feed);
    }
    refresher = startRefresh(all.map(({ feed, source }) => job(feed, source)), {
      now,
      ...(options.random ? { random: options.random } : {}),
      onResult(key, result, { error, failures }) {
        const [feedId = '', sourceId = ''] = key.split('/');
        options.onFetch?.(feedId, sourceId, result);
        const feed = feeds.get(feedId)!;
        if (feed.held !== undefined) mark(feed);
        if (result === 'error') {
          // Once at the start of an outage is enough; the rest is in health and metrics.
          const level = failures === 1 ? 'warn' : 'debug';
          log[level]('source could not be fetched', { feed: feedId, source: sourceId, error });
          if (feed.documents.size === 0) mark(feed);
        } else log.debug('source fetched', { feed: feedId, source: sourceId, result });
      },
    });
  }
  const restoring = restore().catch((error) => log.error('start failed', { error }));

  const staleNow = new Map<FeedState, string>();
  const sweeper = setInterval(() => {
    for (const feed of feeds.values()) {
      const stale = feed.sources.map((s) => isStale(feed, s)).join();
      const turned = feed.config.staleNotice && stale !== (staleNow.get(feed) ?? stale);
      staleNow.set(feed, stale);
      const aged = hasWindow(feed.config) && now() - (renderedAt.get(feed) ?? 0) > WINDOW_STEP;
      if (turned || aged || feed.documents.size === 0) mark(feed);
    }
  }, SWEEP);
  sweeper.unref?.();
  const grace = setTimeout(() => {
    for (const feed of feeds.values()) if (feed.documents.size === 0) mark(feed);
  }, FIRST_GRACE + 100);
  grace.unref?.();

  return {
    has: (id) => feeds.has(id),
    ids: () => [...feeds.keys()],
    config: (id) => feeds.get(id)!.config,
    document: (id, view) => feeds.get(id)?.documents.get(view),
    async ensure(id, view) {
      const feed = feeds.get(id);
      if (!feed) return undefined;
      if (!feed.documents.has(view) && presentable(feed)) await renderView(feed, view);
      return feed.documents.get(view);
    },
    want(document, name) {
      const representation = document.representations.get(name);
      if (!representation || representation.body || asked.has(representation)) return;
      asked.add(representation);
      feeds.get(document.feed)!.wanted.add(name);
      // One after the other: nobody waits for it.
      encoding = encoding.then(() => makeCoding(document, name)).catch((error) =>
        log.error('feed could not be compressed', { feed: document.feed, error })
      );
    },
    waiting: () => [...feeds.values()].filter((f) => f.documents.size === 0).map((f) => f.id),
    retryAfter(id) {
      const times = feeds.get(id)!.sources.map((s) => status(s).nextAttempt ?? now());
      return Math.min(300, Math.max(5, Math.ceil((Math.min(...times) - now()) / 1000) + 1));
    },
    agenda(document, span) {
      const key = [document.feed, document.view, document.etagBasis, ...Object.values(span)]
        .join(' ');
      let found = agendas.get(key);
      if (!found) {
        const feed = feeds.get(document.feed)!;
        found = renderer.agenda({
          bytes: document.bytes,
          sources: feed.sources.map(({ key, config }) => ({ key, id: config.id })),
          renamed: feed.rendered.get(document.view)?.report.renamedUids ?? [],
          ...span,
        });
        agendas.set(key, found);
        found.catch(() => agendas.delete(key));
        if (agendas.size > 200) agendas.delete(agendas.keys().next().value!);
      }
      return found;
    },
    health: (id) =>
      (id === undefined ? [...feeds.values()] : [feeds.get(id) ?? []].flat()).map((feed) =>
        feedHealth({
          id: feed.id,
          config: feed.config,
          sources: feed.sources.map((memory) => ({ memory, status: status(memory) })),
          documents: feed.documents,
          rendered: feed.rendered,
          renderError: feed.renderError,
          now: now(),
        })
      ),
    async refresh(id) {
      const feed = feeds.get(id);
      if (!feed) return;
      await Promise.all(feed.sources.map((s) => refresher?.refreshNow(s.key)));
      while (!closed && (dirty.has(feed) || feed.rendering)) await (feed.rendering ?? pumping);
    },
    restored: () => restoredAll,
    async close() {
      closed = true;
      clearInterval(sweeper);
      clearTimeout(grace);
      await restoring;
      await refresher?.stop();
      for (const feed of feeds.values()) clearTimeout(feed.held);
      await pumping;
      await published.close();
      await renderer.close();
    },
  };
}
