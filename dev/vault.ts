import { resolve } from 'node:path';
import { startSimulator } from '../services/unsealer/simulator.ts';
import { ask } from '../tests/peers/lib/http.ts';
import { findProgram } from '../tests/peers/lib/run.ts';
import { createAuthority } from '../tests/peers/lib/tls.ts';
import { type OpenBao, openbao, startOpenBao } from '../tests/peers/openbao.ts';
import type { Place } from './place.ts';

/** A vault of which two of three shares open each node. */
export interface Vault {
  /** What it is, in words. */
  what: string;
  /** What stands where OpenBao would; undefined when it is the real one. */
  standIn: string | undefined;
  /** The real one. */
  bao: OpenBao | undefined;
  nodes: VaultNode[];
  caFile: string;
  keys: readonly string[];
  clusterId: string;
}

export interface VaultNode {
  id: string;
  url: string;
  /** The name in its certificate. */
  san: string;
  /** Rejects while nobody listens. */
  sealed(): Promise<boolean>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Why there can be no vault here at all, with the command that mends it. */
export function vaultMissing(): string | undefined {
  return findProgram('openssl') ? undefined : 'no openssl to make certificates with; ' +
    'bring it with: apt-get install openssl';
}

/**
 * OpenBao, where `npm run peers -- openbao` has built it; otherwise the unsealer's simulator of it, sealed
 * until the unsealer comes. New with each start.
 */
export async function startVault(place: Place, nodes = 1): Promise<Vault> {
  return openbao.missing() ? await simulated(place) : await real(nodes);
}

async function real(count: number): Promise<Vault> {
  const bao = await startOpenBao({ nodes: count, shares: 3, threshold: 2 });
  const raft = count > 1 ? `, ${count} raft nodes` : '';
  return {
    what: `OpenBao ${bao.version}${raft}`,
    standIn: undefined,
    bao,
    caFile: bao.caFile!,
    keys: bao.keys,
    clusterId: (await bao.node.sealStatus()).cluster_id,
    nodes: bao.nodes.map((node) => ({
      id: node.name,
      url: node.url,
      san: `${node.name}.test`,
      sealed: () => sealed(node.url, bao.ca!),
      start: () => node.start(),
      stop: () => node.stop(),
    })),
  };
}

async function simulated(place: Place): Promise<Vault> {
  const san = 'simulator.test';
  const authority = await createAuthority(resolve(place.file('simulator', 'pki')), 'simulator CA');
  const { cert, key } = await authority.issue('node', {
    subject: '/CN=simulator',
    sans: [`DNS:${san}`],
  });
  const simulator = await startSimulator({ nodes: 1, threshold: 2, shares: 3, cert, key });
  const { keys, clusterId } = simulator;
  return {
    what: 'a simulator of OpenBao’s unsealing',
    standIn:
      'A SIMULATOR stands where OpenBao would: it answers about seals and takes shares as the ' +
      `real server does, and keeps no secret. ${openbao.command} brings the real one.`,
    bao: undefined,
    caFile: authority.certFile,
    keys,
    clusterId,
    nodes: simulator.nodes.map((node) => ({
      id: node.id,
      url: node.url,
      san,
      sealed: () => sealed(node.url, authority.cert, san),
      start: () => node.start(),
      stop: () => node.stop(),
    })),
  };
}

async function sealed(url: string, ca: string, servername = 'localhost'): Promise<boolean> {
  return (await ask(`${url}/v1/sys/seal-status`, { ca, servername, timeoutMs: 2000 })).json()
    .sealed;
}

/** When a node first answered, and when it was open: in ms since its start. */
export interface Reopened {
  answered: number;
  open: number;
}

/** Stops all nodes, starts them, and looks every 10 ms. */
export async function restartVault({ nodes }: Vault): Promise<Reopened[]> {
  await Promise.all(nodes.map((node) => node.stop()));
  return await Promise.all(nodes.map(async (node) => {
    const began = performance.now();
    const starting = node.start();
    let answered: number | undefined;
    while (performance.now() - began < 30_000) {
      const sealed = await node.sealed().catch(() => undefined);
      const ms = Math.round(performance.now() - began);
      if (sealed !== undefined) answered ??= ms;
      if (sealed === false) {
        await starting;
        return { answered: answered!, open: ms };
      }
      await new Promise((done) => setTimeout(done, 10));
    }
    throw new Error('The vault was restarted and is still sealed.');
  }));
}
