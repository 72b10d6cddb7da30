import { type Component, Has } from './components.ts';
import { type Facts, factsOf, isPrivate } from './facts.ts';
import type { Entry, Origin } from './merge.ts';
import { type Group, groupsOf } from './groups.ts';
import { Lot } from './lots.ts';
import type { Matcher, SourcePolicy, ViewPolicy, Window } from './policy.ts';
import { blocksTime } from './redact.ts';
import type { Reporter } from './report.ts';

/** What decides about one source's groups. */
export interface Selection {
  policy: SourcePolicy;
  view: ViewPolicy;
  /** Shows when only. */
  busyView: boolean;
  /** Epoch milliseconds. */
  now: number;
  /** Is there any filter or window at all? */
  filters: boolean;
}

const NONE: readonly Component[] = [];

/** A source's groups after its own and the view's filters. */
export function select(origin: Origin, by: Selection, reporter: Reporter): Lot {
  const { calendar } = origin.source;
  const { has, types } = calendar.table;
  const all = new Lot(origin, groupsOf(calendar), by.busyView);
  const shown = by.busyView
    ? types.every(blocksTime)
    : by.policy.private === 'show' || (has & Has.CLASS) === 0;
  if (!by.filters && shown) return all;
  const entries: Entry[] = [];
  for (let i = 0; i < all.length; i++) {
    const entry = selectGroup(origin, all.entry(i), by, reporter);
    if (entry) entries.push(entry);
  }
  return new Lot(origin, entries);
}

/** Undefined when nothing of the group is left. */
function selectGroup(
  origin: Origin,
  all: Entry,
  by: Selection,
  reporter: Reporter,
): Entry | undefined {
  const { policy, view } = by;
  const { group } = all;
  if (!by.filters && !by.busyView && !hasClass(group)) return all;
  const { id, calendar } = origin.source;
  const facts = (component: Component) => factsOf(calendar, component);
  const gone = (reason: string) => {
    reporter.dropped(id, group.uid, '', reason);
    return undefined;
  };
  let components = group.components;
  if (by.busyView && components.some((c) => !blocksTime(c.type))) {
    components = components.filter((c) => blocksTime(c.type));
    if (components.length === 0) return gone('takes no time (busy view)');
  }
  let excluded = NONE;
  for (const filter of [policy, view]) {
    if (filter.include) {
      // The master speaks for its overrides; orphans speak for themselves.
      const master = components[0]!;
      components = master.recurrenceId === ''
        ? matches(facts(master), filter.include, 'every') ? components : []
        : components.filter((c) => matches(facts(c), filter.include!, 'every'));
      if (components.length === 0) return gone('is not among what is included');
    }
    if (filter.exclude) {
      const { exclude } = filter;
      const out = components.filter((c) => matches(facts(c), exclude, 'some'));
      if (out.length === 0) continue;
      if (out.some((c) => c.recurrenceId === '') || out.length === components.length) {
        return gone('is excluded');
      }
      excluded = [...excluded, ...out];
      components = components.filter((c) => !out.includes(c));
    }
    if (filter.window && !components.some((c) => within(facts(c), filter.window!, by.now))) {
      return gone('is outside the window');
    }
  }
  let busy: Entry['busy'] = by.busyView;
  if (!busy && policy.private !== 'show' && components.some((c) => isPrivate(calendar, c))) {
    const master = components[0]!;
    const hidden = master.recurrenceId === '' && isPrivate(calendar, master)
      ? components
      : components.filter((c) => isPrivate(calendar, c));
    if (policy.private === 'drop') {
      if (hidden.length === components.length) return gone('is private');
      excluded = [...excluded, ...hidden];
      components = components.filter((c) => !hidden.includes(c));
    } else {
      const shown = components.filter((c) => !hidden.includes(c) || blocksTime(c.type));
      if (shown.length === 0) return gone('is private and takes no time');
      components = shown;
      busy = new Set(hidden);
    }
  }
  for (const component of excluded) {
    reporter.dropped(id, group.uid, component.recurrenceId, 'is excluded from its series');
  }
  return {
    key: components[0]!.startKey,
    uid: group.uid,
    origin,
    group,
    components,
    excluded,
    busy,
  };
}

function hasClass({ components }: Group): boolean {
  for (let i = 0; i < components.length; i++) {
    if ((components[i]!.has & Has.CLASS) !== 0) return true;
  }
  return false;
}

function matches(facts: Facts, matcher: Matcher, how: 'every' | 'some'): boolean {
  const { categories, summary, class: classes } = matcher;
  const answers: boolean[] = [];
  if (categories) {
    const wanted = categories.map((c) => c.toLowerCase());
    answers.push(facts.categories.some((c) => wanted.includes(c)));
  }
  if (summary) {
    const text = facts.summary.toLowerCase();
    answers.push(summary.some((s) => text.includes(s.toLowerCase())));
  }
  if (classes) answers.push((classes as readonly string[]).includes(facts.class));
  return how === 'every' ? answers.every(Boolean) : answers.some(Boolean);
}

function within(facts: Facts, window: Window, now: number): boolean {
  return (window.past === undefined || facts.last >= now - window.past) &&
    (window.future === undefined || facts.first <= now + window.future);
}
