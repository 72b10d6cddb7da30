/**
 * member-prod on loopback: the flux/ tree as shipped, with only its addresses replaced, served by a real
 * git server, reconciled by Flux' real controllers. Charts are stand-ins: same names and versions, the
 * real CRDs of their projects inside, and a ConfigMap where the workloads would be (nothing runs pods here).
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { crdFiles, type CrdName, installCrds } from '../../infra/crds.ts';
import { type Flux, startFlux } from '../../peers/flux.ts';
import type { GitServer } from '../../peers/git.ts';
import { ControlPlane, type Kubernetes } from '../../peers/kubernetes.ts';
import { here } from '../../peers/lib/here.ts';
import { runOk } from '../../peers/lib/run.ts';
import { openSandbox } from '../../peers/lib/sandbox.ts';

export const FLUX = here(import.meta, '../../../flux');

/** What the Receiver of flux/infra/config is woken with. */
export const RECEIVER_KEY = 'the-key-of-the-receiver-0123456789abcdef';

export interface SignedRepository {
  readonly url: string;
  /** Replaces the whole tree by these files in one commit; returns its hash. */
  replace(files: Record<string, string>, sign?: boolean): Promise<string>;
}
/** The tenants repo as Flux reads it. Its branch main must have a signed commit. */
export interface Tracked {
  url: string;
  username: string;
  password: string;
  /** The provisioner's public SSH key. */
  signer: string;
}
export interface TreeOptions {
  /** Default a built control plane that ends with this. */
  kubernetes?: Kubernetes;
  tenants: (git: GitServer) => Tracked | Promise<Tracked>;
  /** More changes to the text of each shipped file. */
  change?: (text: string) => string;
  /** Default true. False: no helm-controller, and in place of the charts' stand-ins only their CRDs. */
  helm?: boolean;
}
export interface Tree extends AsyncDisposable {
  flux: Flux;
  /** Origin that members' repositories lie on. */
  origin: string;
  /** First time each Kustomization was seen ready, in ms since the start. */
  readyAt: Map<string, number>;
}
export interface House extends Tree {
  tenants: SignedRepository;
  /** A member's own repository; unsigned. */
  member(name: string): Promise<SignedRepository>;
}

export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

/** The environment that flux-instance.yaml gives kustomize-controller. */
export function kustomizeEnvironment(): Record<string, string> {
  const path = join(FLUX, 'clusters/member-prod/flux-instance.yaml');
  const { spec } = parse(readFileSync(path, 'utf8'));
  const added = spec.kustomize.patches.flatMap((each: { patch: string }) => parse(each.patch))
    .filter((op: { path: string }) => op.path.endsWith('/env/-'));
  return Object.fromEntries(
    added.map((op: { value: { name: string; value: string } }) => [op.value.name, op.value.value]),
  );
}

