import { resolve } from 'node:path';
import type { Calendars } from './calendars.ts';
import { GROUP, idOf } from './keycloak-facade.ts';
import { type Part, startPart } from './part.ts';
import type { Place } from './place.ts';

/** What the provisioner finds around it: stand-ins, or the real programs. */
export interface Around {
  login: {
    /** Keycloak's root, without `/realms/…`. */
    url: string;
    /** Client at which members log in, and the one that asks who pays. */
    portal: Client;
    lookup: Client;
  };
  /** The config's `store`, `cluster` and `receiver`. */
  store: Record<string, unknown>;
  receiver?: Record<string, unknown>;
  cluster?: Record<string, unknown>;
  /** What the policy says besides the plans; `repositories` at least. */
  policy: Record<string, unknown>;
}

export interface Client {
  id: string;
  secretFile: string;
}

export interface PortalOptions {
  around: Around;
  calendars: Pick<Calendars, 'url'>;
  /** The unsealer's URL, where there is a vault. */
  unsealer: string | undefined;
  /** Laid over the config: shorter periods, letters. */
  more?: Record<string, unknown>;
  log: (line: string) => void;
}

/** The provisioner with its pages. */
export async function startPortal(place: Place, options: PortalOptions): Promise<Part> {
  const { around, calendars, unsealer } = options;
  const { login } = around;
  const url = portalUrl(place);
  const issuer = `${login.url}/realms/hackspace`;
  const policy = place.config('policy.yaml', {
    plans: {
      small: plan('Small: a calendar and a web page', '2', '2Gi', '10Gi', 10),
      large: plan('Large: ask an administrator first', '4', '8Gi', '50Gi', 30),
    },
    defaultPlan: 'small',
    tenantsPerMember: 3,
    ...around.policy,
  });
  const config = place.config('provisioner.yaml', {
    listen: { port: place.ports.provisioner },
    publicUrl: url,
    policyFile: resolve(policy),
    state: resolve(place.file('provisioner', 'state')),
    space: { name: 'hackspace', joinUrl: 'https://space.example/join' },
    api: { issuer, clients: [login.portal.id] },
    portal: {
      issuer,
      clientId: login.portal.id,
      clientSecretFile: login.portal.secretFile,
      sessionSecretFile: resolve(place.secret('portal-sessions')),
    },
    store: around.store,
    membership: {
      kind: 'keycloak',
      url: login.url,
      realm: 'hackspace',
      clientId: login.lookup.id,
      clientSecretFile: login.lookup.secretFile,
      // The facade's people and the realm of the real one have the same ids.
      paying: { groupId: idOf(GROUP) },
      knownMember: idOf('admin'),
    },
    export: { archiveDir: resolve(place.file('provisioner', 'archives')) },
    icsProxy: {
      url: calendars.url,
      feed: 'space',
      tokenFile: resolve(place.secret('ics-proxy-admin')),
    },
    ...(unsealer ? { unsealer: { url: unsealer } } : {}),
    ...(around.cluster ? { cluster: around.cluster } : {}),
    ...(around.receiver ? { receiver: around.receiver } : {}),
    ...options.more,
  });
  return await startPart({
    name: 'provisioner',
    args: ['services/provisioner/main.ts', '--config', config],
    url,
    readyPath: '/readyz',
    log: options.log,
  });
}

export function portalUrl(place: Place): string {
  return `http://127.0.0.1:${place.ports.provisioner}`;
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
