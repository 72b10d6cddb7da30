/** Every peer, most needed first: the order in which `npm run peers` builds them. */
import type { Peer } from './lib/peer.ts';
import { controlPlanePeer, kubernetes } from './kubernetes.ts';
import { apacheDigest, lighttpdDigest } from './digest.ts';
import { openbao } from './openbao.ts';
import { radicale } from './radicale.ts';
import { sabre } from './sabre.ts';

export const peers = {
  openbao,
  kubernetes,
  'control-plane': controlPlanePeer,
  radicale,
  sabre,
  'apache-digest': apacheDigest,
  'lighttpd-digest': lighttpdDigest,
} satisfies Record<string, Peer>;

export type PeerName = keyof typeof peers;
