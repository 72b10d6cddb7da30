/** Every peer, most needed first: the order in which `npm run peers` builds them. */
import { khal, libical, pythonIcalendar } from './calendar-clients.ts';
import { chromium } from './browser.ts';
import { apacheDigest, lighttpdDigest } from './digest.ts';
import { docker, k3sStandIn } from './docker.ts';
import { flux, helm, notification } from './flux.ts';
import { gitPeer } from './git.ts';
import { gitea } from './gitea.ts';
import { keycloak } from './keycloak.ts';
import { kubeconformPeer } from './kubeconform.ts';
import { controlPlanePeer, kubernetes } from './kubernetes.ts';
import { kustomizePeer } from './kustomize.ts';
import type { Peer } from './lib/peer.ts';
import {
  busybox,
  checkzone,
  debconf,
  debianInstaller,
  dnsmasq,
  isoTools,
  promtool,
  qemu,
  systemd,
} from './machines.ts';
import { nginx } from './nginx.ts';
import { openbao } from './openbao.ts';
import { opentofu, terraform } from './opentofu.ts';
import { postgres } from './postgres.ts';
import { radicale } from './radicale.ts';
import { redis } from './redis.ts';
import { sabre } from './sabre.ts';
import { schemathesisPeer } from './schemathesis.ts';
import { smtp } from './smtp.ts';
import { sshd } from './sshd.ts';
import { synapse } from './synapse.ts';
import { talosctlPeer } from './talosctl.ts';

export const peers = {
  openbao,
  kubernetes,
  'control-plane': controlPlanePeer,
  git: gitPeer,
  keycloak,
  gitea,
  flux,
  kubeconform: kubeconformPeer,
  kustomize: kustomizePeer,
  talosctl: talosctlPeer,
  opentofu,
  terraform,
  schemathesis: schemathesisPeer,
  'flux-helm': helm,
  'flux-notification': notification,
  radicale,
  sabre,
  'apache-digest': apacheDigest,
  'lighttpd-digest': lighttpdDigest,
  khal,
  'python-icalendar': pythonIcalendar,
  libical,
  chromium,
  nginx,
  redis,
  postgres,
  synapse,
  smtp,
  sshd,
  docker,
  'k3s-stand-in': k3sStandIn,
  debconf,
  'systemd-analyze': systemd,
  promtool,
  busybox,
  'named-checkzone': checkzone,
  'iso-tools': isoTools,
  dnsmasq,
  qemu,
  'debian-installer': debianInstaller,
} satisfies Record<string, Peer>;

export type PeerName = keyof typeof peers;
