import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { Writer } from './bytes.ts';
import { Chunks } from './chunks.ts';
import { type Component, Has, Row, type Table, WIDTH } from './component.ts';
import { type Edit, edit, type Piece } from './edit.ts';
import { escapeText } from './lines.ts';
import type { Items, Lot } from './lots.ts';
import type { Entry, MergeOptions, Origin } from './merge.ts';
import { properties } from './properties.ts';
import { redact } from './redact.ts';
import { Slices } from './slices.ts';

/** How much the size budget has taken: nothing, alarms, bulky properties, descriptions. */
export type Level = 0 | 1 | 2 | 3;

/** A feed's components as they go out. */
export interface Made {
  slices: Slices;
  /** Names of the VTIMEZONEs that they use. */
  zones: Set<string>;
}

/** What became of a source's components under one set of changes; null: nothing. Kept from merge to merge. */
type Pieces = (Piece | null | undefined)[];
/** Sets of changes remembered for each source: feeds times views, if they differ at all. */
const MAX_SETS = 8;

/** Forgets what is remembered under other sets of changes once there are too many. */
function recall<T>(table: Table, kind: string, key: string): (T | undefined)[] {
  if (!table.memories.has(kind + key)) {
    const sets = [...table.memories.keys()].filter((name) => name.startsWith(kind));
    if (sets.length >= MAX_SETS) { for (const set of sets) table.memories.delete(set); }
  }
  return table.memory<T>(kind + key);
}

/** Where pieces are written of which only the size is wanted. */
const scratch = new Writer();

const TITLED = new Set(['VEVENT', 'VTODO', 'VJOURNAL']);
const REPAIRS = Has.NO_UID | Has.NO_STAMP | Has.NO_END;

/** Turns items into bytes: as they came where nothing changes, edited or redacted where it does. */
export class Renderer {
  readonly #options: MergeOptions;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  /** Is there anything that a level takes? Not in a busy view. */
  get hasLevels(): boolean {
    return this.#options.view !== 'busy';
  }

