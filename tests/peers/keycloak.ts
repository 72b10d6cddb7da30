/** Keycloak, the real server, with the realm `hackspace` of keycloak/realm.json. */
import { cpSync, linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { keycloakBuild } from './keycloak/build.ts';
import { bootstrapAdmin, startServer } from './keycloak/server.ts';
import { type Answer, type Ask, ask } from './lib/http.ts';
import { builtPeer } from './lib/peer.ts';
import { type Child, openSandbox } from './lib/sandbox.ts';

export const keycloak = builtPeer({
  name: 'keycloak',
  version: versions.tools.keycloak,
  had: 'distribution from Maven Central, run with the Java of the system (17 or newer)',
  builds: [keycloakBuild],
});

/** Of keycloak/realm.json. Each person's password is their name and `-password`. */
export const people = ['paying', 'lapsed', 'disabled', 'admin'] as const;
export type PersonName = (typeof people)[number];
export const passwordOf = (name: string) => `${name}-password`;

export const clients = {
  /** People sign in: code flow with PKCE; redirects to `http://127.0.0.1:ANY/auth/callback`. */
  login: { id: 'provisioner', secret: 'provisioner-test-secret' },
  /** Asks who pays: client credentials, role view-users. */
  lookup: { id: 'provisioner-lookup', secret: 'lookup-test-secret' },
  /** Client credentials without any role. */
  roleless: { id: 'roleless', secret: 'roleless-test-secret' },
} as const;

export interface Keycloak extends AsyncDisposable {
  readonly url: string;
  readonly realm: string;
  readonly issuer: string;
  readonly process: Child;
  /** An access token by client credentials. */
  clientToken(client: { id: string; secret: string }): Promise<string>;
  /** The admin API of the realm as the realm's master: path below `/admin/realms/hackspace`. */
  admin(path: string, options?: Ask): Promise<Answer>;
  /** Changes a person by the admin API: `{ enabled: false }`. */
  changePerson(name: string, to: Record<string, unknown>): Promise<void>;
  joinGroup(name: string, group: string): Promise<void>;
  leaveGroup(name: string, group: string): Promise<void>;
  /** Merges into a client's representation: a back-channel logout URL, lifetimes, redirect URIs. */
  changeClient(id: string, to: Record<string, unknown>): Promise<void>;
  stop(): Promise<void>;
}

export interface KeycloakOptions {
  /** More realms to import, as objects in Keycloak's form. Adds seconds to the start. */
  realms?: Record<string, unknown>[];
}

export async function startKeycloak(options: KeycloakOptions = {}): Promise<Keycloak> {
  const folder = keycloakBuild.folder();
  if (!folder) throw new Error(`Cannot start Keycloak: ${keycloak.missing()}; ${keycloak.command}`);
  const sandbox = await openSandbox('keycloak');
  try {
    const home = join(sandbox.folder, 'home');
    copyHome(join(folder, 'home'), home);
    for (const [n, realm] of (options.realms ?? []).entries()) {
      mkdirSync(join(home, 'data/import'), { recursive: true });
      writeFileSync(join(home, `data/import/realm-${n}.json`), JSON.stringify(realm));
    }
    const imports = options.realms?.length ? ['--import-realm'] : [];
    const { url, child } = await startServer(sandbox, home, imports);
    return new Running(url, child, () => sandbox.end());
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

/** Its own data, the rest by hard links where the file system allows: 190 MB that nobody writes to. */
function copyHome(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.name === 'data') cpSync(source, target, { recursive: true });
    else if (entry.isDirectory()) copyHome(source, target);
    else {
      try {
        linkSync(source, target);
      } catch {
        cpSync(source, target);
      }
    }
  }
}

class Running implements Keycloak {
  readonly url: string;
  readonly realm = 'hackspace';
  readonly issuer: string;
  readonly process: Child;
  readonly #end: () => Promise<void>;
  #admin: { token: string; until: number } | undefined;

  constructor(url: string, process: Child, end: () => Promise<void>) {
    this.url = url;
    this.issuer = `${url}/realms/${this.realm}`;
    this.process = process;
    this.#end = end;
  }

  clientToken({ id, secret }: { id: string; secret: string }) {
    const form = { grant_type: 'client_credentials', client_id: id, client_secret: secret };
    return this.#token(this.issuer, form);
  }
  async #token(issuer: string, form: Record<string, string>): Promise<string> {
    const answer = await ask(`${issuer}/protocol/openid-connect/token`, {
      method: 'POST',
      timeoutMs: 60_000, // the first one, on a busy machine
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    if (answer.status !== 200) {
      throw new Error(`Cannot get a token of Keycloak: ${answer.status}: ${answer.text}`);
    }
    return answer.json().access_token;
  }
  async admin(path: string, options: Ask = {}) {
    if (!this.#admin || this.#admin.until < Date.now()) {
      const form = { grant_type: 'password', client_id: 'admin-cli', ...bootstrapAdmin };
      const token = await this.#token(`${this.url}/realms/master`, form);
      this.#admin = { token, until: Date.now() + 30_000 };
    }
    const headers = { authorization: `Bearer ${this.#admin.token}`, ...options.headers };
    const base = `${this.url}/admin/realms/${this.realm}`;
    return await ask(base + path, { timeoutMs: 60_000, ...options, headers });
  }
  async #must(path: string, options: Ask = {}) {
    const answer = await this.admin(path, options);
    if (answer.status > 299) {
      const what = `${options.method ?? 'GET'} ${path}`;
      throw new Error(`Cannot ${what} in Keycloak: ${answer.status}: ${answer.text}`);
    }
    return answer;
  }
  async #personId(name: string): Promise<string> {
    const found = (await this.#must(`/users?exact=true&username=${name}`)).json();
    if (found.length !== 1) throw new Error(`Cannot find ${name} in Keycloak`);
    return found[0].id;
  }
  async #groupId(name: string): Promise<string> {
    return (await this.#must(`/group-by-path/${name}`)).json().id;
  }
  async changePerson(name: string, to: Record<string, unknown>) {
    const path = `/users/${await this.#personId(name)}`;
    const now = (await this.#must(path)).json();
    await this.#must(path, { method: 'PUT', body: { ...now, ...to } });
  }
  async joinGroup(name: string, group: string) {
    const path = `/users/${await this.#personId(name)}/groups/${await this.#groupId(group)}`;
    await this.#must(path, { method: 'PUT' });
  }
  async leaveGroup(name: string, group: string) {
    const path = `/users/${await this.#personId(name)}/groups/${await this.#groupId(group)}`;
    await this.#must(path, { method: 'DELETE' });
  }
  async changeClient(id: string, to: Record<string, unknown>) {
    const [now] = (await this.#must(`/clients?clientId=${id}`)).json();
    if (!now) throw new Error(`Cannot find client ${id} in Keycloak`);
    const attributes = { ...now.attributes, ...to.attributes as object | undefined };
    await this.#must(`/clients/${now.id}`, { method: 'PUT', body: { ...now, ...to, attributes } });
  }
  stop() {
    return this.#end();
  }
  [Symbol.asyncDispose]() {
    return this.#end();
  }
}
