import { describe, expect, test } from 'vitest';
import { decide, type History, type Observation, type Policy, type SealStatus } from './decide.ts';
import { NEW } from './history.ts';

const CLUSTER = '9b1c6ad3-0000-0000-0000-000000000001';
const POLICY: Policy = {
  threshold: 3,
  shares: 5,
  clusterId: CLUSTER,
  coldStart: 'auto',
  poll: { idle: 5000, sealed: 40 },
  budget: { perHour: 10, backoff: { first: 250, max: 60_000 } },
  progressTimeout: 60_000,
  elected: false,
  held: 1,
};
const FREE = { held: false, reasons: [] };
const NOW = 1_000_000;
const LOOKED: History = {
  ...NEW,
  looked: true,
  since: NOW,
  progress: { ...NEW.progress, since: NOW },
};

const sealed = (over: Partial<SealStatus> = {}): Observation => ({
  kind: 'answered',
  connection: 1,
  seal: {
    type: 'shamir',
    initialized: true,
    sealed: true,
    t: 3,
    n: 5,
    progress: 0,
    nonce: '',
    migration: false,
    recoverySeal: false,
    version: '2.4.0',
    ...over,
  },
});

interface Row {
  name: string;
  seen?: Observation;
  policy?: Partial<Policy>;
  history?: Partial<History>;
  held?: boolean;
  want: Record<string, unknown>;
}

const half = (since: number) => ({ nonce: 'n1', count: 1, since });
const foreign = { node: 'b', clusterId: 'ffffffff-0000-0000-0000-000000000001' };

const ROWS: Row[] = [
  { name: 'a sealed node of ours gets the share', want: { do: 'send', share: 0 } },
  {
    name: 'an open node is left alone',
    seen: sealed({ sealed: false, clusterId: CLUSTER }),
    want: { why: 'open', next: 5000 },
  },
  {
    name: 'nobody there: look again soon',
    seen: { kind: 'down', reason: 'refused' },
    want: { why: 'down', next: 40 },
  },
  {
    name: 'nobody there for long: look less often, never five times less',
    seen: { kind: 'down', reason: 'refused' },
    history: { since: NOW - 300_000 },
    want: { why: 'down', next: 200 },
  },
  {
    name: 'a stranger gets nothing',
    seen: { kind: 'stranger', reason: 'x' },
    want: { do: 'wait', why: 'stranger' },
  },
  {
    name: 'nonsense gets nothing',
    seen: { kind: 'nonsense', reason: 'x' },
    want: { do: 'wait', why: 'nonsense' },
  },
  { name: 'held: nothing', held: true, want: { do: 'wait', why: 'held' } },
  {
    name: 'a static seal is refused politely',
    seen: sealed({ type: 'static' }),
    want: { why: 'not-shamir' },
  },
  {
    name: 'a transit seal',
    seen: sealed({ type: 'transit', recoverySeal: true }),
    want: { why: 'not-shamir' },
  },
  {
    name: 'uninitialised: never init, nothing sent',
    seen: sealed({ initialized: false, t: 0, n: 0 }),
    want: { do: 'wait', why: 'uninitialised' },
  },
  {
    name: 'a migration',
    seen: sealed({ migration: true }),
    want: { do: 'wait', why: 'migrating' },
  },
  {
    name: 'recovery keys wanted',
    seen: sealed({ recoverySeal: true }),
    want: { do: 'wait', why: 'recovery-seal' },
  },
  {
    name: 'another threshold',
    seen: sealed({ t: 2 }),
    want: { do: 'wait', why: 'other-threshold' },
  },
  {
    name: 'another number of shares',
    seen: sealed({ n: 6 }),
    want: { do: 'wait', why: 'other-threshold' },
  },
  {
    name: 'peers not looked at yet',
    history: { looked: false },
    want: { do: 'wait', why: 'looking' },
  },
  {
    name: 'an open peer of another cluster',
    history: { peers: [foreign] },
    want: { do: 'wait', why: 'peer-of-other-cluster' },
  },
  {
    name: 'an open peer of ours',
    policy: { coldStart: 'confirm' },
    history: { peers: [{ node: 'b', clusterId: CLUSTER }] },
    want: { do: 'send' },
  },
  {
    name: 'cold start, to be confirmed',
    policy: { coldStart: 'confirm' },
    want: { do: 'wait', why: 'unconfirmed' },
  },
  {
    name: 'cold start, confirmed',
    policy: { coldStart: 'confirm' },
    history: { confirmedUntil: NOW + 1 },
    want: { do: 'send' },
  },
  {
    name: 'cold start, confirmation over',
    policy: { coldStart: 'confirm' },
    history: { confirmedUntil: NOW },
    want: { why: 'unconfirmed' },
  },
  {
    name: 'a joiner that is opening',
    history: { settlingUntil: NOW + 1 },
    want: { do: 'wait', why: 'settling' },
  },
  {
    name: 'our share is in this set',
    seen: sealed({ nonce: 'n1', progress: 1 }),
    history: { set: { nonce: 'n1', shares: [0] } },
    want: { do: 'wait', why: 'others' },
  },
  {
    name: 'our share was in another set',
    seen: sealed({ nonce: 'n2', progress: 1 }),
    history: { set: { nonce: 'n1', shares: [0] } },
    want: { do: 'send', share: 0 },
  },
  {
    name: 'the second of our shares',
    seen: sealed({ nonce: 'n1', progress: 1 }),
    policy: { held: 2 },
    history: { set: { nonce: 'n1', shares: [0] } },
    want: { do: 'send', share: 1 },
  },
  {
    name: 'a set of others that is filling',
    seen: sealed({ nonce: 'n1', progress: 1 }),
    history: { progress: half(NOW - 1000) },
    want: { do: 'send' },
  },
  {
    name: 'a stale set, elected',
    seen: sealed({ nonce: 'n1', progress: 1 }),
    policy: { elected: true },
    history: { progress: half(NOW - 60_000) },
    want: { do: 'reset' },
  },
  {
    name: 'a stale set, not elected',
    seen: sealed({ nonce: 'n1', progress: 1 }),
    history: { progress: half(NOW - 60_000) },
    want: { do: 'wait', why: 'stale-progress' },
  },
  {
    name: 'held beats a stale set',
    seen: sealed({ nonce: 'n1', progress: 1 }),
    policy: { elected: true },
    held: true,
    history: { progress: half(NOW - 60_000) },
    want: { why: 'held' },
  },
  {
    name: 'one failure: 250 ms',
    history: { failures: 1, failedAt: NOW - 100 },
    want: { do: 'wait', why: 'backoff' },
  },
  {
    name: 'one failure, waited for',
    history: { failures: 1, failedAt: NOW - 250 },
    want: { do: 'send' },
  },
  {
    name: 'four failures: 2 s',
    history: { failures: 4, failedAt: NOW - 1999 },
    want: { why: 'backoff' },
  },
  {
    name: 'very many failures: the cap',
    history: { failures: 5000, failedAt: NOW - 60_000 },
    want: { do: 'send' },
  },
  {
    name: 'the budget of the hour is spent',
    history: { sent: Array(10).fill(NOW - 10) },
    want: { do: 'wait', why: 'budget' },
  },
  {
    name: 'an hour later it is back',
    history: { sent: Array(10).fill(NOW - 3_600_000) },
    want: { do: 'send' },
  },
  {
    name: 'open, of another cluster, nothing sent',
    seen: sealed({ sealed: false, clusterId: foreign.clusterId }),
    want: { do: 'latch', disclosed: false },
  },
  {
    name: 'open, of another cluster, share sent',
    seen: sealed({ sealed: false, clusterId: foreign.clusterId }),
    history: { exposed: true },
    held: true,
    want: { do: 'latch', disclosed: true },
  },
  {
    name: 'open without any cluster id',
    seen: sealed({ sealed: false }),
    history: { exposed: true },
    want: { do: 'latch', disclosed: true },
  },
];

