/** What a cluster's config means: opened shares and the policy that guards them. */
import { open } from 'node:fs/promises';
import { AppError } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { ClusterConfig } from './config.ts';
import type { ClusterPlan } from './loop.ts';
import { type Lock, openShare } from './shares.ts';

const log = getLogger(['unsealer']);

export function lockOf(cluster: Pick<ClusterConfig, 'keyFile' | 'passphraseFile'>): Lock {
  return cluster.keyFile
    ? { keyFile: cluster.keyFile }
    : { passphraseFile: cluster.passphraseFile! };
}

/** Opens every share file of a cluster. Throws AppError `invalid` when one does not fit. */
export async function planOf(id: string, cluster: ClusterConfig): Promise<ClusterPlan> {
  const pins = {
    clusterId: cluster.clusterId,
    threshold: cluster.threshold,
    shares: cluster.shares,
  };
  const shares = await Promise.all(
    cluster.shareFiles.map((path) => openShare(path, pins, lockOf(cluster))),
  );
  const prints = new Set(shares.map((share) => share.fingerprint));
  if (prints.size < shares.length) {
    throw new AppError(
      'invalid',
      `Cannot use shares of cluster ${id}: two files hold the same one`,
    );
  }
  const policy = {
    ...pins,
    coldStart: cluster.coldStart,
    poll: cluster.poll,
    budget: {
      perHour: cluster.budget.perHour,
      backoff: { first: cluster.budget.first, max: cluster.budget.max },
    },
    progressTimeout: cluster.progressTimeout,
    held: shares.length,
  };
  return { id, policy, shares, sealedTooLong: cluster.sealedTooLong };
}

/**
 * A core dump would hold what was in memory. The limit of its size is the unit's to set
 * (`LimitCORE=0`); this empties a dump from within, on Linux, without any right.
 */
export async function forbidCoreDumps(): Promise<void> {
  try {
    const file = await open('/proc/self/coredump_filter', 'w');
    await file.write('0x0');
    await file.close();
  } catch {
    log.warn('core dumps cannot be emptied here: set the core size limit to 0', {});
  }
}
