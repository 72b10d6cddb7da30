import { resolve } from 'node:path';
import { PEOPLE, startKeycloakFacade } from './keycloak-facade.ts';
import type { Place } from './place.ts';
import { type Around, portalUrl } from './portal.ts';

/** A facade of Keycloak, and a bare repository that nobody tracks: for a machine with nothing but npm. */
export async function standIns(place: Place): Promise<Around & { stop(): Promise<void> }> {
  const portal = { id: 'portal', secretFile: resolve(place.secret('keycloak-portal')) };
  const lookup = { id: 'provisioner', secretFile: resolve(place.secret('keycloak-provisioner')) };
  const url = portalUrl(place);
  const facade = await startKeycloakFacade({
    port: place.ports.keycloak,
    people: PEOPLE,
    clients: [
      {
        id: portal.id,
        secret: place.read(portal.secretFile),
        redirectUris: [`${url}/auth/callback`],
        postLogoutRedirectUris: [`${url}/`],
      },
      { id: lookup.id, secret: place.read(lookup.secretFile) },
    ],
  });
  return {
    login: { url: facade.url, portal, lookup },
    store: { kind: 'bare-git', repositoryDir: resolve(place.file('tenants.git')) },
    policy: { repositories: ['https://codeberg.org', 'https://github.com'] },
    stop: () => facade.stop(),
  };
}
