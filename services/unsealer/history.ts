/** How the past of a node grows: pure folds over `History`; `decide.ts` reads the result. */
import type { History, Observation, Policy } from './decide.ts';

export const NEW: History = {
  set: undefined,
  sent: [],
  failures: 0,
  failedAt: 0,
  settlingUntil: 0,
  progress: { nonce: '', count: 0, since: 0 },
  since: 0,
  connection: 0,
  peers: [],
  looked: false,
  confirmedUntil: 0,
  exposed: false,
};

/** What is not the node's own past but stands around it. */
export type Around = Pick<History, 'peers' | 'looked' | 'confirmedUntil'>;

/** One word for what was seen; `since` counts from its last change. */
export function stateOf(seen: Observation): string {
  if (seen.kind !== 'answered') return seen.kind;
  if (!seen.seal.initialized) return 'uninitialised';
  return seen.seal.sealed ? 'sealed' : 'open';
}

/** Folds one look in. A set of ours that is gone while the node stayed up came to nothing. */
export function afterLook(
  history: History,
  before: Observation | undefined,
  seen: Observation,
  policy: Pick<Policy, 'clusterId'>,
  now: number,
): History {
  const since = before && stateOf(before) === stateOf(seen) ? history.since : now;
  if (seen.kind !== 'answered') return { ...history, since };
  const { seal, connection } = seen;
  if (!seal.sealed) {
    const ours = seal.clusterId === policy.clusterId;
    return {
      ...history,
      since,
      connection,
      set: undefined,
      failures: 0,
      settlingUntil: 0,
      progress: { nonce: '', count: 0, since: now },
      exposed: history.exposed && !ours,
    };
  }
  const moved = seal.nonce !== history.progress.nonce || seal.progress !== history.progress.count;
  const progress = moved
    ? { nonce: seal.nonce, count: seal.progress, since: now }
    : history.progress;
  const next = { ...history, since, connection, progress };
  if (!history.set || history.set.nonce === seal.nonce) return next;
  // A new connection: the process was started anew and forgot the set; nobody spoilt it.
  if (connection !== history.connection) return { ...next, set: undefined };
  if (now < history.settlingUntil) return next;
  return { ...next, set: undefined, failures: history.failures + 1, failedAt: now };
}

const HOUR = 3_600_000;
/** A raft joiner opens about a second after its last share. */
const SETTLE = 5_000;

/** Before the first byte of a share leaves: it counts as sent whatever the answer. */
export function beforeSend(history: History, now: number): History {
  const sent = [...history.sent.filter((at) => now - at < HOUR), now];
  return { ...history, sent, exposed: true };
}

/** The answer to a share: the set it is in, or none when it was the last one. */
export function afterSend(
  history: History,
  share: number,
  answer: { nonce: string; progress: number; sealed: boolean },
  now: number,
): History {
  if (!answer.sealed) return { ...history, set: undefined };
  if (answer.progress === 0) return { ...history, set: undefined, settlingUntil: now + SETTLE };
  const known = history.set?.nonce === answer.nonce ? history.set.shares : [];
  const shares = known.includes(share) ? known : [...known, share];
  const progress = { nonce: answer.nonce, count: answer.progress, since: now };
  return { ...history, set: { nonce: answer.nonce, shares }, progress };
}

/** A share was refused, or a set we reset or sent into was thrown away. */
export function afterFailure(history: History, now: number): History {
  return { ...history, set: undefined, failures: history.failures + 1, failedAt: now };
}

/** We cleared a stale set ourselves: not a failure of the shares. */
export function afterReset(history: History, now: number): History {
  return { ...history, set: undefined, progress: { nonce: '', count: 0, since: now } };
}
