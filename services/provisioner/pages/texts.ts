import { AppError, type Fault } from '@hackspace/kit/errors.ts';

/**
 * Every sentence of the pages. A space translates or rewords by a YAML file of the same keys; `{name}`
 * marks what is filled in, and must be kept.
 */
export const ENGLISH = {
  'page.language': 'en',

  'nav.home': 'My spaces',
  'nav.new': 'Ask for space',
  'nav.admin': 'Administration',
  'nav.login': 'Log in',
  'nav.logout': 'Log out',
  'nav.skip': 'Skip to the content',
  'nav.label': 'Portal',
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
  'home.none.ask': 'Asking for one takes a minute.',
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
  'form.limits': '{cpu} CPU · {memory} of memory · {storage} on disk',
  'form.calendar': 'I want a calendar feed for this space',
  'form.next': 'Check your answers',

  'check.title': 'Check your answers',
  'check.lead': 'Nothing has been written yet. This is what will happen when you agree.',
  'check.answers': 'What you asked for',
  'check.change': 'Change your answers',
  'check.calendar': 'Calendar feed',
  'check.yes': 'yes',
  'check.no': 'no',
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
  'check.added': 'new',
  'check.changed': 'changed',
  'check.removed': 'removed',
  'file.namespace.yaml': 'Your space itself, apart from everybody else’s.',
  'file.resourcequota.yaml': 'How much all of it together may use.',
  'file.limitrange.yaml': 'What a container gets that asks for nothing.',
  'file.networkpolicy-deny.yaml':
    'Nobody reaches your pods, and they reach nobody, unless allowed.',
  'file.networkpolicy-allow.yaml': 'What is allowed: names, the internet, and your own pods.',
  'file.serviceaccount.yaml': 'The account that Flux uses for you.',
  'file.rolebinding.yaml': 'What that account, and you, may do in your space.',
  'file.gitrepository.yaml': 'Where Flux finds your repository.',
  'file.sync.yaml': 'Tells Flux to keep the space equal to your folder.',
  'file.secretstore.yaml': 'The way to your own secrets in the vault.',
  'file.kustomization.yaml': 'The list of the other files.',
  'file.tenant.json': 'Your answers, so that the next change knows them.',
  'check.stale':
    'Something changed since you looked. Please read the new version below and agree again.',

  'status.title': 'Progress of {name}',
  'status.summary': 'where it stands',
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
  'status.some': 'Not there yet. Next: {step}.',
  'status.red': '“{step}” needs you.',

  'space.source': 'What runs here',
  'space.progress': 'Progress',
  'space.quota': 'What you use',
  'space.quota.of': '{used} of {hard}',
  'space.quota.none': 'The cluster has not counted yet.',
  'quota.limits.cpu': 'CPU, at most',
  'quota.requests.cpu': 'CPU, reserved',
  'quota.limits.memory': 'Memory, at most',
  'quota.requests.memory': 'Memory, reserved',
  'quota.requests.storage': 'Disk',
  'quota.pods': 'Pods',
  'space.drift': 'Drift',
  'space.drift.none': 'The cluster has your space exactly as it was written down.',
  'space.drift.some': 'Something on the cluster is not as it was written down:',
  'space.drift.unknown': 'The cluster does not tell right now.',
  'space.commits': 'Latest changes',
  'space.commits.none': 'No change yet.',
  'space.access': 'Access from your computer',
  'space.access.lead':
    'With this file kubectl logs you in through your browser. It holds no password. Once, you need the plugin oidc-login; then look around:',
  'space.kubeconfig': 'Download kubeconfig',
  'space.calendar': 'Calendar feed',
  'space.calendar.lead':
    'Anyone who has this address can read the calendar. It is shown once; make a new one if it is lost.',
  'space.calendar.make': 'Make a new address',
  'space.calendar.open': 'Open in calendar app',
  'space.calendar.qr': 'The same address as a QR code, for a phone',
  'space.calendar.away': 'The calendar service does not answer right now.',
  'space.vault.open': 'The vault is open: secrets reach your space.',
  'space.vault.sealed':
    'The vault is sealed: new secrets do not reach your space. It is being seen to; what runs goes on.',
  'space.vault.unknown': 'We cannot tell whether the vault is open.',
  'space.manage': 'Change, pause or delete',
  'space.edit': 'Change',
  'space.suspend': 'Pause',
  'space.suspend.hint': 'To pause stops everything that runs; nothing is deleted.',
  'space.resume': 'Go on',
  'space.delete': 'Delete',
  'space.delete.hint': 'Before you delete, you are offered an archive.',
  'space.history': 'Whole history',
  'space.status': 'Step by step',

  'state.active': 'active',
  'state.paused': 'paused',
  'state.grace': 'membership lapsed',
  'state.suspended': 'suspended',
  'state.exported': 'archived',
  'state.draining': 'being deleted',
  'state.deleted': 'deleted',
  'notice.soon': 'a day you will be told',
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
  'delete.then': 'Then delete it',
  'delete.typed': 'Type {name} to confirm',
  'delete.wrong': 'That is not the name. Nothing was deleted.',
  'delete.confirm': 'Delete for good',

  'audit.title': 'History of {name}',
  'audit.lead': 'Every change, newest first, as it was committed.',
  'audit.by': 'by {who}',
  'audit.claim': 'Asked for the space',
  'audit.update': 'Changed the settings',
  'audit.update.what': 'Changed {what}',
  'audit.stop': 'Paused the space',
  'audit.start': 'Went on with the space',
  'audit.drain': 'Began to delete the space',
  'audit.plan': 'the size to {to}',
  'audit.url': 'the repository to {to}',
  'audit.ref': 'the branch or tag to {to}',
  'audit.path': 'the folder to {to}',
  'audit.calendar': 'the calendar feed to {to}',
  'audit.active': 'Everything is back: {why}',
  'audit.grace': 'The time of grace began: {why}',
  'audit.suspended': 'Everything was stopped: {why}',
  'audit.exported': 'An archive was made: {why}',
  'audit.draining': 'The deletion began: {why}',
  'audit.deleted': 'Deleted: {why}',
  'audit.render': 'The files were brought up to date with the rules',
  'audit.adopt': 'Taken over into the portal',

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
  'admin.sweep.unknown': 'It cannot be told: the member list or the repository does not answer.',
  'admin.breaker.closed': 'The breaker is closed: lapsed memberships take their course.',
  'admin.breaker.open':
    'The breaker is open: {count} would lapse at once, more than {limit}. Nothing is suspended until an administrator has looked. Is the member list whole?',
  'admin.next': 'Next page',

  'error.title': 'That did not work',
  'error.title.not_found': 'Nothing here',
  'error.id': 'If you ask for help, give this number:',
  'error.home': 'Back to the start',
  'error.unavailable':
    'Something we need does not answer. Nothing was lost; try again in a moment.',
  'error.not_found': 'There is nothing here, or it is not yours to see.',
  'error.forbidden': 'You may not do this.',
  'error.internal': 'This is our fault. It was written down and will be looked at.',
  'error.rate_limited': 'That was a lot at once. Wait a little and try again.',
} as const;

