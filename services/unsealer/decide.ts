/**
 * What to do next about one node: pure. Times are milliseconds of a monotonic clock, so that a
 * jump of the wall clock can neither skip a backoff nor refill a budget.
 */

/** `GET /v1/sys/seal-status`, checked. `clusterId` is absent while a node is sealed. */
export interface SealStatus {
  type: string;
  initialized: boolean;
  sealed: boolean;
  t: number;
  n: number;
  progress: number;
  /** Empty while no share is in; made by the first one. */
  nonce: string;
  migration: boolean;
  recoverySeal: boolean;
  version: string;
  clusterId?: string | undefined;
}

/** What one look at a node told. Reasons hold no secret and may be shown. */
export type Observation =
  | { kind: 'answered'; seal: SealStatus; connection: number }
  /** Nobody there: refused, timed out, name not resolved. */
  | { kind: 'down'; reason: string }
  /** Somebody there whose TLS identity is not the pinned one. */
  | { kind: 'stranger'; reason: string }
  /** The right identity, an answer that is not OpenBao's: redirect, too large, not JSON. */
  | { kind: 'nonsense'; reason: string };

export interface Policy {
  threshold: number;
  shares: number;
  clusterId: string;
  /** Nobody open to vouch for the cluster: go on with TLS identity alone, or ask a human. */
  coldStart: 'auto' | 'confirm';
  poll: { idle: number; sealed: number };
  budget: { perHour: number; backoff: { first: number; max: number } };
  /** How long a half-filled set of shares may stand still before the elected helper clears it. */
  progressTimeout: number;
  /** Whether this helper is the one that may reset progress. */
  elected: boolean;
  /** How many shares this process holds. */
  held: number;
}

/** What a peer node of the same cluster last showed. */
export interface Peer {
  node: string;
  clusterId: string;
}

/** The past of one node, as `history.ts` folds it. */
export interface History {
  /** Shares that are in the server's present set, by our index, and the set's nonce. */
  set: { nonce: string; shares: number[] } | undefined;
  /** When shares were sent, within the last hour, oldest first. */
  sent: number[];
  /** Sets that came to nothing since the node was last open. */
  failures: number;
  failedAt: number;
  /** The last share was accepted, the node opens a moment later (a raft joiner). */
  settlingUntil: number;
  /** Since when `nonce` and `progress` have stood as they are. */
  progress: { nonce: string; count: number; since: number };
  /** Since when the node has been in its present state. */
  since: number;
  connection: number;
  /** Open peers seen lately. */
  peers: Peer[];
  /** Whether every other node has been looked at since this process started. */
  looked: boolean;
  /** Until when a human's confirmation of a cold start holds. */
  confirmedUntil: number;
  /** Whether a share of ours went to this node since it was last known to be the right cluster. */
  exposed: boolean;
}

export interface Hold {
  held: boolean;
  /** Who and why, one a source. */
  reasons: string[];
}

export type Why =
  | 'open'
  | 'down'
  | 'stranger'
  | 'nonsense'
  | 'held'
  | 'not-shamir'
  | 'uninitialised'
  | 'migrating'
  | 'recovery-seal'
  | 'other-threshold'
  | 'looking'
  | 'peer-of-other-cluster'
  | 'unconfirmed'
  | 'settling'
  | 'stale-progress'
  | 'backoff'
  | 'budget'
  | 'others'
  | 'other-cluster';

export type Action =
  /** `text`: what is going on, for people; `next`: milliseconds until the next look. */
  | { do: 'wait'; why: Why; text: string; next: number }
  | { do: 'send'; share: number }
  | { do: 'reset'; text: string }
  /** The node is of another cluster. Hold everything; `disclosed` if it has a share of ours. */
  | { do: 'latch'; why: 'other-cluster'; text: string; disclosed: boolean };

const HOUR = 3_600_000;

