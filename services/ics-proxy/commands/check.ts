import { dirname, resolve } from 'node:path';
import { printConfig, readSecret } from '@hackspace/kit/config.ts';
import { describe, StalledError } from '@hackspace/kit/errors.ts';
import { redactText } from '@hackspace/kit/log.ts';
import { parseCalendar } from '../calendar/components.ts';
import { type Config, type FeedSource, loadIcsConfig } from '../config.ts';
import { createSource } from '../sources/source.ts';

export interface CheckResult {
  ok: boolean;
  /** The effective config, redacted. */
  config: string;
  /** One line a source and trouble. */
  lines: string[];
}

/** Sources fetched at the same time, and how long the slowest may take, in milliseconds. */
const CONCURRENCY = 8;
const DEADLINE = 300_000;

/**
 * Reads the config and its secret files; with `live` fetches every source once, as the server would.
 * Throws AppError `invalid` with every fault when the config itself is wrong.
 */
export async function check(options: { config: string; live?: boolean }): Promise<CheckResult> {
  const config = await loadIcsConfig(options.config);
  const sources = Object.entries(config.feeds).flatMap(([feed, { sources }]) =>
    sources.map((source) => ({ name: `${feed}/${source.id}`, source }))
  );
  const rows: Row[] = [];
  for (const [name, file] of secretFiles(config)) {
    const fault = await readSecret(file).then(() => undefined, (error: Error) => error.message);
    if (fault) rows.push({ state: 'fail', name, text: fault });
  }
  if (options.live) {
    const base = dirname(resolve(options.config));
    const found = new Map<string, Row[]>();
    const queue = [...sources];
    const lane = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        found.set(next.name, await tryOut(next.name, next.source, base));
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    rows.push(...sources.flatMap(({ name }) => found.get(name)!));
  }
  const width = Math.max(0, ...rows.map((row) => row.name.length));
  return {
    ok: rows.every((row) => row.state !== 'fail'),
    config: printConfig(withoutPaths(config)),
    lines: rows.map(({ state, name, text }) => `${state}  ${name.padEnd(width)}  ${text}`),
  };
}

interface Row {
  state: 'ok  ' | 'note' | 'fail';
  name: string;
  text: string;
}

async function tryOut(name: string, source: FeedSource, base: string): Promise<Row[]> {
  const started = performance.now();
  try {
    const result = await createSource(source, { base })
      .fetch(undefined, AbortSignal.timeout(DEADLINE));
    if (result.status !== 'fresh') throw new Error('answered "unchanged" to the first question');
    const took = Math.round(performance.now() - started);
    const { components, quarantinedCount } = parseCalendar(result.bytes);
    const aside = quarantinedCount > 0 ? `, ${quarantinedCount} put aside` : '';
    const text =
      `${components.length} components, ${result.bytes.length} bytes, ${took} ms${aside}`;
    const notes = (result.warnings ?? []).map((warning): Row => ({
      state: 'note',
      name,
      text: redactText(warning),
    }));
    return [{ state: 'ok  ', name, text }, ...notes];
  } catch (error) {
    const help = error instanceof StalledError ? ' (trying again will not help)' : '';
    return [{ state: 'fail', name, text: redactText(describe(error)) + help }];
  }
}

function secretFiles(config: Config): [name: string, file: string][] {
  const files: [string, string][] = [];
  if (config.admin) files.push(['admin.tokenFile', config.admin.tokenFile]);
  for (const [feed, { sources }] of Object.entries(config.feeds)) {
    for (const { id, auth } of sources) {
      if (!auth) continue;
      const file = auth.type === 'bearer' ? auth.tokenFile : auth.passwordFile;
      files.push([`${feed}/${id}`, file]);
    }
  }
  return files;
}

/** Secret addresses, Google's for one, carry their secret in the path: only the host is shown. */
function withoutPaths(config: Config): Config {
  const feeds = Object.entries(config.feeds).map(([id, feed]) => [
    id,
    {
      ...feed,
      sources: feed.sources.map((source) => ({
        ...source,
        url: source.url.replace(/^(?!file:)(\w+:\/\/[^/?#]*).+$/i, '$1/[redacted]'),
      })),
    },
  ]);
  return { ...config, feeds: Object.fromEntries(feeds) };
}
