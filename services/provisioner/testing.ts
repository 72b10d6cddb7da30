// A whole provisioner in a folder, for tests: the real store, a membership that is told what to say.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics } from '@hackspace/kit/metrics.ts';
import type { State } from '@hackspace/kit/state.ts';
import { type AppPorts, createApp } from './app.ts';
import { configSchema } from './config.ts';
import { archiveOf } from './export.ts';
import type { Membership } from './membership/membership.ts';
import type { Notice, Notifier } from './notify/notify.ts';
import { bareGit } from './store/bare-git.ts';
import { openStore } from './store/queue.ts';
import type { Store } from './store/store.ts';
import { Sweep, type SweepOptions } from './sweep.ts';
import { examplePolicy, OWNER } from './tenant/fixtures.ts';
import type { Answer } from './tenant/lifecycle.ts';
import type { Subject } from './tenant/record.ts';
import { type Actor, Tenants } from './tenants.ts';

export const COMMITTER = { name: 'Hackspace provisioner', email: 'provisioner@hackspace.invalid' };

export function person(sub: string, over: Partial<Actor> = {}): Actor {
  return { subject: { iss: OWNER.iss, sub }, name: `Member ${sub}`, admin: false, ...over };
}

/** Says what `answers` holds for a `sub`, else `fallback`. */
export class ScriptedMembership implements Membership {
  answers = new Map<string, Answer>();
  fallback: Answer = 'yes';
  broken = false;

  async check(subject: Subject): Promise<Answer> {
    return this.answers.get(subject.sub) ?? this.fallback;
  }

  async checkAll(subjects: readonly Subject[]): Promise<Answer[]> {
    return await Promise.all(subjects.map((subject) => this.check(subject)));
  }

  async selfTest(): Promise<void> {
    if (this.broken) throw new Error('broken');
  }

  async addressOf(subject: Subject): Promise<string | undefined> {
    return subject.sub === 'nowhere' ? undefined : `${subject.sub}@hackspace.example`;
  }
}

export class RecordingNotifier implements Notifier {
  told: (Notice & { to: string })[] = [];
  admin: string[] = [];
  down = false;

  async tellMember(to: string, notice: Notice): Promise<void> {
    if (this.down) throw new Error('no mail today');
    this.told.push({ to, ...notice });
  }

  async tellAdmin(text: string): Promise<void> {
    if (this.down) throw new Error('no mail today');
    this.admin.push(text);
  }
}

function memoryState(): State {
  const kept = new Map<string, Uint8Array>();
  return {
    get: async (key) => kept.get(key),
    set: async (key, value) => void kept.set(key, Buffer.from(value)),
    add: async (key, value) => !kept.has(key) && Boolean(kept.set(key, Buffer.from(value))),
    delete: async (key) => void kept.delete(key),
    list: async (prefix) => [...kept.keys()].filter((key) => key.startsWith(`${prefix}/`)).sort(),
    close: async () => {},
  };
}

export interface WorldOptions {
  policy?: Record<string, unknown>;
  sweep?: Partial<SweepOptions>;
  ports?: Partial<AppPorts>;
  api?: Record<string, unknown>;
}

/** Everything over one bare repository; `close` removes it. Time stands still until `clock.now` moves. */
export async function world(options: WorldOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'hackspace-provisioner-'));
  const clock = { now: Date.parse('2026-11-23T12:00:00Z') };
  const now = () => clock.now;
  const dir = join(folder, 'tenants.git');
  const store = openStore(await bareGit({ dir, branch: 'main', committer: COMMITTER }));
  const state = memoryState();
  const policy = examplePolicy(options.policy);
  const membership = new ScriptedMembership();
  const notifier = new RecordingNotifier();
  const drained = new Set<string>();
  const archives = new Map<string, Uint8Array>();
  const sweepOf = (replica: Store) =>
    new Sweep({
      store: replica,
      membership,
      policy,
      state,
      notifier,
      now,
      exporter: async (record, files) => void archives.set(record.name, await archiveOf(files)),
      drained: async (name) => drained.has(name),
    }, {
      every: 86_400_000,
      breaker: { share: 0.1, min: 3 },
      committer: COMMITTER,
      ...options.sweep,
    });
  const sweep = sweepOf(store);
  const tenants = new Tenants({ store, membership, policy, now });
  const config = configSchema.parse({
    publicUrl: 'https://io.hackspace.example',
    policyFile: 'policy.yaml',
    state: join(folder, 'state'),
    api: { issuer: OWNER.iss, clients: ['provisioner'], ...options.api },
    store: { kind: 'bare-git', repositoryDir: dir },
    membership: { kind: 'static', membersFile: 'members.yaml' },
    export: { archiveDir: join(folder, 'archives') },
  });
  const ports: AppPorts = {
    store,
    state,
    membership,
    sweep,
    tenants,
    cluster: undefined,
    feedToken: undefined,
    vault: undefined,
    kubeconfig: undefined,
    wake: undefined,
    metrics: createMetrics('provisioner'),
    authenticate: async (token) => person(token, { admin: token === 'admin' }),
    ...options.ports,
  };
  const close = async () => {
    await store.close();
    await state.close();
    await rm(folder, { recursive: true, force: true });
  };
  return {
    folder,
    dir,
    clock,
    store,
    state,
    policy,
    membership,
    notifier,
    drained,
    archives,
    sweep,
    /** The sweep of another replica, by the state and the people of this one. */
    sweepOf,
    tenants,
    config,
    ports,
    app: createApp(config, ports),
    close,
    [Symbol.asyncDispose]: close,
  };
}

export type World = Awaited<ReturnType<typeof world>>;

export function input(name: string, over: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, repository: { url: `https://codeberg.org/member/${name}` }, ...over };
}
