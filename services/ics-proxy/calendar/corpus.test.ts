import { writeFileSync } from 'node:fs';
import ICAL from 'ical.js';
import { describe, expect, test } from 'vitest';
import { parseCalendar } from './components.ts';
import { merge } from './merge.ts';
import { options } from './testing/calendars.ts';
import { corpusFiles, corpusFolder } from './testing/corpus.ts';
import { faultsOf } from './testing/validator.ts';

/**
 * Real calendars: none may throw, none may lose anything of a well-formed component. ical.js is the
 * second opinion. HACKSPACE_CORPUS_REPORT=FILE writes the table of what was quarantined and why.
 */
const folder = corpusFolder();
if (folder === undefined) {
  process.stderr.write(
    '\nSKIPPED: the corpus of real calendars is missing; HACKSPACE_CORPUS=FOLDER names a folder of .ics files\n',
  );
}

const whole = { private: 'show' } as const;
type JCal = [string, [string, Record<string, string>, string, ...unknown[]][], JCal[]];

describe.skipIf(folder === undefined)('corpus', () => {
  const files = folder === undefined ? [] : corpusFiles(folder);
  const table: string[] = [];

  test('each file alone: valid out, the same when twice through, nothing lost', {
    timeout: 120_000,
  }, () => {
    expect(files.length).toBeGreaterThan(0);
    const problems: string[] = [];
    const tally = { components: 0, kept: 0, quarantined: 0, compared: 0, unread: 0 };
    for (const { name, bytes } of files) {
      const calendar = parseCalendar(bytes);
      const one = merge([{ id: 's', calendar, policy: whole }], options({ budgetBytes: Infinity }));
      for (const fault of faultsOf(one.bytes)) problems.push(`${name}: ${fault}`);
      const again = merge(
        [{ id: 't', calendar: parseCalendar(one.bytes), policy: whole }],
        options({ budgetBytes: Infinity }),
      );
      if (Buffer.compare(one.bytes, again.bytes) !== 0) problems.push(`${name}: twice differs`);
      const { counts, quarantined } = one.report;
      tally.components += calendar.components.length;
      tally.kept += one.components;
      tally.quarantined += counts.quarantined;
      for (const { reason, line } of quarantined) table.push(`${name}:${line}\t${reason}`);
      const accounted = one.components + counts.duplicates + counts.dropped +
        quarantined.filter((q) => q.line === 0).length;
      if (accounted !== calendar.components.length) {
        problems.push(`${name}: ${calendar.components.length} in, ${accounted} accounted for`);
      }
      const compared = compare(
        bytes,
        one.bytes,
        counts.quarantined + counts.dropped + counts.duplicates,
      );
      if (compared === undefined) tally.unread++;
      else {
        tally.compared++;
        problems.push(...compared.map((p) => `${name}: ${p}`));
      }
    }
    table.push('', JSON.stringify({ files: files.length, ...tally }));
    if (process.env.HACKSPACE_CORPUS_REPORT) {
      writeFileSync(process.env.HACKSPACE_CORPUS_REPORT, table.join('\n') + '\n');
    }
    expect(problems).toEqual([]);
  });

  test(
    'all files together: every component accounted for, in any order',
    { timeout: 120_000 },
    () => {
      const sources = files.map(({ name, bytes }) => ({
        id: name,
        calendar: parseCalendar(bytes),
        policy: whole,
      }));
      const result = merge(sources, options({ budgetBytes: Infinity }));
      expect(faultsOf(result.bytes)).toEqual([]);
      const total = sources.reduce((sum, s) => sum + s.calendar.components.length, 0);
      const { counts } = result.report;
      const timeless = counts.quarantined -
        sources.reduce((sum, s) => sum + s.calendar.quarantinedCount, 0);
      expect(result.components + counts.duplicates + counts.dropped + timeless).toBeLessThanOrEqual(
        total,
      );
      const reversed = merge(sources.toReversed(), options({ budgetBytes: Infinity }));
      expect(Buffer.compare(result.bytes, reversed.bytes)).toBe(0);
      expect(reversed.etagBasis).toBe(result.etagBasis);
      expect(faultsOf(merge(sources, options({ view: 'busy' })).bytes)).toEqual([]);
      expect(faultsOf(merge(sources, options()).bytes)).toEqual([]);
      expect(merge(sources, options()).bytes.length).toBeLessThanOrEqual(1_000_000);
    },
  );
});

/**
 * Every component that ical.js reads from the input must come out with the same properties,
 * parameters, values and nested components; `out` of them at most may be missing. Undefined when
 * ical.js cannot read the input.
 */
function compare(input: Uint8Array, output: Uint8Array, out: number): string[] | undefined {
  let before: JCal[];
  try {
    const parsed = ICAL.parse(new TextDecoder('utf-8', { fatal: true }).decode(input)) as unknown;
    before = (Array.isArray((parsed as unknown[])[0]) ? parsed : [parsed]) as JCal[];
    if (before.some((root) => !Array.isArray(root[1]))) return undefined;
  } catch {
    return undefined;
  }
  const after = ICAL.parse(new TextDecoder().decode(output)) as unknown as JCal;
  const rest = new Map<string, number>();
  for (const component of after[2]) add(rest, component, 1);
  const missing: string[] = [];
  for (const root of before) {
    for (const component of root[0] === 'vcalendar' ? root[2] : [root]) {
      if (component[0] === 'vtimezone') continue;
      const key = canonical(component);
      const left = rest.get(key) ?? 0;
      if (left > 0) rest.set(key, left - 1);
      else missing.push(key);
    }
  }
  return missing.length <= out ? [] : missing.map((key) => `not in the feed: ${key.slice(0, 300)}`);
}

function add(into: Map<string, number>, component: JCal, count: number): void {
  const key = canonical(component);
  into.set(key, (into.get(key) ?? 0) + count);
}

/** A component without what merging may change: UID, a DTSTAMP that was missing, names of TZIDs. */
function canonical([name, lines, children]: JCal): string {
  const kept = lines.filter(([property, , , value]) =>
    property !== 'uid' && !(property === 'dtstamp' && value === '1970-01-01T00:00:00Z')
  ).map(([property, params, ...values]) => {
    const { tzid: _, ...others } = params;
    return [property, others, ...values];
  });
  return JSON.stringify([name, kept, children.map((child) => canonical(child))]);
}
