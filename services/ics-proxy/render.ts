import { parseCalendar, type ParsedCalendar } from './calendar/components.ts';
import { merge } from './calendar/merge.ts';
import type { MergeReport } from './calendar/report.ts';
import type { Encoding } from './document.ts';
import { encode } from './encode.ts';
import type { Renderer, ReportSummary, SourceFacts } from './renderer.ts';

/** The renderer in this very thread. */
export function createInlineRenderer(): Renderer {
  const parsed = new Map<string, ParsedCalendar>();
  return {
    put(key, bytes) {
      const calendar = parseCalendar(bytes, parsed.get(key));
      parsed.set(key, calendar);
      return Promise.resolve(facts(bytes, calendar));
    },
    drop(key) {
      parsed.delete(key);
      return Promise.resolve();
    },
    async render({ sources, options, encodings, previousBasis }) {
      const present = sources.filter(({ key }) => parsed.has(key));
      if (present.length === 0) throw new Error('no source has been taken in');
      const result = merge(
        present.map(({ key, id, policy, stale }) => ({
          id,
          calendar: parsed.get(key)!,
          policy,
          ...(stale ? { stale } : {}),
        })),
        options,
      );
      const { etagBasis, components } = result;
      const report = summary(result.report);
      if (etagBasis === previousBasis) return { etagBasis, components, report };
      // Asked for only now: this is what copies the feed together.
      const { bytes } = result;
      const encoded: Partial<Record<Encoding, Uint8Array>> = {};
      await Promise.all(encodings.map(async (name) => {
        encoded[name] = await encode(bytes, name);
      }));
      return { etagBasis, components, report, content: { bytes, encoded } };
    },
    async agenda({ bytes, sources, renamed, ...span }) {
      // Recurrence is the heaviest of all to load, and not needed to serve a feed.
      const { agenda } = await import('./calendar/agenda.ts');
      const owners = new Map<string, string>();
      // As in merge: where two claim a UID, the smaller id has it.
      for (const { key, id } of sources.toSorted((a, b) => a.id < b.id ? 1 : -1)) {
        const table = parsed.get(key)?.table;
        for (let i = 0; table && i < table.length; i++) owners.set(table.uidOf(i), id);
      }
      for (const { source, to } of renamed) owners.set(to, source);
      return agenda({ bytes, sourceOf: (uid) => owners.get(uid) }, span);
    },
    close: () => Promise.resolve(),
  };
}

function facts(bytes: Uint8Array, calendar: ParsedCalendar): SourceFacts {
  return {
    bytes: bytes.length,
    components: calendar.table.length,
    quarantinedCount: calendar.quarantinedCount,
    quarantined: calendar.quarantined.slice(0, SHOWN).map(({ reason, line, bytes: part }) => ({
      reason,
      line,
      excerpt: new TextDecoder().decode(part.subarray(0, 120)).split(/\r?\n/, 2).join(' ⏎ '),
    })),
  };
}

/** Enough for a person to see what is going on; the numbers are of all there is. */
const SHOWN = 50;

function summary(report: MergeReport): ReportSummary {
  const { renamedUids, renamedTzids, synthesisedTzids, dropped, sacrificed, warnings } = report;
  return {
    counts: report.counts,
    renamedUids: renamedUids.slice(0, 1000),
    renamedTzids: renamedTzids.slice(0, SHOWN),
    synthesisedTzids: synthesisedTzids.slice(0, SHOWN),
    dropped: dropped.slice(0, SHOWN),
    sacrificed: sacrificed.slice(0, SHOWN),
    warnings: warnings.slice(0, SHOWN),
  };
}
