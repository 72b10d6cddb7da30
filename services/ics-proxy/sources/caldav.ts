import { checkCalendar } from './body.ts';
import { type Answer, exchange, type Reach } from './exchange.ts';
import { Fault } from './fault.ts';
import { checkStatus } from './http.ts';
import { type DavResponse, escapeXml, type Multistatus, parseMultistatus } from './multistatus.ts';
import type { FetchResult, Validators } from './source.ts';

const BATCH = 100;
const MAX_CALENDARS = 50;
const MAX_MEMBERS = 50_000;
const MAX_ROUNDS = 500;
/** The whole of a fetch, in time-outs of one request. */
const MAX_TIMEOUTS = 20;

/** A calendar object resource as it was last fetched. */
interface Member {
  etag: string;
  bytes: Uint8Array;
}

/** What `validators.index` keeps of a calendar: lengths cut the joined bytes back into bodies. */
interface Kept {
  path: string;
  token?: string | undefined;
  ctag?: string | undefined;
  members: [path: string, etag: string, length: number][];
}

interface Calendar {
  path: string;
  token: string | undefined;
  ctag: string | undefined;
  canSync: boolean;
}

/**
 * A CalDAV server: `url` is a calendar, a calendar home, or any place from which RFC 6764 leads to
 * one. Only what changed is fetched: sync-collection (RFC 6578) with multiget, or ctag and ETags
 * where the server knows no sync. Every request goes to the origin of `url`; a server that names
 * another is refused. Throws Fault.
 */
export async function fetchCalDav(
  url: URL,
  previous: Validators | undefined,
  reach: Reach,
  signal: AbortSignal,
  body: () => Promise<Uint8Array | undefined>,
): Promise<FetchResult> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(reach.timeout * MAX_TIMEOUTS)]);
  const dav = new Dav(url, reach, limit);
  const kept = readIndex(previous?.index);
  const calendars = await findCalendars(dav, url, previous?.root);
  const same = calendars.list.length === kept.length &&
    calendars.list.every((now) => kept.some((then) => unchanged(now, then)));
  if (previous && same) return { status: 'unchanged', validators: previous };

  const before = await body();
  const bodies = restore(kept, before);
  const warnings: string[] = [];
  const results: { kept: Kept; members: Map<string, Member> }[] = [];
  let total = 0;
  for (const now of calendars.list) {
    const then = bodies && kept.find((each) => each.path === now.path);
    const old = then ? bodies.get(now.path)! : new Map<string, Member>();
    const result = then && unchanged(now, then)
      ? { ...then, now: old }
      : await update(dav, now, then?.token, old, warnings);
    total += [...result.now.values()].reduce((sum, member) => sum + member.bytes.length, 0);
    if (total > reach.maxBytes) {
      throw new Fault(`calendars are larger than ${reach.maxBytes} bytes`);
    }
    const members = [...result.now].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([path, { etag, bytes }]): Kept['members'][number] => [path, etag, bytes.length]);
    const { token, ctag } = result;
    results.push({ kept: { path: now.path, token, ctag, members }, members: result.now });
  }
  const validators = {
    root: calendars.root,
    index: JSON.stringify(results.map((each) => each.kept)),
  };
  const parts = results.flatMap(({ kept, members }) =>
    kept.members.map(([path]) => members.get(path)!.bytes)
  );
  const bytes = new Uint8Array(Buffer.concat(parts));
  if (bodies && before && Buffer.compare(before, bytes) === 0) {
    return { status: 'unchanged', validators };
  }
  return { status: 'fresh', bytes, validators, ...(warnings.length > 0 ? { warnings } : {}) };
}

function unchanged(now: Calendar, then: Kept): boolean {
  if (now.path !== then.path) return false;
  // A body that was left out has no ETag: its calendar is looked through again.
  if (then.members.some(([, etag]) => etag === '')) return false;
  return now.token !== undefined
    ? now.token === then.token
    : now.ctag !== undefined && now.ctag === then.ctag;
}

