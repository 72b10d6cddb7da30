// A whole portal on stand-ins, for its tests and for the browser journeys: the facade of Keycloak, a
// bare repository on disk with the real git, and a cluster that says what the test wants to hear.
// Nothing in production imports it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import { createHttp } from '@hackspace/kit/http.ts';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import { openState } from '@hackspace/kit/state.ts';
import {
  GROUP,
  idOf,
  type KeycloakFacade,
  PEOPLE,
  startKeycloakFacade,
} from '../../../dev/keycloak-facade.ts';
import { createOidc } from '../auth/oidc.ts';
import { createAuth, type SessionEnv } from '../auth/session.ts';
import { openSessions } from '../auth/sessions.ts';
import type { ClusterStatus } from '../cluster/flux-status.ts';
import { keycloak } from '../membership/keycloak.ts';
import { bareGit } from '../store/bare-git.ts';
import { openStore } from '../store/queue.ts';
import type { Store } from '../store/store.ts';
import { silent } from '../notify/notify.ts';
import { Sweep } from '../sweep.ts';
import { examplePolicy } from '../tenant/fixtures.ts';
import { Tenants } from '../tenants.ts';
import { createPortal, portalErrorPage, type PortalPorts } from './portal.ts';
import { createTexts } from './texts.ts';

export interface World extends AsyncDisposable {
  app: ReturnType<typeof createHttp>;
  keycloak: KeycloakFacade;
  tenants: Tenants;
  store: Store;
  /** What the cluster answers from now on; undefined: nothing. */
  cluster: { status: ClusterStatus | undefined };
  /** The calendar service does not answer while this is true. */
  feed: { away: boolean };
  /** One sweep, this many ms after now; returns when that was. */
  sweepAt(ms: number): Promise<Date>;
  /** Sets the clock of sweeps this many ms ahead. */
  ahead(ms: number): void;
  dir: string;
}

const COMMITTER = { name: 'portal', email: 'portal@space.invalid' };

export const APPLIED: ClusterStatus = {
  steps: [
    { key: 'fetched', state: 'done', text: 'Flux has read your repository.' },
    { key: 'applied', state: 'done', text: 'What is in it was applied.' },
    { key: 'healthy', state: 'done', text: 'Everything in it runs.' },
  ],
  quota: [{ name: 'limits.memory', used: '640Mi', hard: '2Gi', percent: 31 }],
  drift: [],
};

/** `origin` must be where the app is then served. */
export async function openWorld(
  origin: string,
  over: Partial<PortalPorts> = {},
): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'hackspace-portal-'));
  const facade = await startKeycloakFacade({
    port: 0,
    people: PEOPLE,
    clients: [
      {
        id: 'portal',
        secret: 'portal-secret',
        redirectUris: [`${origin}/auth/callback`],
        postLogoutRedirectUris: [`${origin}/`],
      },
      { id: 'sweeper', secret: 'sweeper-secret' },
    ],
  });
  const membership = keycloak({
    url: facade.url,
    realm: 'hackspace',
    clientId: 'sweeper',
    clientSecret: new Secret('sweeper-secret'),
    paying: { groupId: idOf(GROUP) },
    knownMember: idOf('admin'),
    timeoutMs: 2000,
  });
  const store = openStore(
    await bareGit({
      dir: join(dir, 'tenants.git'),
      branch: 'main',
      committer: COMMITTER,
    }),
  );
  const policy = examplePolicy({ tenantsPerMember: 30 });
  const tenants = new Tenants({ store, membership, policy });
  const cluster: World['cluster'] = { status: APPLIED };
  const feed = { away: false };
  let ahead = 0;
  const state = await openState(join(dir, 'state'));
  const auth = createAuth({
    oidc: createOidc({
      origin,
      callbackPath: '/auth/callback',
      issuer: facade.issuer,
      clientId: 'portal',
      clientSecret: new Secret('portal-secret'),
      secret: new Secret('x'.repeat(40)),
    }),
    sessions: await openSessions({ state, secret: new Secret('s'.repeat(40)) }),
    clientId: 'portal',
    origin,
    callbackPath: '/auth/callback',
  });
  const ports: PortalPorts = {
    tenants,
    membership,
    auth,
    texts: createTexts(),
    space: { name: 'hackspace', join: 'https://space.example/join' },
    isAdmin: (member) => member.groups.includes('/hackspace-admins'),
    cluster: {
      statusOf: () =>
        cluster.status
          ? Promise.resolve(cluster.status)
          : Promise.reject(new AppError('unavailable', 'Cannot ask the cluster: no answer')),
      drained: () => Promise.resolve(false),
    },
    sweep: new Sweep({
      now: () => Date.now() + ahead,
      store,
      membership,
      policy,
      state,
      notifier: silent,
      exporter: () => Promise.resolve(),
    }, { every: 3_600_000, breaker: { share: 0.1, min: 3 }, committer: COMMITTER }),
    vault: () => Promise.resolve('open'),
    kubeconfig: {
      server: 'https://cluster.space.example:6443',
      ca: 'a certificate',
      cluster: 'member-prod',
      issuer: facade.issuer,
      clientId: 'kubelogin',
    },
    feedToken: () =>
      feed.away
        ? Promise.reject(new AppError('unavailable', 'Cannot get a feed token: no answer'))
        : Promise.resolve({
          id: '1',
          url: `https://io.space.example/proxy/space.ics?token=${'0'.repeat(64)}`,
        }),
    formTargets: [new URL(facade.issuer).origin],
    ...over,
  };
  const app = createHttp({
    service: 'provisioner',
    version: '0.0.0',
    title: 'Portal',
    metrics: createMetrics('provisioner'),
    ready: () => ({ ok: true, reasons: [] }),
    errorPage: portalErrorPage(ports),
  });
  app.use(auth.guard);
  app.route('/', auth.routes);
  app.route('/', createPortal(ports) as unknown as typeof app);
  return {
    app,
    keycloak: facade,
    tenants,
    store,
    cluster,
    feed,
    ahead: (ms) => void (ahead = ms),
    async sweepAt(ms) {
      ahead = ms;
      return new Date((await ports.sweep.run()).at);
    },
    dir,
    async [Symbol.asyncDispose]() {
      await facade.stop();
      await store.close();
      await state.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export type { SessionEnv };
