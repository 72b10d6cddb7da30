import type { LogEntry } from '../store/store.ts';
import type { Change } from './model.ts';
import type { PortalPorts } from './portal.ts';
import type { Texts } from './texts.ts';

const VERBS = ['claim', 'update', 'stop', 'start', 'drain', 'render', 'adopt'] as const;
const STATES = ['active', 'grace', 'suspended', 'exported', 'draining', 'deleted'] as const;
const FACTS = ['plan', 'url', 'ref', 'path', 'calendar'] as const;

/** A commit of the tenants repo as people say it. */
export function changeOf(
  { texts, commitUrl }: Pick<PortalPorts, 'texts' | 'commitUrl'>,
  entry: LogEntry,
): Change {
  return {
    sha: entry.commit,
    at: entry.time,
    who: entry.author,
    text: wordsOf(texts, entry),
    ...(commitUrl ? { href: commitUrl(entry.commit) } : {}),
  };
}

/** `tenants: claim garden` in words; a subject that is none of ours is shown as it was written. */
export function wordsOf(t: Texts, { subject, trailers }: Pick<LogEntry, 'subject' | 'trailers'>) {
  const verb = VERBS.find((v) => subject.startsWith(`tenants: ${v} `));
  if (verb === 'update') {
    const what = changed(t, trailers['Changed'] ?? '');
    return what ? t('audit.update.what', { what }) : t('audit.update');
  }
  if (verb) return t(`audit.${verb}`);
  const state = STATES.find((s) => subject.startsWith('tenants: ') && subject.endsWith(` is ${s}`));
  if (state) return t(`audit.${state}`, { why: t.said(trailers['Reason'] ?? '') });
  return subject.replace(/^tenants: /, '');
}

/** `path ./apps; plan large` as `the folder to ./apps, the size to large`. */
function changed(t: Texts, trailer: string): string {
  return trailer.split('; ').flatMap((part) => {
    const fact = FACTS.find((f) => part.startsWith(`${f} `));
    if (!fact) return [];
    const value = part.slice(fact.length + 1);
    const to = fact === 'calendar' ? t(value === 'yes' ? 'check.yes' : 'check.no') : value;
    return [t(`audit.${fact}`, { to })];
  }).join(', ');
}