function readIndex(text: string | undefined): Kept[] {
  try {
    return text ? JSON.parse(text) as Kept[] : [];
  } catch {
    return [];
  }
}

function restore(
  kept: Kept[],
  bytes: Uint8Array | undefined,
): Map<string, Map<string, Member>> | undefined {
  if (!bytes || kept.length === 0) return undefined;
  let at = 0;
  const calendars = new Map(kept.map(({ path, members }) => [
    path,
    new Map(
      members.map(([member, etag, length]) =>
        [member, { etag, bytes: bytes.subarray(at, at += length) }] as const
      ),
    ),
  ]));
  return at === bytes.length ? calendars : undefined;
}

// --- finding calendars (RFC 6764, RFC 5397, RFC 4791 6.2.1) -------------------------------------

const PROPERTIES = '<resourcetype/><current-user-principal/><C:calendar-home-set/><sync-token/>' +
  '<S:getctag/><supported-report-set/><C:supported-calendar-component-set/>';

async function findCalendars(
  dav: Dav,
  url: URL,
  known: string | undefined,
): Promise<{ root: string; list: Calendar[] }> {
  if (known) {
    const list = await calendarsAt(dav, known).catch((fault: unknown) => {
      if (fault instanceof Fault && fault.stalled) return []; // it may have moved: look anew
      throw fault;
    });
    if (list.length > 0) return { root: known, list };
  }
  let first: unknown;
  for (const place of new Set([dav.path(url.pathname), '/.well-known/caldav'])) {
    try {
      const found = await homes(dav, place);
      for (const root of found) {
        const list = await calendarsAt(dav, root);
        if (list.length > 0) return { root, list };
      }
    } catch (fault) {
      // only "this is no such place" sends us on to the next one
      const status = fault instanceof Fault ? fault.status : undefined;
      if (status === undefined || [401, 403, 429, 503].includes(status)) throw fault;
      first ??= fault;
    }
  }
  throw first ?? new Fault('server shows no calendar here', { stalled: true });
}

/** Where calendars may be listed, best first. */
async function homes(dav: Dav, place: string): Promise<string[]> {
  const { path, responses } = await dav.propfind(place, 0, PROPERTIES);
  const self = responses[0];
  if (!self) return [];
  if (self.isCalendar) return [path];
  if (self.homes.length > 0) return self.homes.map((home) => dav.path(home));
  if (!self.principal) return [path];
  const principal = await dav.propfind(dav.path(self.principal), 0, '<C:calendar-home-set/>');
  const found = principal.responses.flatMap((each) => each.homes).map((home) => dav.path(home));
  return [...found, path];
}

/** The calendar at `root`, or those directly below it that hold events. */
async function calendarsAt(dav: Dav, root: string): Promise<Calendar[]> {
  const self = await dav.propfind(root, 0, PROPERTIES);
  const here = self.responses.filter((each) => each.isCalendar);
  const found = here.length > 0
    ? here.map((each) => ({ ...each, href: self.path }))
    : (await dav.propfind(root, 1, PROPERTIES)).responses.filter((each) =>
      each.isCalendar && (each.components.length === 0 || each.components.includes('VEVENT'))
    );
  if (found.length > MAX_CALENDARS) throw new Fault(`more than ${MAX_CALENDARS} calendars`);
  return found.map((each) => ({
    path: dav.path(each.href),
    token: each.syncToken,
    ctag: each.ctag,
    canSync: each.reports.includes('sync-collection') || each.syncToken !== undefined,
  })).sort((a, b) => a.path < b.path ? -1 : 1);
}

// --- bringing one calendar up to date -----------------------------------------------------------

interface Updated {
  token: string | undefined;
  ctag: string | undefined;
  now: Map<string, Member>;
}