/**
 * Sentences that the domain says and the pages pass on. A space rewords these by the English sentence
 * itself as the key.
 */
export const SAID = [
  // status.ts, cluster/flux-status.ts
  'Your membership is paid',
  'Your membership is not paid',
  'What runs goes on for its time of grace; pay and everything stays.',
  'Nobody can tell now whether your membership is paid',
  'Nothing is lost and nothing is stopped; it is asked again.',
  'Committed: {commit}',
  'Committed',
  'The cluster does not tell now',
  'Nobody asks the cluster here',
  'The cluster has not seen your space yet',
  'Your repository was read: {revision}',
  'Your repository is being read',
  'Waits for the step before',
  'Waits for your repository',
  'Your files are being applied',
  'A newer commit is being applied',
  'Applied: {revision}',
  'Applied; nobody waits for health here',
  'Everything runs',
  'Not looked at while nothing is applied',
  'the source: {key} is not what was committed',
  'the sync: {key} is not what was committed',
  'the quota: {key} is not what was committed',
  'the source: an administrator has paused it',
  'the sync: an administrator has paused it',
  // cluster/words.ts
  'Your repository was not found, or it is private',
  'Your repository was not found, or it is private: {detail}',
  'Check the address; the repository has to be readable without a login.',
  'Your repository has no such branch or tag',
  'Your repository has no such branch or tag: {detail}',
  'Check the name of the branch; many repositories call it main or master.',
  'The folder is not in your repository',
  'The folder is not in your repository: {detail}',
  'Check the path; ./ is the root of the repository.',
  'Your files ask for more than your plan has',
  'Your files ask for more than your plan has: {detail}',
  'Lower requests, limits or sizes, remove something, or ask for a larger plan.',
  'A pod asks for rights that nobody has here',
  'A pod asks for rights that nobody has here: {detail}',
  'Set the securityContext: run as non-root, drop all capabilities, seccomp RuntimeDefault.',
  'The cluster does not allow something in your files',
  'The cluster does not allow something in your files: {detail}',
  'The text below says which object and why.',
  'Your files make something that tenants may not make',
  'Your files make something that tenants may not make: {detail}',
  'Only objects of your own namespace, of the usual kinds, can be applied.',
  'Your files could not be put together',
  'Your files could not be put together: {detail}',
  'Check the YAML; remote files and bases are not allowed.',
  'Your files use a kind that this cluster does not know',
  'Your files use a kind that this cluster does not know: {detail}',
  'Check apiVersion and kind.',
  'Something does not start',
  'Something does not start: {detail}',
  'Look at the events and logs of your pods with kubectl.',
  'The host of your repository does not answer',
  'The host of your repository does not answer: {detail}',
  'Nothing to do: it is tried again and again.',
  'It failed without a word',
  // tenant/tenant.ts
  'must be 3 to 40 of a-z, 0-9 and "-", beginning with a letter, not ending in "-"',
  'must not hold two "-" in a row',
  'belongs to the cluster itself; choose another name',
  'must be a branch such as main, or a tag such as refs/tags/v1',
  'is not a name that git allows',
  'must be a folder of the repository such as ./ or ./apps/calendar',
  'must not leave the repository',
  'must be one of the plans: {plans}',
  'must not hold "${": it would be replaced on the cluster',
  'must not begin with "-"',
  'must be plain ASCII without spaces',
  'is not a URL; write it as https://host/you/repository',
  'must not hold a user or a password; the repository has to be readable without',
  'must begin with https://',
  'must not hold "?" or "#"',
  'is on a host that this space does not allow; allowed: {origins}',
  'must be written plainly: https://host/you/repository',
  'must not hold ".."',
  // tenants.ts
  'Cannot give you the name {name}: it was used before, and names are never given out again',
  'Cannot give you the name {name}: it is taken',
  'Cannot claim {name}: you have it already, with other settings; change those instead',
  'Cannot give you another tenant: at most {most} for each member',
  'Cannot do this for you: your membership is not paid',
  'Cannot tell now whether your membership is paid: nothing is lost, try again in a minute',
  // tenant/lifecycle.ts
  'nothing of it runs any more',
  'draining took too long',
  'the membership is not paid',
  'the time of grace is over',
  'it was suspended for long; an archive is kept',
  'the archive was not asked for in time',
  'the membership is paid again',
] as const;

