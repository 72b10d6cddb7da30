/** OpenBao, the real server: one node or a raft cluster, TLS by an own CA, initialised and unsealed on request. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { goBuild } from './lib/go.ts';
import { here } from './lib/here.ts';
import { type Answer, type Ask, ask } from './lib/http.ts';
import { builtPeer } from './lib/peer.ts';
import { type Child, openSandbox, type Sandbox } from './lib/sandbox.ts';
import { type Authority, createAuthority } from './lib/tls.ts';
import { waitFor } from './lib/wait.ts';

const version = versions.tools.openbao;

const build = goBuild({
  name: 'openbao',
  folder: here(import.meta, 'openbao/recipe'),
  package: 'github.com/openbao/openbao',
  binary: 'bao',
  defines: { 'github.com/openbao/openbao/version.fullVersion': version },
});

export const openbao = builtPeer({
  name: 'openbao',
  version,
  had: 'built from the Go module proxy (no web UI)',
  builds: [build],
});

export interface OpenBaoOptions {
  /** Default 1. */
  nodes?: number;
  /** Default `file` for one node (ready in a third of a second, data survive a restart), else `raft`. */
  storage?: 'file' | 'inmem' | 'raft';
  /** Default true: https with the CA of `ca`, names `bao-N.test`, `localhost` and 127.0.0.1. */
  tls?: boolean;
  /** Names the certificates carry besides; for tests of name checks. */
  extraSans?: string[];
  /** Default 5. */
  shares?: number;
  /** Default 3. */
  threshold?: number;
  /** Default true. False: the nodes listen, uninitialised. */
  init?: boolean;
  /** Default true. False: initialised, sealed (in a raft cluster the others have not joined). */
  unseal?: boolean;
  /** Appended to each node's configuration, HCL. */
  config?: string;
}

export interface OpenBaoNode {
  /** `bao-0`; its certificate says `bao-0.test`. */
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly log: string;
  /** A request to this node, with its CA; `token: true` uses the root token. */
  ask(path: string, options?: Ask & { token?: string | true }): Promise<Answer>;
  /** 200 active, 429 standby, 501 uninitialised, 503 sealed, 0 nobody there. */
  health(): Promise<number>;
  /** `/v1/sys/seal-status`. */
  // deno-lint-ignore no-explicit-any -- the shape is the server's
  sealStatus(): Promise<any>;
  /** Sends shares until it reports unsealed. */
  unseal(shares?: string[]): Promise<void>;
  running(): boolean;
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  kill(): Promise<void>;
  /** Comes back sealed, on the same port, with its data (not with `inmem`). */
  restart(signal?: NodeJS.Signals): Promise<void>;
}

