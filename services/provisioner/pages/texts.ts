import { AppError, type Fault } from '@hackspace/kit/errors.ts';

/**
 * Every sentence the portal shows. A space translates or rewords by a YAML file of the same keys;
 * `{name}` marks what is filled in, and must be kept.
 */
export const ENGLISH = {
  'nav.home': 'My spaces',
  'nav.new': 'Ask for space',
  'nav.admin': 'Administration',
  'nav.login': 'Log in',
  'nav.logout': 'Log out',
  'nav.skip': 'Skip to the content',
  'nav.who': 'Logged in as {name}',

  'landing.title': 'Your own corner of the {space} cluster',
  'landing.lead':
    'Paying members get a space of their own to run what they like: a calendar, a web page, a bot. You bring a Git repository; we run what is in it.',
  'landing.how': 'How it works',
  'landing.step1': 'Log in with your {space} account. We look up whether your membership is paid.',
  'landing.step2':
    'Name your space and point it at your repository. You see what will be written before it is.',
  'landing.step3': 'Push to your repository. What you push runs within a minute or so.',
  'landing.start': 'Log in and begin',
  'landing.promise':
    'If your membership ends, nothing is deleted at once: you are told, with dates, and everything comes back if you return in time.',

  'home.title': 'My spaces',
  'home.none': 'You have no space yet.',
  'home.new': 'Ask for a space',

  'member.yes': 'Your membership is paid.',
  'member.no': 'Your membership is not paid.',
  'member.no.help':
    'You can look at everything here, but not ask for a new space. As soon as the membership is paid, come back: it shows at once.',
  'member.no.link': 'How to become a paying member',
  'member.unknown': 'We cannot tell right now whether your membership is paid.',
  'member.unknown.help':
    'The member list does not answer. Nothing is lost and what already runs stays as it is. Please try again in a few minutes.',

  'form.title': 'Ask for a space',
  'form.edit': 'Change {name}',
  'form.faults': 'There is something to mend',
  'form.kept': 'Your login had run out. What you typed is still here.',
  'form.name': 'Name',
  'form.name.hint':
    'Small letters, digits and dashes, 3 to 40 of them. It becomes part of addresses and cannot be changed later.',
  'form.plan': 'Size',
  'form.repository': 'Repository',
  'form.repository.hint':
    'An address that anyone can read, on one of: {hosts}. For example {example}',
  'form.ref': 'Branch or tag',
  'form.ref.hint': 'A branch such as main, or a tag such as refs/tags/v1',
  'form.path': 'Folder',
  'form.path.hint': 'The folder of the repository that holds your manifests; ./ for all of it',
  'form.calendar': 'I want a calendar feed for this space',
  'form.next': 'Check your answers',

  'check.title': 'Check your answers',
  'check.lead': 'Nothing has been written yet. This is what will happen when you agree.',
  'check.answers': 'What you asked for',
  'check.change': 'Change',
  'check.effects': 'What this does',
  'check.effect.create': 'A space {namespace} is made for you, with the limits of its size.',
  'check.effect.update':
    'The files of {name} are brought up to date; what runs is changed to match.',
  'check.effect.repo': 'Flux reads {url} and keeps the space equal to it.',
  'check.effect.commit': 'All of it is one commit, in your name, that anyone of us can look at.',
  'check.none': 'Nothing would change: your answers are what is already there.',
  'check.diff': 'The exact change, for the curious ({files} files)',
  'check.confirm': 'Agree and write it',
  'check.back': 'Go back',
  'check.stale':
    'Something changed since you looked. Please read the new version below and agree again.',

  'status.title': '{name}: how far it is',
  'status.lead': 'This page keeps itself up to date.',
  'status.membership': 'Membership',
  'status.committed': 'Written down',
  'status.fetched': 'Read by the cluster',
  'status.applied': 'Set up',
  'status.healthy': 'Running',
  'status.done': 'done',
  'status.pending': 'waiting',
  'status.failed': 'needs you',
  'status.unknown': 'cannot tell',
  'status.help': 'What to do',
  'status.all': 'Everything is in place.',
  'status.some': 'Not there yet: {step}.',

  'space.quota': 'What you use',
  'space.quota.of': '{used} of {hard}',
  'space.quota.none': 'The cluster has not counted yet.',
  'space.drift': 'Drift',
  'space.drift.none': 'What runs is what your repository says.',
  'space.drift.some': 'What runs differs from your repository:',
  'space.commits': 'Latest changes',
  'space.commits.none': 'No change yet.',
  'space.access': 'Access from your computer',
  'space.access.lead':
    'This file lets kubectl log you in through your browser. It holds no password.',
  'space.kubeconfig': 'Download kubeconfig',
  'space.calendar': 'Calendar feed',
  'space.calendar.lead':
    'Anyone who has this address can read the calendar. It is shown once; make a new one if it is lost.',
  'space.calendar.make': 'Make a new address',
  'space.calendar.qr': 'The same address as a QR code, for a phone',
  'space.calendar.away': 'The calendar service does not answer right now.',
  'space.vault.open': 'The vault is open: secrets reach your space.',
  'space.vault.sealed':
    'The vault is sealed: new secrets do not reach your space. It is being seen to; what runs goes on.',
  'space.vault.unknown': 'We cannot tell whether the vault is open.',
  'space.manage': 'Change, pause or delete',
  'space.edit': 'Change',
  'space.suspend': 'Pause',
  'space.suspend.hint': 'Stops everything that runs; nothing is deleted.',
  'space.resume': 'Go on',
  'space.delete': 'Delete',
  'space.history': 'Whole history',
  'space.status': 'How far it is',

  'state.active': 'active',
  'state.paused': 'paused',
  'state.grace': 'membership lapsed',
  'state.suspended': 'suspended',
  'state.exported': 'archived',
  'state.draining': 'being deleted',
  'state.deleted': 'deleted',
  'notice.grace':
    'Your membership is not paid. On {date} everything in {name} stops. Nothing is deleted then. Pay, and this notice goes away.',
  'notice.suspended':
    '{name} is stopped because the membership is not paid. On {date} it is archived. Pay, and it starts again by itself.',
  'notice.exported':
    '{name} is archived. On {date} it is deleted for good. Fetch your archive, or pay and get everything back.',
  'notice.draining': '{name} is being deleted.',
  'notice.paused': '{name} is paused, as you asked.',

  'delete.title': 'Delete {name}',
  'delete.lead':
    'Everything that runs in {name} is stopped and removed, with its data. The name is not given out again. This cannot be undone.',
  'delete.export': 'First take your things with you',
  'delete.export.link': 'Download an archive of the manifests',
  'delete.export.data': 'Data on volumes is not in it: copy that yourself before you go on.',
  'delete.typed': 'Type {name} to confirm',
  'delete.wrong': 'That is not the name. Nothing was deleted.',
  'delete.confirm': 'Delete for good',

  'audit.title': 'History of {name}',
  'audit.by': 'by {who}',

  'admin.title': 'Administration',
  'admin.search': 'Find by name or owner',
  'admin.state': 'State',
  'admin.any': 'any',
  'admin.find': 'Find',
  'admin.name': 'Space',
  'admin.owner': 'Owner',
  'admin.plan': 'Size',
  'admin.since': 'Since',
  'admin.none': 'Nothing fits.',
  'admin.count': 'Spaces found: {count}',
  'admin.sweep': 'What the next sweep would do',
  'admin.sweep.none': 'Nothing is due.',
  'admin.breaker.closed': 'The breaker is closed: lapsed memberships take their course.',
  'admin.breaker.open':
    'The breaker is open: {count} would lapse at once, more than {limit}. Nothing is suspended until an administrator has looked. Is the member list whole?',
  'admin.next': 'Next page',

  'error.title': 'That did not work',
  'error.id': 'If you ask for help, give this number: {id}',
  'error.home': 'Back to the start',
  'error.unavailable':
    'Something we need does not answer. Nothing was lost; try again in a moment.',
  'error.not_found': 'There is nothing here, or it is not yours to see.',
  'error.forbidden': 'You may not do this.',
  'error.internal': 'This is our fault. It was written down and will be looked at.',
  'error.rate_limited': 'That was a lot at once. Wait a little and try again.',
} as const;

export type TextKey = keyof typeof ENGLISH;
export type Texts = (key: TextKey, values?: Record<string, string | number>) => string;

const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort().join();

/**
 * The catalogue with a space's own wording over it. Throws AppError `invalid` with every key that is
 * unknown and every sentence that lost a `{…}`.
 */
export function createTexts(own: Record<string, unknown> = {}): Texts {
  const faults: Fault[] = [];
  const all: Record<string, string> = { ...ENGLISH };
  for (const [key, text] of Object.entries(own)) {
    if (!Object.hasOwn(ENGLISH, key)) {
      faults.push({ path: key, message: 'is no text of the portal' });
    } else if (typeof text !== 'string') faults.push({ path: key, message: 'must be a sentence' });
    else if (holes(text) !== holes(ENGLISH[key as TextKey])) {
      faults.push({ path: key, message: `must hold {${holes(ENGLISH[key as TextKey])}}` });
    } else all[key] = text;
  }
  if (faults.length) {
    const list = faults.map((f) => `${f.path} ${f.message}`).join('; ');
    throw new AppError('invalid', `Cannot use the texts: ${list}`, { faults });
  }
  return (key, values = {}) =>
    all[key]!.replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole));
}