async function update(
  dav: Dav,
  calendar: Calendar,
  token: string | undefined,
  old: Map<string, Member>,
  warnings: string[],
): Promise<Updated> {
  const changes = (calendar.canSync ? await sync(dav, calendar.path, token) : undefined) ??
    await listAll(dav, calendar.path);
  const now = new Map(changes.complete ? [] : old);
  for (const path of changes.gone) now.delete(path);
  const wanted: string[] = [];
  // What was left out last time is asked for again, changed or not.
  for (const [path, member] of now) if (member.etag === '') changes.etags.set(path, '');
  for (const [path, etag] of changes.etags) {
    const before = old.get(path);
    if (before && etag !== '' && before.etag === etag) now.set(path, before);
    else wanted.push(path);
  }
  if (now.size + wanted.length > MAX_MEMBERS) throw new Fault(`more than ${MAX_MEMBERS} objects`);
  let left = dav.maxBytes;
  for (let at = 0; at < wanted.length; at += BATCH) {
    const batch = wanted.slice(at, at + BATCH);
    const fetched = await multiget(dav, calendar.path, batch);
    for (const path of batch) {
      const got = fetched.get(path);
      if (got === 'gone') {
        now.delete(path);
        continue;
      }
      const fault = got ? faultOf(got.bytes) : 'server did not send it';
      if (got && !fault) {
        left -= got.bytes.length;
        if (left < 0) throw new Fault(`calendar is larger than ${dav.maxBytes} bytes`);
        now.set(path, { ...got, etag: got.etag || (changes.etags.get(path) ?? '') });
      } else {
        const name = path.split('/').at(-1)!.slice(0, 80);
        const before = old.get(path);
        warnings.push(`${before ? 'Kept the older copy of' : 'Left out'} ${name}: ${fault}`);
        now.set(path, { etag: '', bytes: before?.bytes ?? new Uint8Array() });
      }
    }
  }
  return { token: changes.token, ctag: calendar.ctag, now };
}

function faultOf(bytes: Uint8Array): string | undefined {
  try {
    checkCalendar(bytes);
    return undefined;
  } catch (fault) {
    return (fault as Fault).message.replace(/^answer/, 'it');
  }
}

interface Changes {
  token: string | undefined;
  /** True: `etags` names every member, and what it does not name is gone. */
  complete: boolean;
  etags: Map<string, string>;
  gone: Set<string>;
}

/** RFC 6578, 3.2. Undefined when the server will not sync this collection at all. */
async function sync(
  dav: Dav,
  path: string,
  token: string | undefined,
): Promise<Changes | undefined> {
  const changes: Changes = {
    token,
    complete: token === undefined,
    etags: new Map(),
    gone: new Set(),
  };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const answer = await dav.ask(
      'REPORT',
      path,
      0,
      '<sync-collection xmlns="DAV:">' +
        `<sync-token>${escapeXml(changes.token ?? '')}</sync-token><sync-level>1</sync-level>` +
        '<prop><getetag/></prop></sync-collection>',
    );
    if (answer.status !== 207) {
      if ([401, 429, 503].includes(answer.status)) checkStatus(answer.status, answer.headers);
      // With a token: it is no longer valid (3.2, DAV:valid-sync-token), so all is asked for anew.
      return changes.token === undefined ? undefined : await sync(dav, path, undefined);
    }
    const { responses, syncToken } = parse(answer);
    let truncated = false;
    for (const each of responses) {
      const member = dav.path(each.href);
      if (isSelf(member, path)) {
        truncated ||= each.status === 507;
      } else if (each.status === 404 || each.status === 410) {
        changes.etags.delete(member);
        changes.gone.add(member);
      } else if (!member.endsWith('/')) {
        changes.gone.delete(member);
        changes.etags.set(member, each.etag ?? '');
      }
    }
    if (changes.etags.size > MAX_MEMBERS) throw new Fault(`more than ${MAX_MEMBERS} objects`);
    if (!syncToken) return undefined;
    const stuck = truncated && syncToken === changes.token;
    changes.token = syncToken;
    if (!truncated) return changes;
    if (stuck) throw new Fault('server truncates its answer and gives no way to go on');
  }
  throw new Fault(`sync did not end after ${MAX_ROUNDS} answers`);
}

