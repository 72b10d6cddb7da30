/** Every peer, most needed first: the order in which `npm run peers` builds them. */
import type { Peer } from './lib/peer.ts';
import { controlPlanePeer, kubernetes } from './kubernetes.ts';
import { openbao } from './openbao.ts';

export const peers = {
  openbao,
  kubernetes,
  'control-plane': controlPlanePeer,
} satisfies Record<string, Peer>;

export type PeerName = keyof typeof peers;
