import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { AppError, fileReason } from '@hackspace/kit/errors.ts';
import { parseCalendar } from '../calendar/components.ts';
import { merge, type MergeOptions, type MergeResult, type MergeSource } from '../calendar/merge.ts';
import { type SourcePolicy, sourcePolicySchema, type ViewPolicy } from '../calendar/policy.ts';
import type { MergeReport, ReportList } from '../calendar/report.ts';

export interface RenderOptions {
  /** What the config says of the feed; without it nothing is filtered, hidden or cut to a size. */
  feed?: {
    id: string;
    name: string;
    description?: string | undefined;
    color?: string | undefined;
    budgetBytes?: number | undefined;
    window?: ViewPolicy['window'];
    views?: { full?: ViewPolicy | undefined; busy?: ViewPolicy | undefined } | undefined;
    /** Their policies go to the files named `<id>.ics`, or given as `<id>=FILE`. */
    sources: readonly ({ id: string } & Record<string, unknown>)[];
  } | undefined;
  view: 'full' | 'busy';
  /** Epoch milliseconds. */
  now: number;
}

const NO_CONFIG: SourcePolicy = { private: 'show' };

/** Merges files as the server merges sources. Throws AppError `invalid` for a file it cannot read. */
export async function renderFiles(
  files: readonly string[],
  { feed, view, now }: RenderOptions,
): Promise<MergeResult> {
  const sources = await readSources(files, feed?.sources);
  const options: MergeOptions = {
    feed: feed
      ? { id: feed.id, name: feed.name, description: feed.description, color: feed.color }
      : { id: 'render', name: 'Calendar' },
    view,
    policy: feed?.views?.[view],
    window: feed?.window,
    budgetBytes: feed ? feed.budgetBytes : Infinity,
    now,
  };
  return merge(sources, options);
}

/** Reads and parses each file; its id is `ID` of `ID=FILE`, else its name without `.ics`. */
export async function readSources(
  files: readonly string[],
  configured: readonly ({ id: string } & Record<string, unknown>)[] = [],
): Promise<MergeSource[]> {
  const given = files.map((argument) => {
    const [, id, path] = /^([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)$/s.exec(argument) ?? [];
    return { id: id ?? basename(argument).replace(/\.ics$/i, ''), path: path ?? argument };
  });
  const names = new Set(given.map(({ id }) => id));
  return await Promise.all(given.map(async ({ id, path }) => {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (cause) {
      throw new AppError('invalid', `Cannot read calendar ${path}: ${fileReason(cause)}`);
    }
    const source = configured.find((s) => s.id === id);
    return {
      // Files of one name in two folders are told apart by their paths.
      id: names.size === given.length ? id : path,
      calendar: parseCalendar(bytes),
      policy: source ? policyOf(source) : configured.length > 0 ? {} : NO_CONFIG,
    };
  }));
}

/** The keys of a source's config that are its policy. */
function policyOf(source: Record<string, unknown>): SourcePolicy {
  const keys = Object.keys(sourcePolicySchema.shape).filter((key) => source[key] !== undefined);
  return Object.fromEntries(keys.map((key) => [key, source[key]]));
}

const WORDS: Record<ReportList, string> = {
  renamedUids: 'renamed-uid',
  renamedTzids: 'renamed-tzid',
  synthesisedTzids: 'added-vtimezone',
  duplicates: 'duplicate',
  dropped: 'dropped',
  quarantined: 'quarantined',
  sacrificed: 'sacrificed',
  warnings: 'warning',
};

/** A report as objects for JSON lines: one for each thing done, the counts last. */
export function reportLines(result: MergeResult): Record<string, unknown>[] {
  const { report } = result;
  const lines: Record<string, unknown>[] = [];
  for (const list of Object.keys(WORDS) as ReportList[]) {
    for (const item of report[list]) lines.push({ event: WORDS[list], ...plain(item) });
  }
  const { counts } = report;
  lines.push({
    event: 'rendered',
    components: result.components,
    octets: result.bytes.length,
    etagBasis: result.etagBasis,
    counts,
  });
  return lines;
}

function plain(item: MergeReport[ReportList][number]): Record<string, unknown> {
  if (typeof item === 'string') return { message: item };
  if (!('bytes' in item)) return { ...item };
  const { bytes, ...rest } = item;
  return { ...rest, begins: new TextDecoder().decode(bytes).slice(0, 200) };
}