/** The tree with a tenants repo of its own on the same git server. */
export async function openHouse(): Promise<House> {
  const sandbox = await openSandbox('house');
  try {
    const key = await signingKey(sandbox.folder);
    let tenants: SignedRepository | undefined;
    const tree = await raiseTree({
      async tenants(git) {
        const { url, folder } = await git.createRepository('tenants');
        tenants = signed(url, folder, sandbox.folder, key.path);
        await tenants.replace({ 'tenants/.keep': '' }, true);
        return { url, username: 'flux', password: 'unused-on-loopback', signer: key.publicKey };
      },
    });
    sandbox.onEnd(() => tree[Symbol.asyncDispose]());
    return {
      ...tree,
      tenants: tenants!,
      async member(name) {
        const { url, folder } = await tree.flux.git.createRepository(name);
        return signed(url, folder, sandbox.folder, key.path);
      },
      [Symbol.asyncDispose]: () => sandbox.end(),
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

export async function raiseTree(options: TreeOptions): Promise<Tree> {
  const sandbox = await openSandbox('tree');
  try {
    const { kubernetes, helm = true, change = (text) => text } = options;
    const flux = await startFlux({
      helm,
      notification: true,
      kustomizeEnv: kustomizeEnvironment(),
      ...(kubernetes ? { kubernetes } : {}),
    });
    sandbox.onEnd(() => flux.stop());
    const { kubernetes: cluster, git } = flux;
    const origin = git.url.replace(/\/$/, '');
    const tenants = await options.tenants(git);

    const upstream = await git.createRepository('gateway-api');
    const crds: Record<string, string> = {};
    for (const file of await crdFiles('gateway-api')) {
      crds[`config/crd/standard/${file.split('/').at(-1)}`] = readFileSync(file, 'utf8');
    }
    await upstream.commit(crds);
    const { tag } = fluxObject('infra/crds/gateway-api.yaml', 'GitRepository').spec.ref;
    await upstream.git('tag', tag, 'main');

    const charts = helm ? await serveCharts(sandbox) : undefined;
    if (!helm) await installCrds(cluster, Object.values(brings));
    const platform = await git.createRepository('member-prod');
    const tree = shippedTree((text) =>
      change(text).replaceAll('https://git.hackspace.example/hackspace/tenants.git', tenants.url)
        .replaceAll('https://github.com/kubernetes-sigs/gateway-api', upstream.url)
        .replace(/(kind: HelmRepository[\s\S]*?url: )\S+/g, `$1${charts}`)
        .replace(/gitOrigins: .*/, `gitOrigins: ${origin}`)
        .replace(/retryInterval: \w+/g, 'retryInterval: 1s')
    );
    await platform.commit(helm ? tree : withoutCharts(tree));

    // What the Flux Operator does with the FluxInstance.
    await installCrds(cluster, ['flux-operator']);
    const { sync } = fluxObject('clusters/member-prod/flux-instance.yaml', 'FluxInstance').spec;
    await cluster.apply(operatorsPart(platform.url, sync.path));
    await cluster.apply(secrets(tenants));
    const readyAt = watchReady(flux, sandbox);
    return { flux, origin, readyAt, [Symbol.asyncDispose]: () => sandbox.end() };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

/** The quota controller looks for new kinds every half minute; at its start it knows them all. */
export async function knowNewKinds({ flux }: Tree): Promise<void> {
  if (!(flux.kubernetes instanceof ControlPlane)) return;
  await flux.kubernetes.controllers?.stop('SIGKILL');
  await flux.kubernetes.controllers?.start();
}

/** The tree with nothing but a ConfigMap where the charts were. */
function withoutCharts(tree: Record<string, string>): Record<string, string> {
  const folder = 'flux/infra/controllers/';
  const rest = Object.entries(tree).filter(([path]) => !path.startsWith(folder));
  const map =
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: no-charts, namespace: flux-system}\n';
  return { ...Object.fromEntries(rest), [`${folder}no-charts.yaml`]: map };
}

// deno-lint-ignore no-explicit-any -- a manifest
export function fluxObject(path: string, kind: string): any {
  return parseAllDocuments(readFileSync(join(FLUX, path), 'utf8')).map((d) => d.toJS())
    .find((each) => each.kind === kind);
}

function shippedTree(change: (text: string) => string): Record<string, string> {
  return Object.fromEntries(
    filesBelow(FLUX).filter((path) => path.endsWith('.yaml')).map((path) => [
      `flux/${path}`,
      change(readFileSync(join(FLUX, path), 'utf8')),
    ]),
  );
}

function operatorsPart(url: string, path: string): string {
  const account = (name: string) =>
    `{apiVersion: v1, kind: ServiceAccount, metadata: {name: ${name}, namespace: flux-system}}\n---\n`;
  return account('kustomize-controller') + account('helm-controller') + `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cluster-reconciler-flux-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
  - {kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}
  - {kind: ServiceAccount, name: helm-controller, namespace: flux-system}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 1m, url: "${url}", ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec:
  interval: 1m
  retryInterval: 1s
  path: ${path}
  prune: true
  serviceAccountName: kustomize-controller
  sourceRef: {kind: GitRepository, name: flux-system}
`;
}

function secrets({ username, password, signer }: Tracked): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      ['tenants-repo', { username, password }],
      ['tenants-signers', { 'provisioner.sshpub': signer }],
      // External Secrets would bring it.
      ['tenants-receiver', { token: RECEIVER_KEY }],
    ].map(([name, stringData]) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: 'flux-system' },
      stringData,
    })),
  });
}

/** An SSH key of its own for signing, as the provisioner has one. */
export async function signingKey(folder: string): Promise<{ path: string; publicKey: string }> {
  const path = join(folder, 'signing');
  await runOk('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'provisioner', '-f', path]);
  return { path, publicKey: readFileSync(`${path}.pub`, 'utf8') };
}

const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };

