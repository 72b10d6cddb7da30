import type { FeedConfig, FeedSource } from './config.ts';
import type { FeedDocument } from './document.ts';
import type { RefreshStatus } from './refresh.ts';
import type { Rendered, SourceFacts } from './renderer.ts';
import type { View } from './tokens.ts';

/** A source between two fetches: small; its bytes are in the state and in the renderer. */
export interface SourceMemory {
  readonly key: string;
  readonly config: FeedSource;
  /** Present once there is something to serve. */
  facts?: SourceFacts;
  /** Epoch milliseconds: the upstream last confirmed, respectively last changed. */
  checkedAt?: number;
  fetchedAt?: number;
  warnings: string[];
}

/**
 * `ok`: confirmed within its time. `failing`: the last attempt failed, what is served is recent.
 * `stale`: not confirmed for longer than `staleAfter`. `waiting`: never fetched so far.
 */
export type SourceState = 'ok' | 'failing' | 'stale' | 'waiting';
/** `ok`: every source is. `degraded`: served, but some source is not. `waiting`: nothing to serve. */
export type FeedStateName = 'ok' | 'degraded' | 'waiting';

export interface SourceHealth {
  id: string;
  state: SourceState;
  /** Seconds since the upstream last confirmed; absent when it never did. */
  ageSeconds?: number;
  lastSuccess?: string;
  lastChange?: string;
  lastAttempt?: string;
  nextAttempt?: string;
  failures: number;
  error?: string;
  needsHuman: boolean;
  bytes: number;
  components: number;
  quarantinedCount: number;
  quarantined: { reason: string; line: number; excerpt?: string }[];
  warnings: string[];
}

export interface ViewHealth {
  view: View;
  bytes: number;
  components: number;
  etag: string;
  lastModified: string;
  report: Rendered['report'];
}

export interface FeedHealth {
  id: string;
  name: string;
  state: FeedStateName;
  error?: string;
  sources: SourceHealth[];
  views: ViewHealth[];
}

export interface HealthInput {
  id: string;
  config: FeedConfig;
  sources: { memory: SourceMemory; status: RefreshStatus }[];
  documents: ReadonlyMap<View, FeedDocument>;
  rendered: ReadonlyMap<View, Rendered>;
  renderError: string | undefined;
  /** Epoch milliseconds. */
  now: number;
}

/** What an admin needs to know of a feed. Holds no URL and no credential. */
export function feedHealth(input: HealthInput): FeedHealth {
  const { id, config, documents, rendered, renderError, now } = input;
  const sources = input.sources.map(({ memory, status }) =>
    sourceHealth(memory, status, config.staleAfter, now)
  );
  const views = [...documents].map(([view, document]): ViewHealth => ({
    view,
    bytes: document.bytes.length,
    components: document.components,
    etag: document.etagBasis,
    lastModified: new Date(document.modified).toISOString(),
    report: rendered.get(view)!.report,
  }));
  const well = renderError === undefined && sources.every((s) => s.state === 'ok');
  return {
    id,
    name: config.name,
    state: views.length === 0 ? 'waiting' : well ? 'ok' : 'degraded',
    ...(renderError === undefined ? {} : { error: renderError }),
    sources,
    views,
  };
}

function sourceHealth(
  memory: SourceMemory,
  status: RefreshStatus,
  staleAfter: number,
  now: number,
): SourceHealth {
  const { checkedAt, facts } = memory;
  const age = checkedAt === undefined ? undefined : Math.max(0, now - checkedAt);
  const state: SourceState = age === undefined || !facts
    ? 'waiting'
    : age > staleAfter
    ? 'stale'
    : status.failures > 0
    ? 'failing'
    : 'ok';
  const time = (key: string, at: number | undefined) =>
    at === undefined ? {} : { [key]: new Date(at).toISOString() };
  return {
    id: memory.config.id,
    state,
    ...(age === undefined ? {} : { ageSeconds: Math.round(age / 1000) }),
    ...time('lastSuccess', checkedAt),
    ...time('lastChange', memory.fetchedAt),
    ...time('lastAttempt', status.lastAttempt),
    ...time('nextAttempt', status.nextAttempt),
    failures: status.failures,
    ...(status.error === undefined ? {} : { error: status.error }),
    needsHuman: status.needsHuman,
    bytes: facts?.bytes ?? 0,
    components: facts?.components ?? 0,
    quarantinedCount: facts?.quarantinedCount ?? 0,
    quarantined: facts?.quarantined ?? [],
    warnings: memory.warnings,
  };
}
