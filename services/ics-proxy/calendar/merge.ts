import { Buffer } from 'node:buffer';
import { createHash, hash } from 'node:crypto';
import { sacrifice } from './budget.ts';
import { Writer } from './bytes.ts';
import { type Component, Has, type ParsedCalendar, QUARANTINE_OCTETS } from './components.ts';
import { hashOf } from './content.ts';
import type { Piece } from './edit.ts';
import { type Group, groupsOf, sameGroup, sortGroups } from './groups.ts';
import { budgetNotice, staleNotice, writeEmpty, writeFooter, writeHeader } from './header.ts';
import type { SourcePolicy, ViewPolicy } from './policy.ts';
import { properties } from './properties.ts';
import { outgoingUid, Renderer } from './render.ts';
import { type MergeReport, Reporter } from './report.ts';
import { select } from './select.ts';
import { toIana } from './zone-names.ts';
import { NO_NAMES, type Use, ZoneBook, type ZoneNames } from './zones.ts';

/** One upstream calendar of a feed. */
export interface MergeSource {
  /** Unique in the feed. The smaller id keeps its UIDs and TZIDs when two sources claim the same. */
  id: string;
  calendar: ParsedCalendar;
  policy: SourcePolicy;
  /** Set when the upstream has not answered since (epoch milliseconds). */
  stale?: { since: number } | undefined;
}

export interface MergeOptions {
  feed: {
    id: string;
    name: string;
    description?: string | undefined;
    /** CSS colour name. */
    color?: string | undefined;
    /** How often subscribers should ask, in milliseconds; an hour when absent. */
    refresh?: number | undefined;
  };
  view: 'full' | 'busy';
  /** Filters of the view, on top of every source's own. */
  policy?: ViewPolicy | undefined;
  /** Short for `policy.window`: milliseconds before and after `now`. */
  window?: ViewPolicy['window'];
  /** Most octets of the feed; 1,000,000 when absent (Google drops what is beyond), Infinity for none. */
  budgetBytes?: number | undefined;
  /** Epoch milliseconds: what windows, notices and sacrifices count from. */
  now: number;
  /** Shows an event for each stale source. */
  staleNotice?: boolean | undefined;
}

export interface MergeResult {
  bytes: Uint8Array;
  /** Hex digest of the feed, blind to DTSTAMP: the same as long as nothing else changes. */
  etagBasis: string;
  /** Components in the feed other than VTIMEZONE. */
  components: number;
  report: MergeReport;
  /** The id of the source that a UID of the feed came from. */
  sourceOf(uid: string): string | undefined;
}

/** A group on its way into the feed: what the policies left of it. */
export interface Entry {
  key: number;
  /** The UID it goes out under, but for the busy view's hashing. */
  uid: string;
  origin: Origin;
  group: Group;
  components: readonly Component[];
  /** Overrides that were taken out: the master gets an EXDATE for each. */
  excluded: readonly Component[];
  /** Shown as busy: all components, none, or these. */
  busy: boolean | ReadonlySet<Component>;
}

/** A source on its way into the feed. */
export interface Origin {
  source: MergeSource;
  names: ZoneNames;
  /** The feed's name of the zone that floating times are read in. */
  floating: string | undefined;
  /** New UIDs by old ones. */
  related: Map<string, string>;
  /** Our own words to the reader: not redacted, not sacrificed. */
  notice: boolean;
}

const DEFAULT_BUDGET = 1_000_000;
/** Stands for the start of what has none. */
const UNDATED = 20000101000000;
const SHOWN: SourcePolicy = { private: 'show' };

/**
 * Makes one calendar out of many. The same sources and options give the same bytes, whatever order
 * the sources come in. A feed that would be empty holds a VTIMEZONE for UTC, since a VCALENDAR needs a
 * component and readers show none for it. Never throws for anything a source may contain.
 */
