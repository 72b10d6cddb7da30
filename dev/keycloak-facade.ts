import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { html } from 'hono/html';
import Provider, { type Configuration } from 'oidc-provider';
import { memoryAdapter } from './oidc-memory.ts';

/**
 * A facade of Keycloak for the dev world and for tests of what needs a login: oidc-provider speaks
 * OpenID Connect under Keycloak's own paths, and the few admin calls that the provisioner makes are
 * answered from the list of people. It is not Keycloak and says so on its login page.
 */
export interface Person {
  username: string;
  /** The `name` claim; the username when there is none. */
  name?: string;
  /** Shown on the login page: what this account is there to show. */
  note: string;
  enabled: boolean;
  groups: string[];
}

export interface KeycloakFacadeOptions {
  port: number;
  realm?: string;
  people: Person[];
  clients: {
    id: string;
    secret: string;
    redirectUris?: string[];
    postLogoutRedirectUris?: string[];
  }[];
}

export interface KeycloakFacade {
  url: string;
  issuer: string;
  /** Changes what the realm knows of a person from now on. */
  change(username: string, to: Partial<Omit<Person, 'username'>>): void;
  /** Answers every admin call with this status until set back to undefined. */
  fail(status: number | undefined): void;
  stop(): Promise<void>;
}

export const GROUP = '/paying-members';

/** The three members of the dev world, and an administrator: named after what they show. */
export const PEOPLE: Person[] = [
  { username: 'paying', note: 'a paying member', enabled: true, groups: [GROUP] },
  { username: 'lapsed', note: 'a member who stopped paying', enabled: true, groups: [] },
  { username: 'disabled', note: 'an account that was closed', enabled: false, groups: [GROUP] },
  {
    username: 'admin',
    note: 'an administrator',
    enabled: true,
    groups: [GROUP, '/hackspace-admins'],
  },
];

/** A stable UUID from a name, as Keycloak gives ids to users and groups. */
export function idOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), '4' + hex.slice(13, 16), 'a' + hex.slice(17, 20)]
    .join('-') + '-' + hex.slice(20, 32);
}