/** `folder`: what to clone and push, where that differs from `url`; `scratch`: for working copies. */
export function signed(
  url: string,
  folder: string,
  scratch: string,
  key: string,
): SignedRepository {
  return {
    url,
    async replace(files, sign = false) {
      const work = mkdtempSync(join(scratch, 'work-'));
      const git = (...args: string[]) =>
        runOk('git', [
          '-C',
          work,
          '-c',
          'user.name=t',
          '-c',
          'user.email=t@hackspace.test',
          '-c',
          'gpg.format=ssh',
          '-c',
          `user.signingKey=${key}`,
          ...args,
        ], { env });
      try {
        await runOk('git', ['clone', '--quiet', folder, work], { env });
        await git('checkout', '--quiet', '-B', 'main');
        await git('rm', '-r', '--quiet', '--ignore-unmatch', '.');
        for (const [path, text] of Object.entries(files)) {
          mkdirSync(dirname(join(work, path)), { recursive: true });
          writeFileSync(join(work, path), text);
        }
        await git('add', '--all');
        await git('commit', '--quiet', '--allow-empty', ...(sign ? ['-S'] : []), '-m', 'change');
        await git('push', '--quiet', 'origin', 'main');
        return (await git('rev-parse', 'HEAD')).trim();
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

/** The CRDs that the real chart of this name brings. */
const brings: Record<string, CrdName> = {
  'cert-manager': 'cert-manager',
  'external-secrets': 'external-secrets',
};

/** A Helm repository with a stand-in of every chart that flux/infra/controllers names. */
async function serveCharts(sandbox: Awaited<ReturnType<typeof openSandbox>>): Promise<string> {
  const folder = join(sandbox.folder, 'charts');
  mkdirSync(folder);
  const entries: string[] = [];
  for (const file of filesBelow(join(FLUX, 'infra/controllers'))) {
    for (
      const doc of parseAllDocuments(readFileSync(join(FLUX, 'infra/controllers', file), 'utf8'))
    ) {
      const release = doc.toJS();
      if (release?.kind !== 'HelmRelease') continue;
      const { chart: name, version } = release.spec.chart.spec;
      const root = join(folder, name);
      mkdirSync(join(root, 'templates'), { recursive: true });
      mkdirSync(join(root, 'crds'));
      writeFileSync(
        join(root, 'Chart.yaml'),
        `apiVersion: v2\nname: ${name}\nversion: ${version}\n`,
      );
      writeFileSync(
        join(root, 'templates/stand-in.yaml'),
        `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: stand-in-${name}\ndata:\n  of: chart ${name}\n`,
      );
      const crds = brings[name] ? await crdFiles(brings[name]) : [];
      for (const crd of crds) {
        writeFileSync(join(root, 'crds', crd.split('/').at(-1)!), readFileSync(crd));
      }
      await runOk('tar', ['-czf', join(folder, `${name}.tgz`), '-C', folder, name]);
      entries.push(
        `  ${name}:\n    - {apiVersion: v2, name: ${name}, version: "${version}", urls: [${name}.tgz]}`,
      );
    }
  }
  const index = `apiVersion: v1\nentries:\n${entries.join('\n')}\n`;
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1);
    const path = join(folder, name);
    if (name === 'index.yaml') response.end(index);
    else if (/^[a-z-]+\.tgz$/.test(name) && statSync(path, { throwIfNoEntry: false })) {
      response.end(readFileSync(path));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  sandbox.onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Notes when each Kustomization of flux-system became ready for the first time. */
function watchReady(flux: Flux, sandbox: Awaited<ReturnType<typeof openSandbox>>) {
  const seen = new Map<string, number>();
  const began = Date.now();
  const timer = setInterval(async () => {
    const path = '/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations';
    const list = await flux.kubernetes.ask(path).then((a) => a.json().items ?? [], () => []);
    for (const { metadata, status } of list) {
      const ready = status?.conditions?.find((c: { type: string }) => c.type === 'Ready');
      if (ready?.status === 'True' && !seen.has(metadata.name)) {
        seen.set(metadata.name, Date.now() - began);
      }
    }
  }, 50);
  sandbox.onEnd(() => clearInterval(timer));
  return seen;
}