/** The gates, in the order in which they protect: nothing below one is looked at while it is shut. */
export function decide(
  seen: Observation,
  policy: Policy,
  history: History,
  hold: Hold,
  now: number,
): Action {
  const { idle, sealed } = policy.poll;
  const age = Math.max(0, now - history.since);
  // Quick while it matters, up to five (`slow`: twenty) times slower the longer it lasts.
  const quick = Math.min(Math.max(sealed, age / 40), sealed * 5);
  const slow = Math.min(Math.max(sealed, age / 10), Math.max(sealed * 20, 1000));
  const wait = (why: Why, text: string, next: number): Action => ({ do: 'wait', why, text, next });

  if (seen.kind === 'stranger') return wait('stranger', seen.reason, idle);
  if (seen.kind === 'nonsense') return wait('nonsense', seen.reason, Math.min(idle, slow));
  if (seen.kind === 'down') return wait('down', seen.reason, quick);
  const { seal } = seen;

  if (!seal.sealed) {
    if (seal.clusterId !== policy.clusterId) {
      const text = `it is open and says cluster ${seal.clusterId ?? '(none)'}, ` +
        `not the pinned ${policy.clusterId}`;
      return { do: 'latch', why: 'other-cluster', text, disclosed: history.exposed };
    }
    return wait('open', 'open', idle);
  }
  if (hold.held) return wait('held', `on hold: ${hold.reasons.join('; ')}`, slow);
  if (seal.type !== 'shamir') {
    return wait('not-shamir', `its seal is ${seal.type}: it opens itself, no share is sent`, idle);
  }
  if (!seal.initialized) {
    return wait(
      'uninitialised',
      'not initialised, or not yet joined: never initialised by us',
      slow,
    );
  }
  if (seal.migration) return wait('migrating', 'a seal migration is pending', idle);
  if (seal.recoverySeal) return wait('recovery-seal', 'it asks for recovery keys', idle);
  if (seal.t !== policy.threshold || seal.n !== policy.shares) {
    const text = `it wants ${seal.t} of ${seal.n} shares, pinned are ` +
      `${policy.threshold} of ${policy.shares}`;
    return wait('other-threshold', text, idle);
  }
  if (!history.looked) return wait('looking', 'its peers have not been looked at yet', sealed);
  const foreign = history.peers.find((peer) => peer.clusterId !== policy.clusterId);
  if (foreign) {
    const text = `its peer ${foreign.node} is open and of cluster ${foreign.clusterId}`;
    return wait('peer-of-other-cluster', text, idle);
  }
  const cold = history.peers.length === 0;
  if (cold && policy.coldStart === 'confirm' && now >= history.confirmedUntil) {
    return wait('unconfirmed', 'no open peer vouches for the cluster: a human must confirm', slow);
  }
  if (now < history.settlingUntil) {
    return wait('settling', 'every share is in, it is opening', quick);
  }
  const { count, since, nonce } = history.progress;
  if (count > 0 && count === seal.progress && nonce === seal.nonce) {
    if (now - since >= policy.progressTimeout) {
      const text = `${count} of ${seal.t} shares have stood still for ` +
        `${Math.round((now - since) / 1000)} s`;
      if (policy.elected) return { do: 'reset', text };
      return wait('stale-progress', `${text}: the elected helper clears them`, quick);
    }
  }
  const inSet = history.set?.nonce === seal.nonce ? history.set.shares : [];
  let share = 0;
  while (share < policy.held && inSet.includes(share)) share++;
  if (share >= policy.held) {
    return wait('others', `${seal.progress} of ${seal.t} shares are in, waiting for others`, quick);
  }
  const { first, max } = policy.budget.backoff;
  const backoff = history.failures === 0
    ? 0
    : Math.min(first * 2 ** Math.min(history.failures - 1, 30), max);
  const left = history.failedAt + backoff - now;
  if (history.failures > 0 && left > 0) {
    const text = `${history.failures} set(s) of shares came to nothing, next try in ` +
      `${(left / 1000).toFixed(1)} s`;
    return wait('backoff', text, Math.min(left, slow));
  }
  const lastHour = history.sent.filter((at) => now - at < HOUR);
  if (lastHour.length >= policy.budget.perHour) {
    return wait('budget', `${lastHour.length} shares sent within the hour: budget spent`, slow);
  }
  return { do: 'send', share };
}
