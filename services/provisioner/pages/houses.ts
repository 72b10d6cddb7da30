// The portal as people reach it in a browser, for the journeys: once in this process with the facade
// of Keycloak and a cluster that says what the test wants, once as in production: the provisioner and
// ics-proxy as processes of their own, started from config files, with the real Keycloak.
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { serve } from '@hackspace/kit/serve.ts';
import { idOf, PEOPLE } from '../../../dev/keycloak-facade.ts';
import { clients, passwordOf, startKeycloak } from '../../../tests/peers/keycloak.ts';
import { statusOf } from '../../../tests/peers/lib/http.ts';
import { openSandbox } from '../../../tests/peers/lib/sandbox.ts';
import { APPLIED, openWorld, type World } from './world.ts';

export interface House extends AsyncDisposable {
  origin: string;
  /** Where people log in. */
  login: string;
  /** Fills in the login page that `page` shows. */
  logInAs(page: Page, username: string): Promise<void>;
  /** What is asked after the portal's own logout, if anything. */
  confirmLogout(page: Page): Promise<void>;
  /** Ends the sessions of a member while their pages stay open. */
  endSession(page: Page, username: string): Promise<void>;
  /** From now on; `reset` undoes it. */
  stopsPaying(username: string): Promise<void>;
  /** What the cluster says; absent where no cluster is asked. */
  cluster?: World['cluster'];
  reset(): Promise<void>;
}

/** A colour, a logo and a sentence of the space's own, which the real portal is configured with. */
export const BRAND = {
  name: 'Test space',
  colour: '#7b2d8b',
  welcome: 'A corner of your own, at last',
};

export async function facadeHouse(): Promise<House> {
  const sandbox = await openSandbox('portal');
  const port = await sandbox.port();
  const origin = `http://127.0.0.1:${port}`;
  const world = await openWorld(origin);
  const served = await serve(world.app, { host: '127.0.0.1', port });
  return {
    origin,
    login: world.keycloak.url,
    cluster: world.cluster,
    logInAs: (page, username) => page.getByRole('button', { name: `${username},` }).click(),
    confirmLogout: (page) => page.getByRole('button', { name: 'Log out' }).click(),
    endSession: (page) => page.context().clearCookies({ name: 'session' }),
    stopsPaying: (username) =>
      Promise.resolve(world.keycloak.change(username, { groups: ['/other'] })),
    reset() {
      for (const person of PEOPLE) world.keycloak.change(person.username, person);
      world.cluster.status = APPLIED;
      return Promise.resolve();
    },
    async [Symbol.asyncDispose]() {
      await served.close(0);
      await world[Symbol.asyncDispose]();
      await sandbox.end();
    },
  };
}

export async function realHouse(): Promise<House> {
  const keycloak = await startKeycloak();
  const sandbox = await openSandbox('portal');
  const end = async () => {
    await sandbox.end();
    await keycloak.stop();
  };
  try {
    const [port, feedPort] = [await sandbox.port(), await sandbox.port()];
    const origin = `http://127.0.0.1:${port}`;
    await keycloak.changeClient(clients.login.id, {
      attributes: {
        'post.logout.redirect.uris': `${origin}/`,
        'backchannel.logout.url': `${origin}/auth/backchannel-logout`,
      },
    });
    const at = (name: string) => join(sandbox.folder, name);
    const write = (name: string, text: string) => writeFile(at(name), text, { mode: 0o600 });
    await write('ics-admin', 'a'.repeat(64));
    await write('login', clients.login.secret);
    await write('lookup', clients.lookup.secret);
    await write('sessions', 's'.repeat(64));
    await write('ca.pem', 'a certificate');
    await write('texts.yaml', JSON.stringify({ 'landing.title': `${BRAND.welcome}, {space}` }));
    await write(
      'logo.svg',
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>',
    );
    await write('policy.yaml', JSON.stringify(POLICY));
    const start = async (name: string, url: string, config: unknown) => {
      await write(`${name}.yaml`, JSON.stringify(config));
      const args = [resolve(`services/${name}/main.ts`), '--config', at(`${name}.yaml`)];
      await sandbox.spawn(name, process.execPath, args, {
        ready: () => statusOf(`${url}/readyz`).then((status) => status === 200),
      });
    };
    const feeds = `http://127.0.0.1:${feedPort}`;
    await start('ics-proxy', feeds, {
      listen: { port: feedPort },
      publicUrl: feeds,
      state: at('feeds'),
      admin: { tokenFile: at('ics-admin') },
      feeds: {
        space: {
          name: 'Space',
          sources: [{ id: 'space', url: `file://${resolve('dev/calendars/space.ics')}` }],
        },
      },
    });
    await start('provisioner', origin, {
      listen: { port },
      publicUrl: origin,
      policyFile: at('policy.yaml'),
      state: at('state'),
      space: {
        name: BRAND.name,
        colour: BRAND.colour,
        logoFile: at('logo.svg'),
        textsFile: at('texts.yaml'),
        joinUrl: 'https://space.example/join',
      },
      api: { issuer: keycloak.issuer, clients: ['cli'] },
      portal: {
        issuer: keycloak.issuer,
        clientId: clients.login.id,
        clientSecretFile: at('login'),
        sessionSecretFile: at('sessions'),
      },
      store: { kind: 'bare-git', repositoryDir: at('tenants.git') },
      membership: {
        kind: 'keycloak',
        url: keycloak.url,
        realm: keycloak.realm,
        clientId: clients.lookup.id,
        clientSecretFile: at('lookup'),
        paying: { groupPath: '/paying-members' },
        knownMember: idOf('admin'),
      },
      export: { archiveDir: at('archives') },
      icsProxy: { url: feeds, feed: 'space', tokenFile: at('ics-admin') },
      kubeconfig: { server: 'https://cluster.example:6443', caFile: at('ca.pem'), clientId: 'k' },
    });
    const left = new Set<string>();
    return {
      origin,
      login: keycloak.url,
      async logInAs(page, username) {
        await page.locator('#username').fill(username);
        await page.locator('#password').fill(passwordOf(username));
        await page.locator('#kc-login').click();
      },
      confirmLogout: () => Promise.resolve(), // Keycloak knows the session by its id_token
      async endSession(_, username) {
        await keycloak.admin(`/users/${idOf(username)}/logout`, { method: 'POST' });
      },
      async stopsPaying(username) {
        left.add(username);
        await keycloak.leaveGroup(username, 'paying-members');
      },
      async reset() {
        for (const username of left) await keycloak.joinGroup(username, 'paying-members');
        left.clear();
      },
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

const size = (title: string, cpu: string, memory: string, storage: string) => ({
  title,
  requestsCpu: cpu,
  requestsMemory: memory,
  limitsCpu: cpu,
  limitsMemory: memory,
  storage,
  pods: 10,
});
const POLICY = {
  plans: {
    small: size('Small: a calendar and a web page', '2', '2Gi', '10Gi'),
    large: size('Large: ask an administrator first', '4', '8Gi', '50Gi'),
  },
  defaultPlan: 'small',
  tenantsPerMember: 30,
  repositories: ['https://codeberg.org'],
};