export function merge(sources: readonly MergeSource[], options: MergeOptions): MergeResult {
  const reporter = new Reporter();
  const zones = new ZoneBook(reporter);
  const ordered = sources.toSorted((a, b) =>
    a.id < b.id ? -1 : a.id > b.id ? 1 : a.calendar.bytes.compare(b.calendar.bytes)
  );
  const entries: Entry[] = [];
  for (const source of ordered) collect(source, options, zones, reporter, entries, false);
  const collectNotice = (calendar: ParsedCalendar) =>
    collect({ id: '', calendar, policy: SHOWN }, options, zones, reporter, entries, true);
  const stale = options.staleNotice ? staleNotice(ordered, options) : undefined;
  if (stale) collectNotice(stale);
  let kept = resolveUids(entries, reporter);
  sortGroups(kept);
  const render = new Renderer(options);
  const budget = options.budgetBytes ?? DEFAULT_BUDGET;
  const cut = sacrifice(kept, render, budget - frameSize(zones, options), options.now);
  if (cut.steps.length > 0) {
    for (const { what, count } of cut.steps) reporter.sacrificed(what, count);
    entries.length = 0;
    collectNotice(budgetNotice(cut.steps, options));
    kept = resolveUids([...cut.entries, ...entries], reporter);
    sortGroups(kept);
  }
  const pieces = cut.pieces ?? render.all(kept, cut.level);
  let origins: Map<string, string> | undefined;
  return {
    ...assemble(pieces, zones, usedZones(kept, pieces), options),
    components: pieces.length,
    report: reporter.report,
    sourceOf: (uid) => {
      origins ??= new Map(kept.map((e) => [outgoingUid(e, options), e.origin.source.id]));
      return origins.get(uid);
    },
  };
}

/** One source's groups, filtered, with every TZID bound to a definition. */
function collect(
  source: MergeSource,
  options: MergeOptions,
  zones: ZoneBook,
  reporter: Reporter,
  into: Entry[],
  notice: boolean,
): void {
  const { id, calendar } = source;
  for (const part of calendar.quarantined) reporter.quarantined(id, part);
  reporter.uncounted(calendar.quarantinedCount - calendar.quarantined.length);
  const { groups, doubles, superseded } = groupsOf(calendar);
  for (const double of doubles) reporter.duplicate(id, double.uid, id);
  for (const old of superseded) {
    reporter.dropped(id, old.uid, old.recurrenceId, 'is replaced by a higher SEQUENCE');
  }
  const origin: Origin = {
    source,
    names: NO_NAMES,
    floating: undefined,
    related: new Map(),
    notice,
  };
  const view: ViewPolicy = notice
    ? {}
    : { ...options.policy, window: options.window ?? options.policy?.window };
  const by = {
    policy: source.policy,
    view,
    filters: [source.policy, view].some((p) => p.include ?? p.exclude ?? p.window),
    busyView: options.view === 'busy' && !notice,
    now: options.now,
  };
  const from = into.length;
  let floats = Infinity;
  // Of each TZID the earliest start of what uses it.
  const earliest: number[] = [];
  for (const group of groups) {
    const entry = select(origin, group, by, reporter);
    if (!entry) continue;
    into.push(entry);
    for (let i = 0; i < entry.components.length; i++) {
      const { tzids, has, startKey } = entry.components[i]!;
      const start = startKey || UNDATED;
      if ((has & Has.FLOATING) !== 0 && start < floats) floats = start;
      for (let k = 0; k < tzids.length; k++) {
        const index = tzids[k]!;
        if (!(earliest[index]! <= start)) earliest[index] = start;
      }
    }
  }
  const assumed = source.policy.assumeTimezone;
  if (assumed !== undefined && floats < Infinity) {
    const zone = toIana(assumed === 'X-WR-TIMEZONE' ? calendar.header[assumed] ?? '' : assumed);
    if (zone !== undefined) origin.floating = zones.enterIana(id, zone, yearOf(floats));
    else reporter.warn(`Source ${id}: X-WR-TIMEZONE names no known zone; times keep floating`);
  }
  if (earliest.length === 0) return;
  const used = new Map<number, Use>();
  earliest.forEach((start, index) => used.set(index, { since: yearOf(start) }));
  origin.names = zones.enter(id, calendar, used);
  if (origin.names.missing) quarantineTimeless(into, from, origin, reporter);
}

function yearOf(startKey: number): number {
  return Math.floor(startKey / 1e10);
}

/** Takes out components whose TZID means nothing: showing them at a wrong hour would be worse. */
function quarantineTimeless(into: Entry[], from: number, origin: Origin, reporter: Reporter): void {
  const { id } = origin.source;
  const kept: Entry[] = [];
  for (const entry of into.splice(from)) {
    const components = entry.components.filter((component) => {
      if (origin.names.isKnown(component)) return true;
      const { source, start, end } = component;
      reporter.quarantined(id, {
        reason: 'A TZID has no VTIMEZONE and names no known zone',
        line: 0,
        bytes: Uint8Array.from(source.subarray(start, Math.min(end, start + QUARANTINE_OCTETS))),
      });
      return false;
    });
    if (components.length > 0) kept.push({ ...entry, key: components[0]!.startKey, components });
  }
  for (const entry of kept) into.push(entry);
}

