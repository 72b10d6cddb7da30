import { readSecret } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import { openState, type State } from '@hackspace/kit/state.ts';
import { access, constants, mkdir, readFile } from 'node:fs/promises';
import { findKeys } from './auth/bearer.ts';
import { fluxStatus } from './cluster/flux-status.ts';
import { kubeReader } from './cluster/kube.ts';
import type { KubeconfigOptions } from './cluster/kubeconfig.ts';
import { fluxReceiver, hookUrl } from './cluster/receiver.ts';
import type { Config, Loaded } from './config.ts';
import { createExporter } from './export.ts';
import { claims } from './membership/claims.ts';
import { keycloak } from './membership/keycloak.ts';
import type { Membership } from './membership/membership.ts';
import { staticList } from './membership/static.ts';
import { icsProxy, unsealer } from './neighbours.ts';
import { everyWay, type Notifier } from './notify/notify.ts';
import { smtp } from './notify/smtp.ts';
import { webhook } from './notify/webhook.ts';
import { bareGit } from './store/bare-git.ts';
import { forgejo } from './store/forgejo.ts';
import { gitRemote } from './store/git-remote.ts';
import { openStore } from './store/queue.ts';
import type { Backend, Store } from './store/store.ts';
import { Sweep } from './sweep.ts';
import { Tenants } from './tenants.ts';

/** Everything a config asks for, opened and wired; used by main, by the CLI and by tests. */
export interface Service {
  store: Store;
  state: State;
  membership: Membership;
  notifier: Notifier;
  tenants: Tenants;
  sweep: Sweep;
  cluster: ReturnType<typeof fluxStatus> | undefined;
  feedToken: ReturnType<typeof icsProxy>['make'] | undefined;
  vault: ReturnType<typeof unsealer> | undefined;
  kubeconfig: KubeconfigOptions | undefined;
  /** Wakes Flux, if it can be woken. */
  wake: (() => void) | undefined;
  /** A question to each thing that the config names; it throws when the thing is not as it should be. */
  checks: [what: string, ask: () => Promise<string>][];
  close(): Promise<void>;
}

/** Throws AppError with the first thing that cannot be opened. */
export async function openService({ config, policy }: Loaded, now = Date.now): Promise<Service> {
  const state = await openState(config.state);
  const receiver = config.receiver && await openReceiver(config.receiver);
  const store = openStore(await openBackend(config), {
    onPublish: (revision) => receiver?.woken(revision),
  });
  const membership = await openMembership(config);
  const cluster = config.cluster && fluxStatus(kubeReader(config.cluster), policy);
  const notifier = await openNotifier(config);
  const hook = config.export.hook;
  const sweep = new Sweep({
    store,
    membership,
    policy,
    state,
    now,
    notifier,
    exporter: createExporter({
      dir: config.export.archiveDir,
      hook: hook && { url: hook.url, secret: await readSecret(hook.secretFile) },
    }),
    drained: async (name) => await cluster?.drained(name).catch(() => undefined),
  }, { ...config.sweep, committer: config.committer });
  const calendar = config.icsProxy && await openCalendar(config.icsProxy);
  const vault = config.unsealer && await openVault(config.unsealer);
  const kube = config.kubeconfig;
  const checks: Service['checks'] = [
    ['tenants repo', async () => (await store.snapshot()).revision ?? 'empty'],
    ['membership', () => membership.selfTest().then(() => 'answers rightly')],
    ['state', () => state.set('check/probe', 'x').then(() => 'writable')],
    ['archives', () => writable(config.export.archiveDir).then(() => 'writable')],
    ['login', () => findKeys(config.api).then(() => 'says where its keys are')],
  ];
  const check = (wanted: unknown, ...one: Service['checks'][number]) => wanted && checks.push(one);
  check(config.notify.smtp, 'mail', async () => (await notifier.check?.(), 'lets us in'));
  check(cluster, 'cluster', () => cluster!.drained('check-probe').then(() => 'readable'));
  check(receiver, 'Flux', () => receiver!.wake('check').then(() => 'was woken'));
  check(calendar, 'calendar', () => calendar!.check().then(() => 'lets us in'));
  check(vault, 'vault', async () => {
    const state = await vault!();
    if (state !== 'unknown') return state;
    throw new AppError('unavailable', 'Cannot ask the unsealer: it does not answer, or not us');
  });
  return {
    store,
    state,
    membership,
    notifier,
    sweep,
    cluster,
    tenants: new Tenants({ store, membership, policy, now }),
    feedToken: calendar?.make,
    vault,
    kubeconfig: kube && {
      server: kube.server,
      ca: await readFile(kube.caFile, 'utf8'),
      cluster: kube.cluster,
      issuer: config.api.issuer,
      clientId: kube.clientId,
    },
    wake: receiver && (() => receiver.woken('trigger')),
    checks,
    async close() {
      await store.close();
      await sweep.close();
      await receiver?.close();
      await state.close();
    },
  };
}

export async function openBackend(config: Config): Promise<Backend> {
  const { store, committer } = config;
  switch (store.kind) {
    case 'bare-git':
      return await bareGit({ ...store, dir: store.repositoryDir, committer });
    case 'git-remote':
      return await gitRemote({ ...store, dir: store.repositoryDir, committer });
    case 'forgejo':
      return await forgejo({ ...store, committer });
  }
}

async function openReceiver({ url, name, secretFile }: NonNullable<Config['receiver']>) {
  const key = await readSecret(secretFile);
  return fluxReceiver(hookUrl(url, name, key), key);
}

async function openCalendar({ url, feed, tokenFile }: NonNullable<Config['icsProxy']>) {
  return icsProxy({ url, feed, token: await readSecret(tokenFile) });
}

async function openVault({ url, tokenFile }: NonNullable<Config['unsealer']>) {
  return unsealer({ url, token: tokenFile ? await readSecret(tokenFile) : undefined });
}

async function writable(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
    await access(dir, constants.W_OK);
  } catch (cause) {
    throw new AppError('unavailable', `Cannot write to ${dir}`, { cause });
  }
}

export async function openMembership(config: Config): Promise<Membership> {
  const { membership } = config;
  switch (membership.kind) {
    case 'keycloak':
      return keycloak({
        ...membership,
        clientSecret: await readSecret(membership.clientSecretFile),
        timeoutMs: membership.timeout,
      });
    case 'claims':
      return claims(membership);
    case 'static':
      return staticList(membership.membersFile);
  }
}

async function openNotifier(config: Config): Promise<Notifier> {
  const ways: Notifier[] = [];
  const { smtp: mail, webhook: hook } = config.notify;
  if (mail) {
    ways.push(smtp({
      ...mail,
      password: mail.passwordFile ? await readSecret(mail.passwordFile) : undefined,
      wording: { space: config.space.name, portal: config.publicUrl },
    }));
  }
  if (hook) ways.push(webhook(hook.url, await readSecret(hook.secretFile)));
  return everyWay(ways);
}