describe('decide', () => {
  test.each(ROWS)('$name', ({ seen = sealed(), policy, history, held, want }) => {
    const hold = held ? { held: true, reasons: ['ana: intrusion'] } : FREE;
    const action = decide(seen, { ...POLICY, ...policy }, { ...LOOKED, ...history }, hold, NOW);
    expect(action).toMatchObject(want);
  });

  test('the gates come in their order: each hides all below it', () => {
    // Everything is wrong at once; mending the first fault shows the next.
    const faults: [string, Partial<SealStatus>, Partial<History>][] = [
      ['not-shamir', { type: 'shamir' }, {}],
      ['uninitialised', { initialized: true }, {}],
      ['migrating', { migration: false }, {}],
      ['recovery-seal', { recoverySeal: false }, {}],
      ['other-threshold', { t: 3 }, {}],
      ['looking', {}, { looked: true }],
      ['peer-of-other-cluster', {}, { peers: [] }],
      ['unconfirmed', {}, { confirmedUntil: NOW + 1 }],
      ['backoff', {}, { failures: 0 }],
    ];
    let status: Partial<SealStatus> = {
      type: 'static',
      initialized: false,
      migration: true,
      recoverySeal: true,
      t: 9,
    };
    let history: History = {
      ...LOOKED,
      looked: false,
      peers: [foreign],
      failures: 9,
      failedAt: NOW,
    };
    const policy = { ...POLICY, coldStart: 'confirm' as const };
    expect(decide(sealed(status), policy, history, { held: true, reasons: [] }, NOW))
      .toMatchObject({ why: 'held' });
    for (const [why, mendStatus, mendHistory] of faults) {
      expect(decide(sealed(status), policy, history, FREE, NOW)).toMatchObject({ why });
      status = { ...status, ...mendStatus };
      history = { ...history, ...mendHistory };
    }
    expect(decide(sealed(status), policy, history, FREE, NOW)).toEqual({ do: 'send', share: 0 });
  });
});
