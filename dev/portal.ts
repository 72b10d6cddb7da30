import { resolve } from 'node:path';
import type { Calendars } from './calendars.ts';
import { GROUP, idOf, PEOPLE, startKeycloakFacade } from './keycloak-facade.ts';
import { type Part, startPart } from './part.ts';
import type { Place } from './place.ts';
import type { Vault } from './vault.ts';

export interface Portal {
  parts: Part[];
  url: string;
  /** The tenants repo: a bare repository on disk. */
  repository: string;
}

/** The provisioner with its pages, a facade of Keycloak to log in at, and the embedded tenants repo. */
export async function startPortal(
  place: Place,
  calendars: Calendars,
  vault: Vault | undefined,
  log: (line: string) => void,
): Promise<Portal> {
  const url = `http://127.0.0.1:${place.ports.provisioner}`;
  const secret = (name: string) => place.read(place.secret(name));
  const keycloak = await startKeycloakFacade({
    port: place.ports.keycloak,
    people: PEOPLE,
    clients: [
      {
        id: 'portal',
        secret: secret('keycloak-portal'),
        redirectUris: [`${url}/auth/callback`],
        postLogoutRedirectUris: [`${url}/`],
      },
      { id: 'provisioner', secret: secret('keycloak-provisioner') },
    ],
  });
  const facade: Part = { name: 'keycloak facade', url: keycloak.url, stop: () => keycloak.stop() };
  try {
    const repository = resolve(place.file('tenants.git'));
    const policy = place.write(
      place.file('policy.yaml'),
      JSON.stringify(
        {
          plans: {
            small: plan('Small: a calendar and a web page', '2', '2Gi', '10Gi', 10),
            large: plan('Large: ask an administrator first', '4', '8Gi', '50Gi', 30),
          },
          defaultPlan: 'small',
          tenantsPerMember: 3,
          repositories: ['https://codeberg.org', 'https://github.com'],
        },
        null,
        2,
      ),
    );
    const config = place.write(
      place.file('provisioner.yaml'),
      JSON.stringify(
        {
          listen: { port: place.ports.provisioner },
          publicUrl: url,
          policyFile: resolve(policy),
          state: resolve(place.file('provisioner', 'state')),
          space: { name: 'hackspace', joinUrl: 'https://space.example/join' },
          api: { issuer: keycloak.issuer, clients: ['portal'] },
          portal: {
            issuer: keycloak.issuer,
            clientId: 'portal',
            clientSecretFile: resolve(place.secret('keycloak-portal')),
            sessionSecretFile: resolve(place.secret('portal-sessions')),
          },
          store: { kind: 'bare-git', repositoryDir: repository },
          membership: {
            kind: 'keycloak',
            url: keycloak.url,
            realm: 'hackspace',
            clientId: 'provisioner',
            clientSecretFile: resolve(place.secret('keycloak-provisioner')),
            paying: { groupId: idOf(GROUP) },
            knownMember: idOf('admin'),
          },
          export: { archiveDir: resolve(place.file('provisioner', 'archives')) },
          icsProxy: {
            url: calendars.url,
            feed: 'space',
            tokenFile: resolve(place.secret('ics-proxy-admin')),
          },
          ...(vault ? { unsealer: { url: vault.unsealer } } : {}),
        },
        null,
        2,
      ),
    );
    const part = await startPart({
      name: 'provisioner',
      args: ['services/provisioner/main.ts', '--config', config],
      url,
      readyPath: '/readyz',
      log,
    });
    return { parts: [facade, part], url, repository };
  } catch (error) {
    await keycloak.stop();
    throw error;
  }
}

function plan(title: string, cpu: string, memory: string, storage: string, pods: number) {
  return {
    title,
    requestsCpu: cpu,
    requestsMemory: memory,
    limitsCpu: cpu,
    limitsMemory: memory,
    storage,
    pods,
  };
}