  all(items: Items, level: Level): Made {
    const lots = items.lots.map((lot) => new LotRenderer(lot, this.#options, level));
    const slices = new Slices(items.length);
    for (const lot of lots) lot.prepare(slices);
    for (let i = 0; i < items.length; i++) {
      lots[items.lot[i]!]!.write(items.place[i]!, slices);
    }
    const zones = new Set<string>();
    for (const lot of lots) lot.addZones(zones);
    return { slices, zones };
  }

  /** How many octets each item would have. Nothing is kept but that: it may be far too much. */
  sizes(items: Items, level: Level): Int32Array {
    const lots = items.lots.map((lot) => new LotRenderer(lot, this.#options, level));
    return items.lot.map((lot, i) => lots[lot]!.size(items.place[i]!));
  }
}

class LotRenderer {
  readonly #lot: Lot;
  readonly #table: Table;
  readonly #options: MergeOptions;
  readonly #change: Edit;
  readonly #level: Level;
  /** Pieces that other merges may use too, their sizes, and pieces of this one alone; by component. */
  readonly #shared: Pieces;
  readonly #sizes: (number | undefined)[];
  readonly #own = new Map<number, Piece>();
  readonly #out: Chunks = new Chunks();
  /** The number of the source among the feed's buffers. */
  #buffer = 0;
  /** Do all components leave as they came? */
  #plain = false;
  /** Do the source's policies touch every titled component? */
  readonly #touches: boolean;
  /** Places in `Table.lists` of the TZIDs that are used, and names that were found otherwise. */
  readonly #lists = new Set<number>();
  #lastList = -1;
  readonly #zones = new Set<string>();

  constructor(lot: Lot, options: MergeOptions, level: Level) {
    const { origin } = lot;
    const { policy, calendar } = origin.source;
    this.#lot = lot;
    this.#table = calendar.table;
    this.#options = options;
    this.#level = level;
    const prefix = (policy.emoji === undefined ? '' : `${policy.emoji} `) + (policy.prefix ?? '');
    const color = policy.color ?? policy.colour;
    const view = options.view === 'busy' && !origin.notice;
    const dropAlarms = policy.dropAlarms === true || options.policy?.dropAlarms === true ||
      level > 0;
    this.#change = {
      prefix: prefix === '' ? undefined : Buffer.from(escapeText(prefix)),
      color,
      add: policy.category === undefined
        ? undefined
        : [`CATEGORIES:${escapeText(policy.category)}`],
      dropAlarms: dropAlarms && !origin.notice,
      floating: origin.floating,
      sacrifice: origin.notice || level < 2 ? 0 : level === 2 ? 1 : 2,
    };
    this.#touches = prefix !== '' || color !== undefined || policy.category !== undefined ||
      (level > 1 && !origin.notice);
    const key = JSON.stringify([
      view,
      options.feed.id,
      prefix,
      color,
      policy.category,
      dropAlarms,
      level,
      origin.floating,
      origin.names.signature(),
    ]);
    this.#shared = recall(this.#table, 'pieces ', key);
    this.#sizes = recall(this.#table, 'sizes ', key);
  }

  /** Do all components leave as they came? */
  #isPlain(): boolean {
    const { origin, grouping, busy } = this.#lot;
    const { has } = this.#table;
    return grouping !== undefined && !busy && !this.#touches && (has & REPAIRS) === 0 &&
      (this.#change.dropAlarms !== true || (has & Has.ALARM) === 0) &&
      origin.floating === undefined && !origin.names.renames && origin.related.size === 0;
  }

  /** Makes what has to be made, one component after the other. */
  prepare(slices: Slices): void {
    this.#buffer = slices.buffer(this.#table.source);
    this.#plain = this.#isPlain();
    if (this.#plain) return;
    const lot = this.#lot;
    for (let place = 0; place < lot.length; place++) {
      const single = lot.single(place);
      if (single >= 0 && this.#shared[single] !== undefined) continue;
      const entry = lot.entry(place);
      for (const component of entry.components) this.#make(entry, component);
    }
    this.#out.seal();
  }

  #make(entry: Entry, component: Component): void {
    const { index } = component;
    const own = this.#isOwn(entry, component);
    if (!own && this.#shared[index] !== undefined) return;
    const piece = this.#changed(entry, component, this.#out.writer());
    if (piece) this.#out.add(piece);
    if (!own) this.#shared[index] = piece;
    else if (piece) this.#own.set(index, piece);
  }

  /** Octets of the group at `place`. */
  size(place: number): number {
    const entry = this.#lot.entry(place);
    let size = 0;
    for (const component of entry.components) {
      const { index, start, end } = component;
      const own = this.#isOwn(entry, component);
      let known = own ? undefined : this.#sizes[index];
      if (known === undefined) {
        scratch.length = 0;
        const piece = this.#changed(entry, component, scratch);
        known = piece ? piece.end - piece.start : end - start;
        if (!own) this.#sizes[index] = known;
      }
      size += known;
    }
    return size;
  }

  /** Adds the components of the group at `place` to the feed. */
  write(place: number, slices: Slices): void {
    const single = this.#lot.single(place);
    if (single >= 0) this.#writeOne(single, slices);
    else for (const { index } of this.#lot.entry(place).components) this.#writeOne(index, slices);
  }

  #writeOne(index: number, slices: Slices): void {
    const piece = this.#plain ? null : this.#own.get(index) ?? this.#shared[index];
    const { rows } = this.#table;
    const row = index * WIDTH;
    if (piece) slices.add(slices.buffer(piece.source), piece.start, piece.end, piece.hash);
    else {
      const hash = this.#table.hashOf(index);
      slices.add(this.#buffer, rows[row + Row.START]!, rows[row + Row.END]!, hash);
    }
    // Components of one TZID share its list: most of the time there is nothing to look up.
    const list = rows[row + Row.ZONES]!;
    const { names, floating } = this.#lot.origin;
    const has = rows[row + Row.HAS]!;
    if (list !== this.#lastList || names.scoped || (has & Has.ODD_TZID) !== 0 || piece?.partial) {
      this.#use(piece, list, rows[row + Row.CALENDAR]!, has);
    }
    if (floating !== undefined && (has & Has.FLOATING) !== 0) this.#zones.add(floating);
  }

  #use(piece: Piece | null | undefined, list: number, calendar: number, has: number): void {
    const { names } = this.#lot.origin;
    if (piece && ((has & Has.ODD_TZID) !== 0 || piece.partial)) {
      for (const { params } of properties(piece.source, piece.start, piece.end)) {
        const tzid = params.get('TZID');
        if (tzid !== undefined) this.#zones.add(tzid);
      }
    } else if (names.scoped) {
      for (const tzid of this.#table.lists[list]!) this.#zones.add(names.nameOf(tzid, calendar)!);
    } else {
      this.#lists.add(this.#lastList = list);
    }
  }

  addZones(into: Set<string>): void {
    const { names } = this.#lot.origin;
    for (const list of this.#lists) {
      for (const tzid of this.#table.lists[list]!) into.add(names.nameOf(tzid, 0)!);
    }
    for (const zone of this.#zones) into.add(zone);
  }

  /** Is it changed in a way that other merges need not share? */
  #isOwn(entry: Entry, component: Component): boolean {
    return entry.uid !== entry.group.uid || typeof entry.busy === 'object' ||
      (entry.excluded.length > 0 && component.recurrenceId === '') ||
      (entry.origin.related.size > 0 && (component.has & Has.RELATED) !== 0);
  }

  /** The component as it goes out, written to `out`; null when it leaves as it came. */
  #changed(entry: Entry, component: Component, out: Writer): Piece | null {
    const { origin } = entry;
    const busy = entry.busy === true || (entry.busy !== false && entry.busy.has(component));
    const renamed = entry.uid !== entry.group.uid;
    const excluded = entry.excluded.length > 0 && component.recurrenceId === '';
    const related = origin.related.size > 0 && (component.has & Has.RELATED) !== 0;
    const tzids = origin.names.changes(component);
    if (!busy && !renamed && !excluded && !related && !tzids && !this.#concerns(component)) {
      return null;
    }
    const add = excluded ? entry.excluded.map((gone) => exdate(gone, origin)) : undefined;
    const change = this.#change;
    const floating = (component.has & Has.FLOATING) !== 0 ? change.floating : undefined;
    return busy
      ? redact(out, component.source, component, outgoingUid(entry, this.#options), {
        tzids,
        floating,
        add,
        color: change.color,
      })
      : edit(out, component.source, component, {
        uid: renamed ? entry.uid : undefined,
        prefix: change.prefix,
        color: TITLED.has(component.type) ? change.color : undefined,
        add: !TITLED.has(component.type)
          ? add
          : add && change.add
          ? [...change.add, ...add]
          : add ?? change.add,
        dropAlarms: change.dropAlarms,
        tzids,
        floating,
        related: related ? origin.related : undefined,
        sacrifice: change.sacrifice,
      });
  }

  #concerns(component: Component): boolean {
    const { has } = component;
    return (this.#touches && TITLED.has(component.type)) || (has & REPAIRS) !== 0 ||
      (this.#change.dropAlarms === true && (has & Has.ALARM) !== 0) ||
      (this.#change.floating !== undefined && (has & Has.FLOATING) !== 0) ||
      this.#level > 1;
  }
}

/** In the busy view a UID may tell (mail addresses, titles): its hash does as well. */
export function outgoingUid(entry: Entry, { view, feed }: MergeOptions): string {
  if (view !== 'busy' || entry.origin.notice) return entry.uid;
  return `${hash('sha256', `${feed.id}\n${entry.uid}`).slice(0, 32)}@busy.hackspace`;
}

/** EXDATE of an override that was taken out: as its RECURRENCE-ID says it. */
function exdate(gone: Component, origin: Origin): string {
  const bar = gone.recurrenceId.indexOf('|');
  const value = gone.recurrenceId.slice(0, bar);
  const tzid = gone.recurrenceId.slice(bar + 1);
  const name = origin.names.changes(gone)?.get(tzid) ?? (tzid || undefined);
  if (value.length === 8) return `EXDATE;VALUE=DATE:${value}`;
  const zone = name ?? (value.endsWith('Z') ? undefined : origin.floating);
  return zone === undefined ? `EXDATE:${value}` : `EXDATE;TZID=${quote(zone)}:${value}`;
}

function quote(value: string): string {
  return /[:;,]/.test(value) ? `"${value}"` : value;
}
