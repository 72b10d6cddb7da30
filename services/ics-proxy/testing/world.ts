import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig, Secret } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { serve, type Served } from '@hackspace/kit/serve.ts';
import { openDirectory } from '@hackspace/kit/state.ts';
import { createApp } from '../app.ts';
import { type Config, configSchema } from '../config.ts';
import { createFeeds } from '../feeds.ts';
import { fetchCounter } from '../measure.ts';
import { createInlineRenderer } from '../render.ts';
import { lastGoodStore } from '../sources/last-good.ts';
import type { Source } from '../sources/source.ts';
import { openTokens, type View } from '../tokens.ts';
import { installWire } from '../wire.ts';

export const ADMIN = 'admin-'.repeat(8);
export const ORIGIN = 'http://cal.example';

/** One event, the way most programs write it. */
export function event(uid: string, lines: string[] = []): string {
  const start = lines.some((l) => /^DTSTART/i.test(l)) ? [] : ['DTSTART:20261201T190000Z'];
  return [
    'BEGIN:VEVENT',
    `UID:${uid}`,
    'DTSTAMP:20260101T000000Z',
    ...start,
    ...lines,
    'END:VEVENT',
  ]
    .join('\r\n');
}

export function calendar(...components: string[]): string {
  return [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//test//EN',
    ...components,
    'END:VCALENDAR',
    '',
  ]
    .join('\r\n');
}

/** What the upstreams hold: `feed/source` to text, or to the error they answer with. */
export type Upstreams = Record<string, string | Error | undefined>;

export interface WorldOptions {
  /** YAML below `feeds:`; by default feeds `space` (sources a, b) and `other` (source a). */
  feeds?: string;
  upstreams?: Upstreams;
  /** A folder of an earlier life. */
  folder?: string;
  publicUrl?: string;
  admin?: boolean;
}

export const FEEDS = `
  space:
    name: The space
    zone: Europe/Berlin
    sources:
      - {id: a, url: 'file:a.ics', refresh: 1h}
      - {id: b, url: 'file:b.ics', refresh: 1h}
  other:
    name: Other
    sources: [{id: a, url: 'file:a.ics', refresh: 1h}]
`;

/** The app on real state, tokens and merging; only the upstreams are strings. */
export async function createWorld(options: WorldOptions = {}) {
  const folder = options.folder ?? await mkdtemp(join(tmpdir(), 'ics-proxy-'));
  const upstreams: Upstreams = options.upstreams ?? {
    'space/a': calendar(event('one@a', ['SUMMARY:One'])),
    'space/b': calendar(event('two@b', ['SUMMARY:Two'])),
    'other/a': calendar(event('three@a', ['SUMMARY:Three'])),
  };
  const config: Config = parseConfig(
    configSchema,
    `publicUrl: ${options.publicUrl ?? ORIGIN}\nstate: ${folder}\nfeeds:${options.feeds ?? FEEDS}`,
    { file: 'test.yaml', envPrefix: 'NONE', env: {}, base: folder },
  );
  const state = await openDirectory(folder);
  const tokens = await openTokens(state, { pollMs: 20 });
  const metrics = createMetrics('ics-proxy');
  const owners = new Map(
    Object.entries(config.feeds).flatMap(([id, feed]) => feed.sources.map((s) => [s, id])),
  );
  let offset = 0;
  const now = () => Date.now() + offset;
  const feeds = createFeeds({
    config,
    state,
    tokens,
    now,
    renderer: createInlineRenderer(),
    lastGood: lastGoodStore(state, now),
    onFetch: fetchCounter(metrics),
    createSource: (source): Source => ({
      id: source.id,
      fetch(previous) {
        const text = upstreams[`${owners.get(source)}/${source.id}`];
        if (text === undefined) {
          return Promise.reject(
            new AppError('unavailable', `Cannot fetch source ${source.id}: connection refused`),
          );
        }
        if (text instanceof Error) return Promise.reject(text);
        const etag = String(text.length) + text.slice(-200);
        if (previous?.etag === etag) {
          return Promise.resolve({ status: 'unchanged', validators: { etag } });
        }
        const bytes = new TextEncoder().encode(text);
        return Promise.resolve({ status: 'fresh', bytes, validators: { etag } });
      },
    }),
  });
  const admin = options.admin === false ? undefined : new Secret(ADMIN);
  const app = createApp(config, { feeds, tokens, metrics, admin, now });
  let served: Served | undefined;
  let wire: ReturnType<typeof installWire> | undefined;

  const world = {
    folder,
    config,
    upstreams,
    feeds,
    tokens,
    app,
    /** Through the Hono app, without a socket. */
    request: (path: string, init?: RequestInit) => app.http.request(ORIGIN + path, init),
    api: (path: string, method = 'GET', body?: unknown) =>
      app.http.request(ORIGIN + path, {
        method,
        headers: {
          authorization: `Bearer ${ADMIN}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async token(feed = 'space', view: View = 'full', expires?: number) {
      const made = await tokens.create({ feed, view, label: 'test', expires });
      return made.token;
    },
    /** Moves the clock of everything but the timers. */
    advance(ms: number) {
      offset += ms;
    },
    /** Fetches again and waits until what came is served. */
    async refresh(feed = 'space') {
      await feeds.refresh(feed);
      await new Promise((resolve) => setTimeout(resolve, 30));
    },
    /** Through a socket, wire and fast path and all. */
    async listen() {
      served ??= await serve(app.http, { host: '127.0.0.1', port: 0, fast: app.fast });
      wire ??= installWire(served.server, app.wire);
      return served.url;
    },
    async close() {
      wire?.close();
      await served?.close(100);
      await feeds.close();
      await tokens.close();
      await state.close();
    },
    async [Symbol.asyncDispose]() {
      await world.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  for (let i = 0; i < 200 && !feeds.restored(); i++) await new Promise((r) => setTimeout(r, 5));
  await Promise.all(Object.keys(config.feeds).map((id) => world.refresh(id)));
  return world;
}

export type World = Awaited<ReturnType<typeof createWorld>>;
