import { readSecret } from '@hackspace/kit/config.ts';
import { openState, type State } from '@hackspace/kit/state.ts';
import { readFile } from 'node:fs/promises';
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
  feedToken: ReturnType<typeof icsProxy> | undefined;
  vault: ReturnType<typeof unsealer> | undefined;
  kubeconfig: KubeconfigOptions | undefined;
  /** Wakes Flux, if it can be woken. */
  wake: (() => void) | undefined;
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
  const calendar = config.icsProxy;
  const vault = config.unsealer;
  const kube = config.kubeconfig;
  return {
    store,
    state,
    membership,
    notifier,
    sweep,
    cluster,
    tenants: new Tenants({ store, membership, policy, now }),
    feedToken: calendar &&
      icsProxy({
        url: calendar.url,
        feed: calendar.feed,
        token: await readSecret(calendar.tokenFile),
      }),
    vault: vault && unsealer({
      url: vault.url,
      token: vault.tokenFile ? await readSecret(vault.tokenFile) : undefined,
    }),
    kubeconfig: kube && {
      server: kube.server,
      ca: await readFile(kube.caFile, 'utf8'),
      cluster: kube.cluster,
      issuer: config.api.issuer,
      clientId: kube.clientId,
    },
    wake: receiver && (() => receiver.woken('trigger')),
    async close() {
      await store.close();
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
