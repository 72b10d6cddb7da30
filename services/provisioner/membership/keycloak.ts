import { AppError, describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { z } from 'zod';
import { type JsonAnswer, jsonClient } from '../http.ts';
import type { Answer } from '../tenant/lifecycle.ts';
import type { Subject } from '../tenant/record.ts';
import type { Membership } from './membership.ts';

const log = getLogger(['provisioner', 'keycloak']);

export interface KeycloakOptions {
  /** The root of Keycloak, without `/realms/…`. */
  url: string;
  realm: string;
  /** `iss` of the members this Keycloak answers for; default: url + `/realms/` + realm. */
  issuer?: string | undefined;
  clientId: string;
  clientSecret: Secret;
  paying:
    | { groupId: string }
    | { groupPath: string }
    | { role: string }
    | { attribute: string; value: string };
  /** `sub` of somebody who certainly pays: if that person does not, the answers are wrong. */
  knownMember: string;
  timeoutMs?: number;
  pageSize?: number;
  /** Most people to ask about one by one after a listing (default 200). */
  maxConfirm?: number;
  now?: () => number;
}

const tokenAnswer = z.object({ access_token: z.string().min(1), expires_in: z.number() });
const userAnswer = z.object({
  id: z.string(),
  enabled: z.boolean(),
  email: z.string().optional(),
  attributes: z.record(z.string(), z.array(z.string())).optional(),
});
const groupsAnswer = z.array(z.object({ id: z.string(), path: z.string() }));
const membersAnswer = z.array(z.object({ id: z.string(), enabled: z.boolean() }));
const rolesAnswer = z.array(z.object({ name: z.string() }));
const errorAnswer = z.object({ error: z.string() });

/** Pages are read until one is empty: Keycloak filters what is visible after it cut the page. */
const MAX_PAGES = 2000;

/**
 * Keycloak's admin API, read with a client that has `view-users` and nothing else. A group is
 * compared by id or whole path, never by search; a disabled person is no member.
 */
export function keycloak(options: KeycloakOptions): Membership {
  const now = options.now ?? Date.now;
  const page = options.pageSize ?? 100;
  const realm = encodeURIComponent(options.realm);
  const base = options.url.replace(/\/+$/, '');
  const issuer = options.issuer ?? `${base}/realms/${options.realm}`;
  const client = jsonClient({
    name: 'Keycloak',
    url: base,
    timeoutMs: options.timeoutMs ?? 5000,
  });
  let token: { value: string; until: number } | undefined;
  let asking: Promise<string> | undefined;

  async function askToken(): Promise<string> {
    const { status, json } = await client.post(
      `realms/${realm}/protocol/openid-connect/token`,
      new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: options.clientId,
        client_secret: options.clientSecret.reveal(),
      }),
    );
    const answer = tokenAnswer.safeParse(json);
    if (status === 200 && answer.success) {
      const { access_token: value, expires_in } = answer.data;
      // Used up a little early, so that no call starts with a token that ends on its way.
      token = { value, until: now() + expires_in * 1000 - Math.min(30_000, expires_in * 200) };
      return value;
    }
    const refused = status === 400 || status === 401 || status === 403;
    const why = refused ? 'the client or its secret is refused' : `answer ${status}`;
    throw new AppError('unavailable', `Cannot log in to Keycloak: ${why}`);
  }

  /** One token for however many callers, asked for once. */
  function tokenNow(): Promise<string> {
    if (token && now() < token.until) return Promise.resolve(token.value);
    asking ??= askToken().finally(() => asking = undefined);
    return asking;
  }

  async function get(path: string): Promise<JsonAnswer> {
    for (let attempt = 0;; attempt++) {
      const value = await tokenNow();
      const answer = await client.get(`admin/realms/${realm}/${path}`, {
        Authorization: `Bearer ${value}`,
      });
      if (answer.status !== 401 || attempt > 0) return answer;
      if (token?.value === value) token = undefined;
    }
  }

  async function getOk<S extends z.ZodType>(schema: S, path: string): Promise<z.output<S>> {
    const { status, json } = await get(path);
    const answer = schema.safeParse(json);
    if (status === 200 && answer.success) return answer.data;
    throw new AppError('unavailable', `Cannot ask Keycloak: answer ${status}`);
  }

  async function pages<T>(
    schema: z.ZodType<T[]>,
    path: string,
    each: (items: T[]) => boolean | void,
    query = 'briefRepresentation=true',
  ): Promise<void> {
    for (let i = 0; i < MAX_PAGES; i++) {
      const items = await getOk(schema, `${path}?first=${i * page}&max=${page}&${query}`);
      if (items.length === 0 || each(items) === true) return;
    }
    throw new AppError('unavailable', 'Cannot ask Keycloak: its pages do not end');
  }

  /** The person; undefined when there certainly is none of this id. */
  async function user(sub: string): Promise<z.output<typeof userAnswer> | undefined> {
    const { status, json } = await get(`users/${encodeURIComponent(sub)}`);
    if (status === 404 && errorAnswer.safeParse(json).data?.error === 'User not found') {
      return undefined;
    }
    const answer = userAnswer.safeParse(json);
    if (status === 200 && answer.success && answer.data.id === sub) return answer.data;
    throw new AppError('unavailable', `Cannot ask Keycloak: answer ${status}`);
  }

  async function pays(sub: string): Promise<boolean> {
    const person = await user(sub);
    if (!person?.enabled) return false;
    const { paying } = options;
    if ('attribute' in paying) return has(person, paying);
    const at = `users/${encodeURIComponent(sub)}`;
    if ('role' in paying) {
      const roles = await getOk(rolesAnswer, `${at}/role-mappings/realm/composite`);
      return roles.some((role) => role.name === paying.role);
    }
    let found = false;
    await pages(groupsAnswer, `${at}/groups`, (groups) => {
      return found = groups.some((group) =>
        'groupId' in paying ? group.id === paying.groupId : group.path === paying.groupPath
      );
    });
    return found;
  }

  async function check(subject: Subject): Promise<Answer> {
    if (subject.iss !== issuer) return 'unknown';
    if (!/^[A-Za-z0-9._-]{1,255}$/.test(subject.sub)) return 'no';
    try {
      return (await pays(subject.sub)) ? 'yes' : 'no';
    } catch (error) {
      log.warn('no answer about a member', { error: describe(error) });
      return 'unknown';
    }
  }

  /** Ids of the enabled people of the group or attribute: as many calls as pages. Not of a role. */
  async function listing(): Promise<Set<string> | undefined> {
    const { paying } = options;
    const ids = new Set<string>();
    if ('attribute' in paying) {
      const { attribute, value } = paying;
      // A search for other letters than these would have to be quoted.
      if (!/^[\w.-]+ [\w.-]+$/.test(`${attribute} ${value}`)) return undefined;
      const found = (people: z.output<typeof userAnswer>[]) => {
        for (const person of people) if (person.enabled && has(person, paying)) ids.add(person.id);
      };
      await pages(z.array(userAnswer), 'users', found, `q=${attribute}:${value}`);
      return ids;
    }
    let id: string;
    if ('groupId' in paying) id = paying.groupId;
    else if ('groupPath' in paying) {
      const path = paying.groupPath.split('/').filter(Boolean).map(encodeURIComponent).join('/');
      const group = await getOk(
        z.object({ id: z.string(), path: z.string() }),
        `group-by-path/${path}`,
      );
      if (group.path !== paying.groupPath) return undefined;
      id = group.id;
    } else return undefined;
    await pages(membersAnswer, `groups/${encodeURIComponent(id)}/members`, (members) => {
      for (const member of members) if (member.enabled) ids.add(member.id);
    });
    return ids;
  }

  async function selfTest(): Promise<void> {
    let yes: boolean;
    try {
      yes = await pays(options.knownMember);
    } catch (cause) {
      throw new AppError('unavailable', 'Cannot check that Keycloak answers rightly', { cause });
    }
    if (yes) return;
    throw new AppError(
      'unavailable',
      'Cannot trust Keycloak’s answers: the known member is none by them (is the role view-users ' +
        'granted, the group the right one, the person still paying?)',
    );
  }

  return {
    check,
    selfTest,
    async checkAll(subjects) {
      try {
        await selfTest();
        const ids = await listing();
        const asked = subjects.map((s): Answer | undefined => {
          if (s.iss !== issuer) return 'unknown';
          return ids?.has(s.sub) ? 'yes' : undefined;
        });
        if (ids && !ids.has(options.knownMember)) {
          throw new AppError(
            'unavailable',
            'Cannot trust Keycloak’s listing: it lacks the known member',
          );
        }
        // People move between pages while they are read, so whoever is missing is asked about alone;
        // if too many are missing, the breaker of the sweep stops everything anyway.
        const missing = asked.filter((answer) => answer === undefined).length;
        if (ids && missing > (options.maxConfirm ?? 200)) {
          return asked.map((answer) => answer ?? 'no');
        }
        return await eachOf(subjects, 4, async (s, i) => asked[i] ?? await check(s));
      } catch (error) {
        log.warn('no answers about members', { error: describe(error) });
        return subjects.map(() => 'unknown' as const);
      }
    },
    async addressOf(subject) {
      if (subject.iss !== issuer) return undefined;
      return (await user(subject.sub))?.email;
    },
  };
}

function has(
  person: z.output<typeof userAnswer>,
  paying: { attribute: string; value: string },
): boolean {
  return person.attributes?.[paying.attribute]?.includes(paying.value) ?? false;
}

/** Maps with at most `width` calls under way. */
export async function eachOf<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]!, i);
    }
  }));
  return results;
}