export interface OpenBao extends AsyncDisposable {
  readonly version: string;
  readonly nodes: readonly OpenBaoNode[];
  readonly node: OpenBaoNode;
  /** Of the first node. */
  readonly url: string;
  /** PEM; undefined without TLS. */
  readonly ca: string | undefined;
  readonly caFile: string | undefined;
  readonly authority: Authority | undefined;
  /** Hex, as `sys/init` gave them. */
  readonly keys: readonly string[];
  readonly keysBase64: readonly string[];
  readonly threshold: number;
  readonly rootToken: string;
  /** A request with the root token to the active node. */
  ask(path: string, options?: Ask): Promise<Answer>;
  /** `ask` that insists on 2xx and returns the parsed body (undefined for 204). */
  // deno-lint-ignore no-explicit-any -- the shape is the server's
  call(path: string, options?: Ask): Promise<any>;
  /** The first active node, waited for. */
  active(ms?: number): Promise<OpenBaoNode>;
  /** `sys/init` on the first node; only after `init: false`. */
  init(): Promise<void>;
  /** Unseals every running node, raft joiners included. */
  unseal(): Promise<void>;
  /** Stops node `n` (default all), starts it again, sealed. */
  restart(n?: number, signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

export async function startOpenBao(options: OpenBaoOptions = {}): Promise<OpenBao> {
  const { nodes: count = 1, tls = true, shares = 5, threshold = 3 } = options;
  const storage = options.storage ?? (count > 1 ? 'raft' : 'file');
  if (count > 1 && storage !== 'raft') throw new Error('Cannot start OpenBao: nodes need raft');
  const folder = build.folder();
  if (!folder) throw new Error(`Cannot start OpenBao: ${openbao.missing()}; ${openbao.command}`);
  const sandbox = await openSandbox('openbao');
  try {
    const authority = tls
      ? await createAuthority(join(sandbox.folder, 'pki'), 'bao test CA')
      : undefined;
    const plan = await Promise.all(Array.from({ length: count }, async (_, n) => ({
      name: `bao-${n}`,
      port: await sandbox.port(),
      cluster: await sandbox.port(),
    })));
    const bao = join(folder, 'bin', 'bao');
    const context = { sandbox, authority, plan, storage, bao, options };
    const nodes = await Promise.all(plan.map((_, n) => startNode(context, n)));
    const cluster = new Cluster(sandbox, nodes, authority, { shares, threshold });
    if (options.init !== false) await cluster.init();
    if (options.init !== false && options.unseal !== false) await cluster.unseal();
    return cluster;
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

interface Planned {
  name: string;
  port: number;
  cluster: number;
}

interface Context {
  sandbox: Sandbox;
  authority: Authority | undefined;
  plan: Planned[];
  storage: string;
  bao: string;
  options: OpenBaoOptions;
}

async function startNode(context: Context, n: number): Promise<Node> {
  const { sandbox, authority, plan, options } = context;
  const { name, port } = plan[n]!;
  const data = join(sandbox.folder, name);
  mkdirSync(data);
  const sans = [`DNS:${name}.test`, 'DNS:localhost', 'IP:127.0.0.1', ...options.extraSans ?? []];
  await authority?.issue(name, { subject: `/CN=${name}.test`, sans });
  const file = join(sandbox.folder, `${name}.hcl`);
  writeFileSync(file, configOf(context, n, data));
  const url = `${authority ? 'https' : 'http'}://127.0.0.1:${port}`;
  const ca = authority?.cert;
  const ready = () =>
    ask(`${url}/v1/sys/seal-status`, { ...(ca ? { ca } : {}), timeoutMs: 2_000 })
      .then((answer) => answer.status === 200, () => false);
  const child = await sandbox.spawn(name, context.bao, ['server', `-config=${file}`], {
    ready,
    env: { HOME: data, VAULT_ADDR: undefined, BAO_ADDR: undefined },
  });
  return new Node(name, url, port, ca, child);
}

function configOf(
  { authority, plan, storage, sandbox, options }: Context,
  n: number,
  data: string,
) {
  const { name, port, cluster } = plan[n]!;
  const scheme = authority ? 'https' : 'http';
  const pki = join(sandbox.folder, 'pki');
  const joins = plan.filter((_, other) => other !== n).map((other) => `
  retry_join {
    leader_api_addr = "${scheme}://127.0.0.1:${other.port}"${
    authority
      ? `
    leader_ca_cert_file = "${pki}/ca.crt"
    leader_tls_servername = "${other.name}.test"`
      : ''
  }
  }`);
  const raft = storage === 'raft'
    ? `
  node_id = "${name}"
  performance_multiplier = 1${joins.join('')}`
    : '';
  const path = storage === 'inmem' ? '' : `\n  path = "${data}"`;
  return `storage "${storage}" {${path}${raft}
}
listener "tcp" {
  address = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${cluster}"
  ${
    authority
      ? `tls_cert_file = "${pki}/${name}.crt"\n  tls_key_file = "${pki}/${name}.key"`
      : 'tls_disable = true'
  }
}
api_addr = "${scheme}://127.0.0.1:${port}"
cluster_addr = "https://127.0.0.1:${cluster}"
cluster_name = "test"
${options.config ?? ''}
`;
}

class Node implements OpenBaoNode {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly #ca: string | undefined;
  readonly #child: Child;
  /** Filled by `init`. */
  secrets: { shares: string[]; root: string } = { shares: [], root: '' };

  constructor(name: string, url: string, port: number, ca: string | undefined, child: Child) {
    this.name = name;
    this.url = url;
    this.port = port;
    this.#ca = ca;
    this.#child = child;
  }

  get log() {
    return this.#child.log;
  }
  ask(path: string, { token, ...options }: Ask & { token?: string | true } = {}) {
    const secret = token === true ? this.secrets.root : token;
    const headers = { ...(secret ? { 'x-vault-token': secret } : {}), ...options.headers };
    const ca = this.#ca ? { ca: this.#ca } : {};
    return ask(this.url + path, { ...ca, ...options, headers });
  }
  health() {
    return this.ask('/v1/sys/health', { timeoutMs: 2_000 }).then((a) => a.status, () => 0);
  }
  async sealStatus() {
    return (await this.ask('/v1/sys/seal-status')).json();
  }
  async unseal(shares = this.secrets.shares) {
    // A raft joiner knows the seal once it has reached the leader, 0.2 s after that is unsealed.
    await waitFor(`${this.name} to know its seal`, async () => (await this.sealStatus()).t > 0);
    for (const key of shares) {
      const answer = await this.ask('/v1/sys/unseal', { method: 'POST', body: { key } });
      if (answer.status !== 200) {
        throw new Error(`Cannot unseal ${this.name}: ${answer.status}: ${answer.text}`);
      }
      if (!answer.json().sealed) return;
    }
    // The last share of a first join answers sealed: true; unsealed a second later.
    await waitFor(`${this.name} to be unsealed`, async () => !(await this.sealStatus()).sealed);
  }
  running() {
    return this.#child.running();
  }
  start() {
    return this.#child.start();
  }
  stop(signal: NodeJS.Signals = 'SIGTERM') {
    return this.#child.stop(signal);
  }
  kill() {
    return this.#child.kill();
  }
  async restart(signal: NodeJS.Signals = 'SIGTERM') {
    await this.stop(signal);
    await this.start();
  }
}

class Cluster implements OpenBao {
  readonly version = version;
  readonly nodes: readonly Node[];
  readonly authority: Authority | undefined;
  keys: string[] = [];
  keysBase64: string[] = [];
  rootToken = '';
  readonly threshold: number;
  readonly #shares: number;
  readonly #sandbox: Sandbox;
  #joined = false;

  constructor(
    sandbox: Sandbox,
    nodes: Node[],
    authority: Authority | undefined,
    { shares, threshold }: { shares: number; threshold: number },
  ) {
    this.#sandbox = sandbox;
    this.nodes = nodes;
    this.authority = authority;
    this.#shares = shares;
    this.threshold = threshold;
  }

  get node() {
    return this.nodes[0]!;
  }
  get url() {
    return this.node.url;
  }
  get ca() {
    return this.authority?.cert;
  }
  get caFile() {
    return this.authority?.certFile;
  }
  async init() {
    const body = { secret_shares: this.#shares, secret_threshold: this.threshold };
    const answer = await this.node.ask('/v1/sys/init', { method: 'PUT', body, timeoutMs: 30_000 });
    if (answer.status !== 200) {
      throw new Error(`Cannot initialise OpenBao: ${answer.status}: ${answer.text}`);
    }
    const { keys, keys_base64, root_token } = answer.json();
    Object.assign(this, { keys, keysBase64: keys_base64, rootToken: root_token });
    const secrets = { shares: this.keys.slice(0, this.threshold), root: this.rootToken };
    for (const node of this.nodes) node.secrets = secrets;
  }
  async unseal() {
    const [first, ...others] = this.nodes.filter((node) => node.running());
    await first?.unseal();
    // Joiners need a leader the first time; later, members unseal without one.
    if (!this.#joined) await this.active();
    await Promise.all(others.map((node) => node.unseal()));
    this.#joined = true;
    await this.active();
  }
  async active(ms = 30_000) {
    let found: Node | undefined;
    await waitFor('an active node', async () => {
      const states = await Promise.all(this.nodes.map((node) => node.health()));
      found = this.nodes[states.indexOf(200)];
      return found !== undefined;
    }, { ms });
    return found!;
  }
  async ask(path: string, options: Ask = {}) {
    return await (await this.active()).ask(path, { ...options, token: true });
  }
  async call(path: string, options: Ask = {}) {
    const answer = await this.ask(path, options);
    if (answer.status < 200 || answer.status > 299) {
      const what = `${options.method ?? 'GET'} ${path}`;
      throw new Error(`Cannot ${what}: ${answer.status}: ${answer.text.slice(0, 500)}`);
    }
    return answer.text === '' ? undefined : answer.json();
  }
  async restart(n?: number, signal: NodeJS.Signals = 'SIGTERM') {
    const which = n === undefined ? this.nodes : [this.nodes[n]!];
    await Promise.all(which.map((node) => node.stop(signal)));
    await Promise.all(which.map((node) => node.start()));
  }
  stop() {
    return this.#sandbox.end();
  }
  [Symbol.asyncDispose]() {
    return this.#sandbox.end();
  }
}
