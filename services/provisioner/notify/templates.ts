import type { TenantState } from '../tenant/record.ts';
import type { Notice } from './notify.ts';

export interface Wording {
  /** The space's name, for the greeting and the subject. */
  space: string;
  /** Where a member sees their tenants. */
  portal: string;
}

const TEXTS: Record<TenantState, { subject: string; text: string }> = {
  active: {
    subject: 'Welcome back: {name} runs again',
    text: 'your membership is paid again, and everything of "{name}" comes back within minutes.',
  },
  grace: {
    subject: 'Your membership: {name} stops on {date}',
    text:
      'we could not find a paid membership for you any more. Your space "{name}" goes on as it ' +
      'is until {date}; then it is stopped. Pay until then and nothing happens at all. If you think ' +
      'this is a mistake, tell us.',
  },
  suspended: {
    subject: '{name} is stopped',
    text: 'your space "{name}" is stopped now: nothing runs, nothing is lost. Once you pay again ' +
      'everything comes back by itself. On {date} it is archived.',
  },
  exported: {
    subject: '{name} is archived and goes on {date}',
    text:
      'an archive of your space "{name}" is kept for you: ask us for it, or download it from the ' +
      'portal. On {date} the space is deleted from the cluster, with its volumes. Paying before that ' +
      'brings everything back.',
  },
  draining: {
    subject: '{name} is being deleted',
    text: 'your space "{name}" is being taken off the cluster now.',
  },
  deleted: {
    subject: '{name} is deleted',
    text: 'your space "{name}" is gone from the cluster. Its name is never given to anybody else.',
  },
};

/** Subject and plain text of a letter; dates by day, in UTC. */
export function letter(notice: Notice, wording: Wording): { subject: string; text: string } {
  const values: Record<string, string> = {
    name: notice.name,
    date: notice.due?.slice(0, 10) ?? 'a later day',
  };
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (_, key: string) => values[key] ?? '');
  const { subject, text } = TEXTS[notice.kind];
  return {
    subject: `[${wording.space}] ${fill(subject)}`,
    text: `Hello,\n\n${wrap(fill(text))}\n\n${wording.portal}\n\n-- \n${wording.space}\n`,
  };
}

function wrap(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    if ((lines.at(-1) + ' ' + word).length > 72) lines.push(word);
    else lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim();
  }
  return lines.join('\n');
}