/** Starts the facade on 127.0.0.1; port 0 picks a free one. */
export async function startKeycloakFacade(options: KeycloakFacadeOptions): Promise<KeycloakFacade> {
  const people = new Map(options.people.map((p) => [idOf(p.username), { ...p }]));
  const realm = `/realms/${options.realm ?? 'hackspace'}`;
  const admin = `/admin${realm}`;
  let failure: number | undefined;

  const server = createServer((request, response) => {
    handle(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(url + realm, configuration(options, people));
  const callback = provider.callback();

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url!, url).pathname;
    if (path.startsWith(admin + '/')) return await answerAdmin(path, request, response);
    const interaction = path.match(/^\/interaction\/([\w-]+)$/);
    if (interaction) return await login(request, response, provider, people);
    if (path === realm || path.startsWith(realm + '/')) {
      const mounted = request as IncomingMessage & { originalUrl?: string };
      mounted.originalUrl = request.url!;
      request.url = request.url!.slice(realm.length) || '/';
      return await callback(request, response);
    }
    if (path === '/healthz') return json(response, 200, { status: 'ok' });
    json(response, 404, { error: 'Realm does not exist' });
  }

  async function answerAdmin(path: string, request: IncomingMessage, response: ServerResponse) {
    if (failure) return json(response, failure, { error: 'made to fail' });
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const found = token ? await provider.ClientCredentials.find(token) : undefined;
    if (!found) return json(response, 401, { error: 'HTTP 401 Unauthorized' });
    const query = new URL(request.url!, url).searchParams;
    const page = <T>(all: T[]) => {
      const first = Number(query.get('first') ?? 0);
      return all.slice(first, first + Number(query.get('max') ?? 100));
    };
    const [kind, id, rest] = path.slice(admin.length + 1).split('/');
    const user = ([uid, p]: [string, Person]) => ({
      id: uid,
      username: p.username,
      enabled: p.enabled,
    });
    if (kind === 'users' && id) {
      const person = people.get(id);
      if (!person) return json(response, 404, { error: 'User not found' });
      if (!rest) return json(response, 200, user([id, person]));
      if (rest === 'groups') {
        const groups = person.groups.map((p) => ({ id: idOf(p), name: p.slice(1), path: p }));
        return json(response, 200, page(groups));
      }
    }
    if (kind === 'groups' && id) {
      const known = [...people.values()].flatMap((p) => p.groups).concat(GROUP);
      const path = known.find((p) => idOf(p) === id);
      if (!path) return json(response, 404, { error: 'Could not find group by id' });
      if (!rest) return json(response, 200, { id, name: path.slice(1), path });
      if (rest === 'members') {
        return json(
          response,
          200,
          page([...people].filter(([, p]) => p.groups.includes(path)).map(user)),
        );
      }
    }
    const byPath = path.slice(admin.length).match(/^\/group-by-path\/(.+)$/);
    if (byPath) {
      const wanted = '/' + byPath[1]!.replace(/^\//, '');
      return json(response, 200, { id: idOf(wanted), name: wanted.slice(1), path: wanted });
    }
    json(response, 404, { error: 'Resource not found' });
  }

  return {
    url,
    issuer: url + realm,
    change(username, to) {
      const person = people.get(idOf(username));
      if (!person) throw new Error(`Cannot change ${username}: there is no such person`);
      Object.assign(person, to);
    },
    fail: (status) => void (failure = status),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function configuration(
  options: KeycloakFacadeOptions,
  people: Map<string, Person>,
): Configuration {
  const at = '/protocol/openid-connect';
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    adapter: memoryAdapter(),
    jwks: {
      keys: [{
        ...privateKey.export({ format: 'jwk' }),
        kid: 'facade',
        use: 'sig',
        alg: 'RS256',
      }] as never,
    },
    clients: options.clients.map((client) => ({
      client_id: client.id,
      client_secret: client.secret,
      redirect_uris: client.redirectUris ?? [],
      post_logout_redirect_uris: client.postLogoutRedirectUris ?? [],
      grant_types: client.redirectUris?.length
        ? ['authorization_code', 'refresh_token', 'client_credentials']
        : ['client_credentials'],
      response_types: client.redirectUris?.length ? ['code'] : [],
      token_endpoint_auth_method: 'client_secret_basic',
      // The dev world runs on plain http on loopback.
      application_type: 'web',
    })),
    routes: {
      authorization: `${at}/auth`,
      token: `${at}/token`,
      jwks: `${at}/certs`,
      userinfo: `${at}/userinfo`,
      end_session: `${at}/logout`,
      introspection: `${at}/token/introspect`,
      revocation: `${at}/revoke`,
    },
    claims: {
      openid: ['sub', 'groups', 'preferred_username'],
      profile: ['name'],
      email: ['email'],
    },
    conformIdTokenClaims: false,
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: logoutPage },
      revocation: { enabled: true, allowedPolicy: () => Promise.resolve(true) },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    ttl: {
      AccessToken: 300,
      ClientCredentials: 300,
      IdToken: 300,
      RefreshToken: 1800,
      Session: 36_000,
      Interaction: 600,
      Grant: 36_000,
    },
    pkce: { required: () => false },
    issueRefreshToken: () => Promise.resolve(true),
    findAccount(_, sub) {
      const person = people.get(sub);
      if (!person || !person.enabled) return undefined;
      return {
        accountId: sub,
        claims: () => ({
          sub,
          name: person.name ?? person.username,
          preferred_username: person.username,
          email: `${person.username}@space.example`,
          // As Keycloak does: no groups means no claim.
          ...(person.groups.length ? { groups: person.groups } : {}),
        }),
      };
    },
    // Whoever logs in here agrees to everything; there is nothing to consent to in a facade.
    async loadExistingGrant(ctx) {
      const { client, session, provider } = ctx.oidc;
      const grantId = ctx.oidc.result?.consent?.grantId ?? session!.grantIdFor(client!.clientId);
      if (grantId) return await provider.Grant.find(grantId);
      const grant = new provider.Grant({
        clientId: client!.clientId,
        accountId: session!.accountId!,
      });
      grant.addOIDCScope('openid profile email offline_access');
      await grant.save();
      return grant;
    },
    renderError(ctx, out) {
      ctx.type = 'html';
      ctx.body = String(page('Login failed', html`<p>${out.error}: ${out.error_description}</p>`));
    },
  };
}

async function login(
  request: IncomingMessage,
  response: ServerResponse,
  provider: Provider,
  people: Map<string, Person>,
): Promise<void> {
  const form = request.method === 'POST' ? new URLSearchParams(await readBody(request)) : undefined;
  const chosen = [...people].find(([, p]) => p.username === form?.get('username'));
  if (chosen && chosen[1].enabled) {
    return await provider.interactionFinished(request, response, {
      login: { accountId: chosen[0] },
    });
  }
  const refused = chosen
    ? html`<p role="alert">Account is disabled, contact your administrator.</p>`
    : '';
  const buttons = [...people.values()].map((p) =>
    html`
      <form
        method="post"><button name="username" value="${p.username}"><b>${p.username}</b>, ${p
          .note}</button></form>
    `
  );
  response.writeHead(200, {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
  });
  response.end(String(page('Log in', html`${refused}${buttons}`)));
}

function logoutPage(ctx: { body: unknown; type: string }, form: string): void {
  ctx.type = 'html';
  // The form is oidc-provider's own markup, with the id `op.logoutForm`.
  ctx.body = `${page('Log out', html`<p>Log out of the whole space?</p>`)}${form}
<button form="op.logoutForm" name="logout" value="yes">Log out</button>`;
}

function page(title: string, content: unknown) {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width" />
<title>${title}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1.1rem/1.5 system-ui; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }
  button { font: inherit; width: 100%; padding: .7rem; margin: .3rem 0; text-align: left; }
</style>
<h1>${title}</h1>
<p>This stands in for Keycloak in the dev world. It asks for no password.</p>
${content}
</html>`;
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > 10_000) throw new Error('Cannot read form: too large');
  }
  return body;
}
