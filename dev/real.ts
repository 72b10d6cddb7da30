import { readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  filesBelow,
  knowNewKinds,
  raiseTree,
  RECEIVER_KEY,
  signed,
  signingKey,
  type Tracked,
  type Tree,
} from '../tests/e2e/flux/house.ts';
import { letTenantsIn } from '../tests/infra/tenant-vault.ts';
import { type Gitea, startGitea } from '../tests/peers/gitea.ts';
import { clients, type Keycloak, startKeycloak } from '../tests/peers/keycloak.ts';
import { startContainer, startControlPlane } from '../tests/peers/kubernetes.ts';
import { k3sImageIsHere } from '../tests/peers/kubernetes/container.ts';
import { waitFor } from '../tests/peers/lib/wait.ts';
import { type PeerName, peers } from '../tests/peers/peers.ts';
import type { Place } from './place.ts';
import { type Around, portalUrl } from './portal.ts';
import { startVault, type Vault } from './vault.ts';

const NEEDED: PeerName[] = ['openbao', 'keycloak', 'gitea', 'flux', 'flux-notification', 'git'];

/** The real programs that are missing here, each with the command that brings it. */
export function missingPrograms(): string[] {
  return NEEDED.map((name) => peers[name]).flatMap((peer) => {
    const missing = peer.missing();
    return missing ? [`${peer.name}: ${missing}; bring it with: ${peer.command}`] : [];
  });
}

/** The real programs, joined as a hackspace would join them. New with each start. */
export interface Real {
  around: Around;
  vault: Vault;
  /** The unsealer's `bridges`: it pins the cluster's keys in the vault. */
  bridges: Record<string, unknown>;
  keycloak: Keycloak;
  forge: Gitea;
  /** The tenants repo in the forge. */
  repository: { owner: string; name: string };
  /** member-prod: the cluster, and Flux with the tree of `flux/` as shipped, but for the charts. */
  tree: Tree;
  /** A copy of manifests/tenant as a member's own repository. */
  garden: string;
}

