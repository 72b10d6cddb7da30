/** Which helper may reset progress: the holder of a Kubernetes Lease (coordination.k8s.io/v1). */
import { z } from 'zod';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Api } from '../bridge/api.ts';
import { every } from './every.ts';

const log = getLogger(['unsealer', 'election']);
const LEASE = z.object({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({
    holderIdentity: z.string().nullish(),
    renewTime: z.string().nullish(),
    leaseTransitions: z.number().nullish(),
  }),
});

export interface ElectionOptions {
  namespace: string;
  lease: string;
  /** Milliseconds a lease lives without renewal. */
  duration: number;
  identity: string;
  /** Monotonic milliseconds: other clocks are never compared. */
  clock?: () => number;
}

export interface Election {
  elected(): boolean;
  stop(): Promise<void>;
}

/**
 * A lease is taken over only when it has stood unchanged for its whole duration as WE saw it; ours
 * counts only while our last renewal is younger than two thirds of it. So two are never elected,
 * unless a clock runs at another speed.
 */
export function startElection(kube: Api, options: ElectionOptions): Election {
  const { clock = () => performance.now(), duration, identity } = options;
  const base = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  const path = `${base}/${options.lease}`;
  let renewed = -Infinity;
  let seen = { mark: '', at: 0 };
  const elected = () => clock() - renewed < duration * 2 / 3;

  const body = (transitions: number, resourceVersion?: string) => {
    const now = new Date().toISOString().replace('Z', '000Z');
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: options.lease,
        namespace: options.namespace,
        ...(resourceVersion ? { resourceVersion } : {}),
      },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(duration / 1000),
        renewTime: now,
        leaseTransitions: transitions,
      },
    };
  };

  async function round(): Promise<void> {
    const started = clock();
    const before = elected();
    const got = await kube.ask('GET', path);
    let written;
    if (got.status === 404) written = await kube.ask('POST', base, body(0));
    else if (got.status === 200) {
      const { metadata, spec } = LEASE.parse(got.body);
      const mark = `${spec.holderIdentity} ${spec.renewTime}`;
      if (mark !== seen.mark) seen = { mark, at: started };
      const ours = spec.holderIdentity === identity;
      const free = !spec.holderIdentity || started - seen.at >= duration;
      if (!ours && !free) return;
      const transitions = (spec.leaseTransitions ?? 0) + (ours ? 0 : 1);
      // The resourceVersion makes it compare-and-swap: of two that try, one gets 409.
      written = await kube.ask('PUT', path, body(transitions, metadata.resourceVersion));
    }
    if (written && written.status < 300) {
      renewed = started;
      if (!before) log.info('elected', { lease: options.lease });
    }
  }
  const rounds = every(Math.max(200, duration / 4), round, 'election round failed');
  return { elected, stop: rounds.stop };
}