/** Same UID, same content: one copy. Same UID, other content: a new UID, made of source and UID. */
function resolveUids(entries: readonly Entry[], reporter: Reporter): Entry[] {
  const uids = new Set<string>();
  let collides = false;
  for (let i = 0; i < entries.length; i++) {
    uids.add(entries[i]!.uid);
    if (entries[i]!.group.collides !== undefined) collides = true;
  }
  if (!collides && uids.size === entries.length) return [...entries];
  const byUid = new Map<string, Entry>();
  for (const entry of entries) {
    const { group, origin } = entry;
    let uid = group.collides === undefined ? entry.uid : newUid(entry.uid, group.collides);
    for (let attempt = 0;; attempt++) {
      const other = byUid.get(uid);
      if (other === undefined) {
        byUid.set(uid, entry);
        if (uid === entry.uid) break;
        reporter.renamedUid(origin.source.id, entry.uid, uid);
        if (group.collides === undefined) origin.related.set(entry.uid, uid);
        entry.uid = uid;
        break;
      }
      if (isSame(entry, other)) {
        reporter.duplicate(origin.source.id, entry.uid, other.origin.source.id);
        break;
      }
      uid = newUid(entry.uid, `${origin.source.id}\n${group.collides ?? ''}\n${attempt}`);
    }
  }
  return [...byUid.values()];
}

function newUid(uid: string, salt: string): string {
  return `${hash('sha256', `${salt}\n${uid}`).slice(0, 32)}@merged.hackspace`;
}

function isSame(a: Entry, b: Entry): boolean {
  return sameGroup(a.origin.source.calendar, a.group, b.origin.source.calendar, b.group) &&
    a.components.every((component, i) => {
      const other = b.components[i];
      return other !== undefined &&
        component.tzids.every((index, k) =>
          a.origin.names.nameOf(index, component.calendar) ===
            b.origin.names.nameOf(other.tzids[k]!, other.calendar)
        );
    });
}

function frameSize(zones: ZoneBook, options: MergeOptions): number {
  const out = new Writer();
  writeHeader(out, options);
  zones.write(out, options.view === 'busy');
  writeFooter(out);
  return out.length;
}

/** The zones of what is in the feed after all: not of doubles, or of what the budget took. */
function usedZones(entries: readonly Entry[], pieces: readonly Piece[]): Set<string> {
  const used = new Set<string>();
  let at = 0;
  let lastNames: ZoneNames | undefined;
  let lastTzids: readonly number[] | undefined;
  for (let i = 0; i < entries.length; i++) {
    const { origin, components } = entries[i]!;
    for (let k = 0; k < components.length; k++) {
      const { tzids, calendar, has } = components[k]!;
      const piece = pieces[at++]!;
      if (piece !== components[k] && ((has & Has.ODD_TZID) !== 0 || piece.partial)) {
        for (const { params } of properties(piece.source, piece.start, piece.end)) {
          const tzid = params.get('TZID');
          if (tzid !== undefined) used.add(tzid);
        }
        continue;
      }
      // Components of one TZID share its list: most of the time there is nothing to look up.
      if (tzids !== lastTzids || origin.names !== lastNames || origin.names.scoped) {
        for (let t = 0; t < tzids.length; t++) used.add(origin.names.nameOf(tzids[t]!, calendar)!);
        lastTzids = tzids;
        lastNames = origin.names;
      }
      if (origin.floating !== undefined && (has & Has.FLOATING) !== 0) used.add(origin.floating);
    }
  }
  return used;
}

/** Header, VTIMEZONEs, components: the only place where the feed's bytes come together. */
function assemble(
  pieces: readonly Piece[],
  zones: ZoneBook,
  used: ReadonlySet<string>,
  options: MergeOptions,
): { bytes: Uint8Array; etagBasis: string } {
  const head = new Writer();
  writeHeader(head, options);
  zones.write(head, options.view === 'busy', used);
  if (pieces.length === 0) writeEmpty(head);
  const foot = new Writer();
  writeFooter(foot);
  let size = head.length + foot.length;
  for (let i = 0; i < pieces.length; i++) size += pieces[i]!.end - pieces[i]!.start;
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = head.view().copy(bytes, 0);
  const hashes = new Float64Array(pieces.length);
  for (let i = 0; i < pieces.length;) {
    const { source, start } = pieces[i]!;
    let end = start;
    // Neighbours that were neighbours before go in one copy.
    while (i < pieces.length && pieces[i]!.source === source && pieces[i]!.start === end) {
      const piece = pieces[i]!;
      hashes[i++] = piece.hash || hashOf(piece);
      end = piece.end;
    }
    at += source.copy(bytes, at, start, end);
  }
  foot.view().copy(bytes, at);
  const basis = createHash('sha256').update(head.view())
    .update(new Uint8Array(hashes.buffer)).digest('hex');
  return { bytes, etagBasis: basis };
}