export async function raiseReal(place: Place, say: (text: string) => void): Promise<Real> {
  const began = performance.now();
  const told = async <T>(what: string, starting: Promise<T>): Promise<T> => {
    const started = await starting;
    say(`${what}: ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    return started;
  };
  // What an earlier start left of programs that are gone, and the sessions at their Keycloak.
  for (const name of ['programs', 'provisioner']) {
    rmSync(place.file(name), { recursive: true, force: true });
  }
  const file = (name: string, text: string) =>
    resolve(place.write(place.file('programs', name), text));
  const [vault, keycloak, forge, kubernetes] = await Promise.all([
    told('OpenBao', startVault(place, 3)),
    told('Keycloak', login(place)),
    told('Gitea', openForge(place)),
    told('Kubernetes', k3sImageIsHere() ? startContainer() : startControlPlane()),
  ]);
  const bao = vault.bao!;
  await letTenantsIn(bao);
  const tree = await told(
    'Flux',
    raiseTree({
      kubernetes,
      helm: false,
      tenants: () => forge.tracked,
      change: (text) => text.replace(/vaultServer: .*/, `vaultServer: ${bao.url}`),
    }),
  );
  await told(
    'member-prod',
    waitFor('the tree of flux/ to be ready', () => tree.readyAt.has('tenants'), {
      ms: 420_000,
      explain: () => JSON.stringify([...tree.readyAt]),
    }),
  );
  await knowNewKinds(tree);
  const garden = await tree.flux.git.createRepository('garden');
  await garden.commit(
    Object.fromEntries(
      filesBelow('manifests/tenant').map((path) => [
        path,
        readFileSync(join('manifests/tenant', path), 'utf8'),
      ]),
    ),
    'a copy of manifests/tenant',
  );

  const server = kubernetes.server;
  const caFile = file('member-prod.crt', kubernetes.ca);
  const day = { seconds: 86_400 };
  const reader = await kubernetes.createToken('hackspace-tenancy', 'provisioner-reader', day);
  const reviewer = await kubernetes.createToken('kube-system', 'openbao-reviewer', day);
  const { issuer } = await kubernetes.call('/.well-known/openid-configuration');
  return {
    vault,
    bridges: {
      'member-prod': {
        upstream: {
          url: bao.url,
          caFile: bao.caFile,
          san: vault.nodes[0]!.san,
          tokenFile: file('bridge-token', await bridgeToken(vault)),
        },
        downstream: { url: server, caFile, tokenFile: file('reviewer-token', reviewer) },
        jwt: { mount: 'jwt-member-prod', role: 'tenant', issuer, audience: 'openbao' },
        client: { namespace: 'tenant-garden', name: 'tenant' },
      },
    },
    keycloak,
    forge: forge.gitea,
    repository: forge.repository,
    tree,
    garden: garden.url,
    around: {
      login: {
        url: keycloak.url,
        portal: { id: clients.login.id, secretFile: file('login-secret', clients.login.secret) },
        lookup: { id: clients.lookup.id, secretFile: file('lookup-secret', clients.lookup.secret) },
      },
      store: forge.store,
      receiver: { url: tree.flux.webhooks!, secretFile: file('receiver-key', RECEIVER_KEY) },
      cluster: { server, caFile, tokenFile: file('reader-token', reader) },
      policy: {
        repositories: [tree.origin],
        // No image of a member's can be had here, so nothing becomes healthy; the lock's shortest times.
        flux: { interval: '1m', retryInterval: '30s', wait: false },
        network: { ingressFrom: ['traefik'] },
        vault: { server: bao.url, caBundle: Buffer.from(bao.ca!).toString('base64') },
        users: { prefix: 'oidc:' },
      },
    },
  };
}

async function login(place: Place): Promise<Keycloak> {
  const keycloak = await startKeycloak();
  const portal = portalUrl(place);
  await keycloak.changeClient(clients.login.id, {
    attributes: {
      'post.logout.redirect.uris': `${portal}/`,
      'backchannel.logout.url': `${portal}/auth/backchannel-logout`,
    },
  });
  return keycloak;
}

/** Gitea with the tenants repo: the provisioner writes it and signs, Flux reads it. */
async function openForge(place: Place) {
  const gitea = await startGitea();
  const bot = await gitea.createUser('provisioner');
  const reader = await gitea.createUser('flux', ['read:repository']);
  const { owner, name, cloneUrl } = await gitea.createRepository('tenants', [bot]);
  await gitea.call(`/repos/${owner}/${name}/collaborators/${reader.name}`, {
    method: 'PUT',
    body: { permission: 'read' },
  });
  const token = resolve(place.write(place.file('programs', 'forge', 'token'), bot.token));
  const folder = dirname(token);
  const key = await signingKey(folder);
  const push = new URL(cloneUrl);
  Object.assign(push, { username: bot.name, password: bot.token });
  // Flux looks at nothing until the newest commit is signed.
  await signed(cloneUrl, push.href, folder, key.path).replace({ 'tenants/.keep': '' }, true);
  const tracked: Tracked = {
    url: cloneUrl,
    username: reader.name,
    password: reader.token,
    signer: key.publicKey,
  };
  const store = {
    kind: 'git-remote',
    url: cloneUrl,
    repositoryDir: join(folder, 'copy.git'),
    username: bot.name,
    tokenFile: token,
    signingKeyFile: key.path,
  };
  return { gitea, tracked, store, repository: { owner, name } };
}

/** What the unsealer's README gives the bridge. */
async function bridgeToken({ bao }: Vault): Promise<string> {
  const policy =
    'path "auth/jwt-member-prod/config" { capabilities = ["read", "create", "update"] }\n' +
    'path "auth/jwt-member-prod/role/*" { capabilities = ["read"] }';
  const write = (path: string, body: unknown) => bao!.call(`/v1/${path}`, { method: 'POST', body });
  await write('sys/policies/acl/bridge', { policy });
  const { auth } = await write('auth/token/create', { policies: ['bridge'], ttl: '24h' });
  return auth.client_token;
}