export type TextKey = keyof typeof ENGLISH;
export interface Texts {
  (key: TextKey, values?: Record<string, string | number>): string;
  /** A sentence of the domain in the space's own words; one that is not in the catalogue stays. */
  said(sentence: string): string;
}

const HOLE = /(?<!\$)\{(\w+)\}/g;
const holes = (text: string) => [...text.matchAll(HOLE)].map((m) => m[1]!).sort().join();
const fill = (text: string, values: Record<string, string | number>) =>
  text.replace(HOLE, (hole, name: string) => String(values[name] ?? hole));

/**
 * The catalogue with a space's own wording over it. Throws AppError `invalid` with every key that is
 * unknown and every sentence that lost a `{…}`.
 */
export function createTexts(own: Record<string, unknown> = {}): Texts {
  const faults: Fault[] = [];
  const all: Record<string, string> = { ...ENGLISH };
  const said: { pattern: RegExp; text: string }[] = [];
  for (const [key, text] of Object.entries(own)) {
    const page = Object.hasOwn(ENGLISH, key);
    const english = page ? ENGLISH[key as TextKey] : SAID.find((sentence) => sentence === key);
    if (english === undefined) {
      faults.push({ path: key, message: 'is no text of the portal' });
    } else if (typeof text !== 'string') faults.push({ path: key, message: 'must be a sentence' });
    else if (holes(text) !== holes(english)) {
      faults.push({ path: key, message: `must hold {${holes(english)}}` });
    } else if (key === 'page.language' && !isLanguage(text)) {
      faults.push({ path: key, message: 'must be a language such as de or pt-BR' });
    } else if (page) all[key] = text;
    else said.push({ pattern: patternOf(english), text });
  }
  if (faults.length) {
    const list = faults.map((f) => `${f.path} ${f.message}`).join('; ');
    throw new AppError('invalid', `Cannot use the texts: ${list}`, { faults });
  }
  const t = (key: TextKey, values: Record<string, string | number> = {}) => fill(all[key]!, values);
  return Object.assign(t, {
    said(sentence: string) {
      for (const { pattern, text } of said) {
        const found = pattern.exec(sentence);
        if (found) return fill(text, found.groups ?? {});
      }
      return sentence;
    },
  });
}

/** The whole of a sentence with anything in its holes. */
export function patternOf(english: string): RegExp {
  const parts = english.split(HOLE);
  const plain = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const source = parts.map((part, i) => i % 2 ? `(?<${part}>.*)` : plain(part)).join('');
  return new RegExp(`^${source}$`, 's');
}

function isLanguage(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}
