import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { Writer } from './bytes.ts';
import { Chunks } from './chunks.ts';
import { type Component, Has, Row, type Table, WIDTH } from './component.ts';
import { type Edit, edit, type Piece } from './edit.ts';
import { forget } from './lexer.ts';
import { escapeText } from './lines.ts';
import type { Items, Lot } from './lots.ts';
import type { Entry, MergeOptions, Origin } from './merge.ts';
import { properties } from './properties.ts';
import { redact } from './redact.ts';
import { digest32 } from './sha256.ts';
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

/** A busy view's UID as it is written; overwritten by the next. */
const busyUid = Buffer.from(`${'0'.repeat(32)}@busy.hackspace`);

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
    for (const lot of lots) lot.measure();
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
  readonly #uidHead: Buffer;

  constructor(lot: Lot, options: MergeOptions, level: Level) {
    const { origin } = lot;
    const { policy, calendar } = origin.source;
    this.#lot = lot;
    this.#table = calendar.table;
    this.#options = options;
    this.#level = level;
    this.#uidHead = Buffer.from(`${options.feed.id}\n`);
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
      if (lot.single(place) >= 0) continue;
      const entry = lot.entry(place);
      for (const component of entry.components) this.#make(component, entry);
    }
    for (const component of this.#alone(this.#shared)) this.#make(component);
    forget();
    this.#out.seal();
  }

  /** Learns the sizes of most of what `size` will be asked for. */
  measure(): void {
    for (const component of this.#alone(this.#sizes)) this.#size(component);
    forget();
  }

  /** What is alone and not known yet, in the order of the source: so it is read fastest. */
  *#alone(known: readonly unknown[]): Generator<Component> {
    const lot = this.#lot;
    const { components } = lot.origin.source.calendar;
    const alone = new Uint8Array(this.#table.length);
    for (let place = 0; place < lot.length; place++) {
      const single = lot.single(place);
      if (single >= 0) alone[single] = 1;
    }
    for (let i = 0; i < alone.length; i++) {
      if (alone[i] === 1 && known[i] === undefined) yield components[i]!;
    }
  }

  /** `entry`: of a component that is not alone and whole (see `Lot.single`). */
  #make(component: Component, entry?: Entry): void {
    const { index } = component;
    const own = this.#isOwn(component, entry);
    if (!own && this.#shared[index] !== undefined) return;
    const piece = this.#changed(this.#out.writer(), component, entry);
    if (piece) this.#out.add(piece);
    if (!own) this.#shared[index] = piece;
    else if (piece) this.#own.set(index, piece);
  }

  /** Octets of the group at `place`. */
  size(place: number): number {
    const entry = this.#lot.entry(place);
    return entry.components.reduce((sum, component) => sum + this.#size(component, entry), 0);
  }

  #size(component: Component, entry?: Entry): number {
    const { index, start, end } = component;
    const own = this.#isOwn(component, entry);
    let size = own ? undefined : this.#sizes[index];
    if (size === undefined) {
      scratch.length = 0;
      const piece = this.#changed(scratch, component, entry);
      size = piece ? piece.end - piece.start : end - start;
      if (!own) this.#sizes[index] = size;
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
  #isOwn(component: Component, entry?: Entry): boolean {
    return this.#relates(component) || (entry !== undefined &&
      (entry.uid !== entry.group.uid || typeof entry.busy === 'object' ||
        excludes(entry, component)));
  }

  #relates(component: Component): boolean {
    return this.#lot.origin.related.size > 0 && (component.has & Has.RELATED) !== 0;
  }

  /** The component as it goes out, written to `out`; null when it leaves as it came. */
  #changed(out: Writer, component: Component, entry?: Entry): Piece | null {
    const { origin } = this.#lot;
    const hidden = entry ? entry.busy : this.#lot.busy;
    const busy = typeof hidden === 'object' ? hidden.has(component) : hidden;
    const renamed = entry !== undefined && entry.uid !== entry.group.uid;
    const excluded = entry !== undefined && excludes(entry, component);
    const related = this.#relates(component);
    const tzids = origin.names.changes(component);
    if (!busy && !renamed && !excluded && !related && !tzids && !this.#concerns(component)) {
      return null;
    }
    const add = excluded ? entry.excluded.map((gone) => exdate(gone, origin)) : undefined;
    const change = this.#change;
    const floating = (component.has & Has.FLOATING) !== 0 ? change.floating : undefined;
    return busy
      ? redact(out, component.source, component, this.#busyUid(component, entry), {
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

  /** `outgoingUid` as bytes, most of the time without making a text of it. */
  #busyUid(component: Component, entry?: Entry): Buffer {
    const { origin } = this.#lot;
    const renamed = entry !== undefined && entry.uid !== entry.group.uid;
    const { source, start, has, index } = component;
    if (this.#options.view !== 'busy' || origin.notice || renamed || (has & Has.UID_TEXT) !== 0) {
      const uid = entry?.uid ?? component.uid;
      return Buffer.from(outgoingUid({ uid, origin }, this.#options));
    }
    const { rows } = this.#table;
    const row = index * WIDTH;
    const uid = start + rows[row + Row.UID_START]!;
    busyUid.set(digest32(this.#uidHead, source, uid, start + rows[row + Row.UID_END]!));
    return busyUid;
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
export function outgoingUid(
  { uid, origin }: Pick<Entry, 'uid' | 'origin'>,
  { view, feed }: MergeOptions,
): string {
  if (view !== 'busy' || origin.notice) return uid;
  return `${hash('sha256', `${feed.id}\n${uid}`).slice(0, 32)}@busy.hackspace`;
}

/** Is this the master that says which overrides were taken out? */
function excludes(entry: Entry, component: Component): boolean {
  return entry.excluded.length > 0 && component.recurrenceId === '';
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
