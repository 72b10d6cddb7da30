import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { Writer } from './bytes.ts';
import { type Component, Has, type ParsedCalendar } from './components.ts';
import { type Edit, edit, type Piece } from './edit.ts';
import { escapeText } from './lines.ts';
import type { Entry, MergeOptions, Origin } from './merge.ts';
import { redact } from './redact.ts';

/** How much the size budget has taken: nothing, alarms, bulky properties, descriptions. */
export type Level = 0 | 1 | 2 | 3;

/** What became of a source's components under one set of changes; kept from merge to merge. */
type Made = (Piece | undefined)[];
const made = new WeakMap<ParsedCalendar, Map<string, Made>>();
/** Sets of changes remembered for each source: feeds times views, if they differ at all. */
const MAX_SETS = 8;

const TITLED = new Set(['VEVENT', 'VTODO', 'VJOURNAL']);
const REPAIRS = Has.NO_UID | Has.NO_STAMP | Has.NO_END;

/** Turns entries into bytes: as they came where nothing changes, edited or redacted where it does. */
export class Renderer {
  readonly #options: MergeOptions;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  all(entries: readonly Entry[], level: Level): Piece[] {
    const pieces: Piece[] = [];
    const sources = new Map<Origin, SourceRenderer>();
    let source: SourceRenderer | undefined;
    for (const entry of entries) {
      if (source?.origin !== entry.origin) source = sources.get(entry.origin);
      if (!source) {
        sources.set(
          entry.origin,
          source = new SourceRenderer(entry.origin, this.#options, level),
        );
      }
      const { components } = entry;
      if (source.isPlain(entry)) {
        for (let i = 0; i < components.length; i++) {
          const component = components[i]!;
          pieces.push((component.has & REPAIRS) === 0 ? component : source.piece(entry, component));
        }
      } else for (const component of components) pieces.push(source.piece(entry, component));
    }
    for (const source of sources.values()) source.seal();
    return pieces;
  }
}

class SourceRenderer {
  readonly origin: Origin;
  readonly #options: MergeOptions;
  readonly #change: Edit;
  readonly #made: Made;
  readonly #level: Level;
  #out: Writer | undefined;
  readonly #fresh: Piece[] = [];
  /** Do the source's policies touch every titled component? */
  readonly #touches: boolean;

  constructor(origin: Origin, options: MergeOptions, level: Level) {
    const { policy, calendar } = origin.source;
    this.origin = origin;
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
    let sets = made.get(calendar);
    if (!sets) made.set(calendar, sets = new Map());
    let known = sets.get(key);
    if (!known) {
      if (sets.size >= MAX_SETS) sets.clear();
      sets.set(key, known = []);
    }
    this.#made = known;
  }

  /** Does the entry leave as it came, but for what its components lack? */
  isPlain(entry: Entry): boolean {
    const { origin } = this;
    return !this.#touches && this.#change.dropAlarms !== true && origin.floating === undefined &&
      !origin.names.renames && origin.related.size === 0 && entry.busy === false &&
      entry.excluded.length === 0 && entry.uid === entry.group.uid;
  }

  piece(entry: Entry, component: Component): Piece {
    const { origin } = entry;
    const busy = entry.busy === true || (entry.busy !== false && entry.busy.has(component));
    const renamed = entry.uid !== entry.group.uid;
    const excluded = entry.excluded.length > 0 && component.recurrenceId === '';
    const related = origin.related.size > 0 && (component.has & Has.RELATED) !== 0;
    const tzids = origin.names.changes(component);
    const own = renamed || excluded || related || typeof entry.busy === 'object';
    if (!own) {
      if (!busy && !tzids && !this.#concerns(component)) return component;
      const known = this.#made[component.index];
      if (known) return known;
    }
    const out = this.#out ??= new Writer(65_536);
    const add = excluded ? entry.excluded.map((gone) => exdate(gone, origin)) : undefined;
    const change = this.#change;
    const floating = (component.has & Has.FLOATING) !== 0 ? change.floating : undefined;
    const piece = busy
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
    this.#fresh.push(piece);
    if (!own) this.#made[component.index] = piece;
    return piece;
  }

  #concerns(component: Component): boolean {
    const { has } = component;
    return (this.#touches && TITLED.has(component.type)) || (has & REPAIRS) !== 0 ||
      (this.#change.dropAlarms === true && (has & Has.ALARM) !== 0) ||
      (this.#change.floating !== undefined && (has & Has.FLOATING) !== 0) ||
      this.#level > 1;
  }

  /** Pieces learn where their bytes are once the writer will grow no more. */
  seal(): void {
    if (!this.#out) return;
    const bytes = this.#out.view();
    for (const piece of this.#fresh) piece.source = bytes;
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
