import type { Quarantined } from './components.ts';

/** What a merge did to what it was given. Lists are capped; `counts` are not. */
export interface MergeReport {
  renamedUids: { source: string; uid: string; to: string }[];
  renamedTzids: { source: string; tzid: string; to: string }[];
  synthesisedTzids: { source: string; tzid: string; zone: string }[];
  /** Left out because another copy of the same content is in the feed. */
  duplicates: { source: string; uid: string; of: string }[];
  /** Left out by a policy, or because a higher SEQUENCE replaced it. */
  dropped: { source: string; uid: string; recurrenceId: string; reason: string }[];
  quarantined: (Quarantined & { source: string })[];
  /** What the size budget took, in the order it was taken. */
  sacrificed: { what: string; count: number }[];
  warnings: string[];
  counts: Record<ReportList, number>;
}
export type ReportList = Exclude<keyof MergeReport, 'counts'>;

const LIMIT = 1000;
/** Values of a source in a report: long enough to know them by. */
const LONGEST = 200;

/** Collects a report within bounds. */
export class Reporter {
  readonly report: MergeReport = {
    renamedUids: [],
    renamedTzids: [],
    synthesisedTzids: [],
    duplicates: [],
    dropped: [],
    quarantined: [],
    sacrificed: [],
    warnings: [],
    counts: {
      renamedUids: 0,
      renamedTzids: 0,
      synthesisedTzids: 0,
      duplicates: 0,
      dropped: 0,
      quarantined: 0,
      sacrificed: 0,
      warnings: 0,
    },
  };

  #add<L extends ReportList>(list: L, item: MergeReport[L][number]): void {
    if (this.report.counts[list]++ < LIMIT) (this.report[list] as unknown[]).push(item);
  }

  renamedUid(source: string, uid: string, to: string): void {
    this.#add('renamedUids', { source, uid: cut(uid), to });
  }
  renamed(source: string, tzid: string, to: string): void {
    this.#add('renamedTzids', { source, tzid: cut(tzid), to });
  }
  synthesised(source: string, tzid: string, zone: string): void {
    this.#add('synthesisedTzids', { source, tzid: cut(tzid), zone });
  }
  duplicate(source: string, uid: string, of: string): void {
    this.#add('duplicates', { source, uid: cut(uid), of });
  }
  dropped(source: string, uid: string, recurrenceId: string, reason: string): void {
    this.#add('dropped', { source, uid: cut(uid), recurrenceId: cut(recurrenceId), reason });
  }
  quarantined(source: string, item: Quarantined): void {
    this.#add('quarantined', { source, ...item });
  }
  /** Quarantined parts that are counted but no longer listed. */
  uncounted(more: number): void {
    this.report.counts.quarantined += more;
  }
  sacrificed(what: string, count: number): void {
    if (count > 0) this.#add('sacrificed', { what, count });
  }
  warn(message: string): void {
    this.#add('warnings', message);
  }
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
