import { Buffer } from 'node:buffer';
import { createHash, hash } from 'node:crypto';
import { sacrifice } from './budget.ts';
import { Writer } from './bytes.ts';
import { type Component, type ParsedCalendar, QUARANTINE_OCTETS } from './components.ts';
import { type Group, groupsOf, sameGroup } from './groups.ts';
import { budgetNotice, staleNotice, writeEmpty, writeFooter, writeHeader } from './header.ts';
import { Items, joined, Lot } from './lots.ts';
import type { SourcePolicy, ViewPolicy } from './policy.ts';
import { type Made, outgoingUid, Renderer } from './render.ts';
import { type MergeReport, Reporter } from './report.ts';
import { select } from './select.ts';
import type { Slices } from './slices.ts';
import { firstsOf } from './uids.ts';
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
  /** In one piece: copied together when first asked for. */
  readonly bytes: Uint8Array;
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
  const collectOf = (source: MergeSource) => collect(source, options, zones, reporter, false);
  const collectNotice = (calendar: ParsedCalendar) =>
    collect({ id: '', calendar, policy: SHOWN }, options, zones, reporter, true);
  const lots = ordered.map(collectOf);
  const stale = options.staleNotice ? staleNotice(ordered, options) : undefined;
  if (stale) lots.push(collectNotice(stale));
  let items = new Items(resolveUids(lots, reporter));
  const render = new Renderer(options);
  const room = (options.budgetBytes ?? DEFAULT_BUDGET) - frameSize(zones, options);
  // What is small as it came is made at once: most of the time it fits.
  const small = room === Infinity || items.octets() <= room;
  let made = small ? render.all(items, 0) : undefined;
  if (!made || made.slices.size > room) {
    const cut = sacrifice(items, render.sizes(items, 0), render, room, options.now);
    if (cut.steps.length > 0) {
      for (const { what, count } of cut.steps) reporter.sacrificed(what, count);
      const notice = collectNotice(budgetNotice(cut.steps, options));
      items = new Items(resolveUids([...lotsOf(cut.entries), notice], reporter));
    }
    made = render.all(items, cut.level);
  }
  const frame = writeFrame(made, zones, options);
  const { slices } = made;
  let bytes: Buffer | undefined;
  let origins: Map<string, string> | undefined;
  return {
    get bytes() {
      return bytes ??= assemble(frame, slices);
    },
    etagBasis: createHash('sha256').update(frame.head).update(slices.hashes()).digest('hex'),
    components: slices.length,
    report: reporter.report,
    sourceOf: (uid) => {
      origins ??= new Map(
        items.entries().map((e) => [outgoingUid(e, options), e.origin.source.id]),
      );
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
  notice: boolean,
): Lot {
  const { id, calendar } = source;
  for (const part of calendar.quarantined) reporter.quarantined(id, part);
  reporter.uncounted(calendar.quarantinedCount - calendar.quarantined.length);
  const { doubles, superseded } = groupsOf(calendar);
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
  const lot = select(origin, {
    policy: source.policy,
    view,
    filters: [source.policy, view].some((p) => p.include ?? p.exclude ?? p.window),
    busyView: options.view === 'busy' && !notice,
    now: options.now,
  }, reporter);
  const { earliest, floats } = lot.starts();
  const assumed = source.policy.assumeTimezone;
  if (assumed !== undefined && floats < Infinity) {
    const zone = toIana(assumed === 'X-WR-TIMEZONE' ? calendar.header[assumed] ?? '' : assumed);
    if (zone !== undefined) origin.floating = zones.enterIana(id, zone, yearOf(floats));
    else reporter.warn(`Source ${id}: X-WR-TIMEZONE names no known zone; times keep floating`);
  }
  if (earliest.length === 0) return lot;
  const used = new Map<number, Use>();
  earliest.forEach((start, index) => used.set(index, { since: yearOf(start) }));
  origin.names = zones.enter(id, calendar, used);
  return origin.names.missing ? withoutTimeless(lot, reporter) : lot;
}

function yearOf(startKey: number): number {
  return Math.floor(startKey / 1e10);
}

/** Takes out components whose TZID means nothing: showing them at a wrong hour would be worse. */
function withoutTimeless(lot: Lot, reporter: Reporter): Lot {
  const { origin } = lot;
  const kept: Entry[] = [];
  for (let i = 0; i < lot.length; i++) {
    const entry = lot.entry(i);
    const components = entry.components.filter((component) => {
      if (origin.names.isKnown(component)) return true;
      const { source, start, end } = component;
      reporter.quarantined(origin.source.id, {
        reason: 'A TZID has no VTIMEZONE and names no known zone',
        line: 0,
        bytes: Uint8Array.from(source.subarray(start, Math.min(end, start + QUARANTINE_OCTETS))),
      });
      return false;
    });
    if (components.length > 0) kept.push({ ...entry, key: components[0]!.startKey, components });
  }
  return new Lot(origin, kept);
}

/** Same UID, same content: one copy. Same UID, other content: a new UID, made of source and UID. */
function resolveUids(lots: readonly Lot[], reporter: Reporter): readonly Lot[] {
  const { hashes, lot, place } = joined(lots);
  const uidOf = (i: number) => lots[lot[i]!]!.uid(place[i]!);
  if (!lots.some((l) => l.collides) && !firstsOf(hashes, uidOf)) return lots;
  const entries = Array.from(lot, (number, i) => lots[number]!.entry(place[i]!));
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
  return lotsOf([...byUid.values()]);
}

function lotsOf(entries: readonly Entry[]): Lot[] {
  const byOrigin = Map.groupBy(entries, (entry) => entry.origin);
  return [...byOrigin].map(([origin, some]) => new Lot(origin, some));
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

/** Header, VTIMEZONEs and the end: all of a feed that is no component. */
function writeFrame(made: Made, zones: ZoneBook, options: MergeOptions) {
  const head = new Writer();
  writeHeader(head, options);
  zones.write(head, options.view === 'busy', made.zones);
  if (made.slices.length === 0) writeEmpty(head);
  const foot = new Writer();
  writeFooter(foot);
  return { head: head.view(), foot: foot.view() };
}

/** The only place where the feed's bytes come together. */
function assemble({ head, foot }: { head: Buffer; foot: Buffer }, slices: Slices): Buffer {
  const bytes = Buffer.allocUnsafeSlow(head.length + slices.size + foot.length);
  head.copy(bytes);
  foot.copy(bytes, slices.copy(bytes, head.length));
  return bytes;
}