async function listAll(dav: Dav, path: string): Promise<Changes> {
  const { responses } = await dav.propfind(path, 1, '<getetag/><resourcetype/>');
  const etags = new Map<string, string>();
  for (const each of responses) {
    const member = dav.path(each.href);
    if (!isSelf(member, path) && !member.endsWith('/')) etags.set(member, each.etag ?? '');
  }
  return { token: undefined, complete: true, etags, gone: new Set() };
}

function isSelf(member: string, path: string): boolean {
  return member.replace(/\/$/, '') === path.replace(/\/$/, '');
}

/** RFC 4791, 7.9. */
async function multiget(
  dav: Dav,
  path: string,
  members: string[],
): Promise<Map<string, Member | 'gone'>> {
  const hrefs = members.map((member) => `<href>${escapeXml(member)}</href>`).join('');
  const answer = await dav.ask(
    'REPORT',
    path,
    1,
    '<C:calendar-multiget xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">' +
      `<prop><getetag/><C:calendar-data/></prop>${hrefs}</C:calendar-multiget>`,
  );
  const found = new Map<string, Member | 'gone'>();
  for (const each of parse(answer).responses) {
    const member = dav.path(each.href);
    if (each.status === 404 || each.status === 410) found.set(member, 'gone');
    else if (each.data !== undefined) {
      const bytes = new TextEncoder().encode(`${each.data.trimEnd()}\r\n`);
      found.set(member, { etag: each.etag ?? '', bytes });
    }
  }
  return found;
}

function parse(answer: Answer): Multistatus {
  checkStatus(answer.status, answer.headers);
  if (answer.status !== 207) {
    throw new Fault('answer is not a multistatus', { status: answer.status });
  }
  return parseMultistatus(answer.bytes);
}

/** Requests to one origin, and to no other whatever the server says. */
class Dav {
  readonly maxBytes: number;
  readonly #origin: string;
  readonly #reach: Reach;
  readonly #signal: AbortSignal;

  constructor(url: URL, reach: Reach, signal: AbortSignal) {
    this.maxBytes = reach.maxBytes;
    this.#origin = url.origin;
    this.#reach = reach;
    this.#signal = signal;
  }

  /** The path an href names. Untrusted. Throws Fault, stalled, when it lies on another origin. */
  path(href: string): string {
    const url = href.length <= 4096 && URL.canParse(href, this.#origin) &&
      new URL(href, this.#origin);
    if (!url || url.origin !== this.#origin || url.username || url.password) {
      throw new Fault('server names a resource on another origin', { stalled: true });
    }
    // one spelling for every path, however the server escapes it today
    return url.pathname.split('/').map((part) => encodeURIComponent(decodePart(part))).join('/');
  }

  async ask(method: string, path: string, depth: 0 | 1, body: string): Promise<Answer> {
    const headers = { 'content-type': 'application/xml; charset=utf-8', depth: String(depth) };
    const xml = `<?xml version="1.0" encoding="utf-8"?>\n${body}`;
    // built by parts: a path such as //elsewhere/x must stay a path
    const url = new URL(this.#origin);
    url.pathname = path;
    const answer = await exchange(url, { method, headers, body: xml }, this.#reach, this.#signal);
    if (answer.url.origin !== this.#origin) {
      throw new Fault('server redirects to another origin; set url to that one', { stalled: true });
    }
    return answer;
  }

  async propfind(
    path: string,
    depth: 0 | 1,
    properties: string,
  ): Promise<{ path: string; responses: DavResponse[] }> {
    const answer = await this.ask(
      'PROPFIND',
      path,
      depth,
      '<propfind xmlns="DAV:" ' +
        'xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/">' +
        `<prop>${properties}</prop></propfind>`,
    );
    return { path: this.path(answer.url.pathname), responses: parse(answer).responses };
  }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
