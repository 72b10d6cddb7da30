/**
 * Finds nodes by a headless Service or by pod labels. Hints only: whatever answers there must still
 * prove the pinned name under the pinned CA, and pass every gate.
 */
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { AppError } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Api } from '../bridge/api.ts';
import type { ClusterConfig } from '../config.ts';
import type { ClusterLoop, NodePlan } from '../loop.ts';
import { every } from './every.ts';

const log = getLogger(['unsealer', 'discovery']);
const MOST = 200;
/** How long a node that is no longer hinted at stays watched. */
const FORGET = 10 * 60_000;

const PODS = z.object({
  items: z.array(z.object({
    metadata: z.object({ name: z.string() }),
    status: z.object({ podIP: z.string().optional() }).optional(),
  })),
});

export interface Hint {
  id: string;
  url: string;
}

type Discover = NonNullable<ClusterConfig['discover']>;

const urlOf = (address: string, port: number) =>
  `https://${isIPv6(address) ? `[${address}]` : address}:${port}`;

/** What is hinted at now. Throws AppError `unavailable` when it cannot be asked. */
export async function hints(
  discover: Discover,
  kube: Api | undefined,
  resolve: (name: string) => Promise<string[]> = resolveAll,
): Promise<Hint[]> {
  if ('dns' in discover) {
    const addresses = await resolve(discover.dns);
    return addresses.slice(0, MOST)
      .map((address) => ({
        id: `${address}:${discover.port}`,
        url: urlOf(address, discover.port),
      }));
  }
  const path = `/api/v1/namespaces/${discover.namespace}/pods?limit=${MOST}&labelSelector=${
    encodeURIComponent(discover.labels)
  }`;
  const answer = await kube!.ask('GET', path);
  if (answer.status !== 200) {
    throw new AppError(
      'unavailable',
      `Cannot list pods of ${discover.namespace}: ${answer.status}`,
    );
  }
  return PODS.parse(answer.body).items.flatMap(({ metadata, status }) =>
    status?.podIP ? [{ id: metadata.name, url: urlOf(status.podIP, discover.port) }] : []
  );
}

async function resolveAll(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new AppError('unavailable', `Cannot resolve ${name}: ${code}`);
  }
}

/** Adds what is hinted at to the loop; a failed look changes nothing. */
export function startDiscovery(
  discover: Discover,
  loop: ClusterLoop,
  planOf: (hint: Hint) => NodePlan,
  options: {
    kube: Api | undefined;
    resolve?: (name: string) => Promise<string[]>;
    clock?: () => number;
  },
): { stop(): Promise<void> } {
  const { clock = () => performance.now() } = options;
  const known = new Map<string, { url: string; at: number }>();
  return every(discover.every, async () => {
    const found = await hints(discover, options.kube, options.resolve);
    for (const hint of found) {
      const before = known.get(hint.id);
      if (before?.url !== hint.url) {
        if (before) loop.remove(hint.id);
        loop.add(planOf(hint));
        log.info('node found', { cluster: loop.plan.id, node: hint.id });
      }
      known.set(hint.id, { url: hint.url, at: clock() });
    }
    for (const [id, { at }] of known) {
      if (clock() - at < FORGET) continue;
      known.delete(id);
      loop.remove(id);
      log.info('node forgotten', { cluster: loop.plan.id, node: id });
    }
  }, 'discovery failed');
}
