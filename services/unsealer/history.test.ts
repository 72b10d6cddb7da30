import { expect, test } from 'vitest';
import type { History, Observation } from './decide.ts';
import { afterLook, afterSend, beforeSend, NEW } from './history.ts';

const CLUSTER = { clusterId: 'c' };
const seal = (over: object = {}): Extract<Observation, { kind: 'answered' }> => ({
  kind: 'answered',
  connection: 1,
  seal: {
    type: 'shamir',
    initialized: true,
    sealed: true,
    t: 3,
    n: 5,
    progress: 1,
    nonce: 'n1',
    migration: false,
    recoverySeal: false,
    version: '',
    ...over,
  },
});
const inSet: History = { ...NEW, connection: 1, set: { nonce: 'n1', shares: [0] }, exposed: true };

test('a set that vanishes while the node stays up is a failure', () => {
  const after = afterLook(inSet, seal(), seal({ nonce: '', progress: 0 }), CLUSTER, 100);
  expect(after).toMatchObject({ set: undefined, failures: 1, failedAt: 100 });
});

test('a set that vanishes with a restart is none', () => {
  const restarted = { ...seal({ nonce: '', progress: 0 }), connection: 2 };
  expect(afterLook(inSet, seal(), restarted, CLUSTER, 100)).toMatchObject({ failures: 0 });
});

test('a nonce that changes midway is a failure, the share may go into the new set', () => {
  const after = afterLook(inSet, seal(), seal({ nonce: 'n2' }), CLUSTER, 100);
  expect(after).toMatchObject({ set: undefined, failures: 1, progress: { nonce: 'n2' } });
});

test('opening as our cluster forgives everything and ends the exposure', () => {
  const bad = { ...inSet, failures: 7, failedAt: 50 };
  const open = seal({ sealed: false, clusterId: 'c' });
  expect(afterLook(bad, seal(), open, CLUSTER, 100)).toMatchObject({ failures: 0, exposed: false });
});

test('opening as another cluster keeps the exposure', () => {
  const open = seal({ sealed: false, clusterId: 'other' });
  expect(afterLook(inSet, seal(), open, CLUSTER, 100).exposed).toBe(true);
});

test('a node that goes away keeps its failures', () => {
  const bad = { ...inSet, failures: 7 };
  const after = afterLook(bad, seal(), { kind: 'down', reason: 'x' }, CLUSTER, 100);
  expect(after).toMatchObject({ failures: 7, since: 100 });
});

test('progress that stands still keeps its time, progress that moves does not', () => {
  const first = afterLook(NEW, undefined, seal(), CLUSTER, 100);
  const same = afterLook(first, seal(), seal(), CLUSTER, 200);
  expect(same.progress.since).toBe(100);
  expect(afterLook(same, seal(), seal({ progress: 2 }), CLUSTER, 300).progress.since).toBe(300);
});

test('a share counts before it is answered, and an answer without progress settles', () => {
  const sent = beforeSend(NEW, 10);
  expect(sent).toMatchObject({ sent: [10], exposed: true });
  const last = afterSend(sent, 0, { nonce: '', progress: 0, sealed: true }, 20);
  expect(last).toMatchObject({ set: undefined, settlingUntil: 5020 });
  const first = afterSend(sent, 0, { nonce: 'n1', progress: 1, sealed: true }, 20);
  const second = afterSend(first, 1, { nonce: 'n1', progress: 2, sealed: true }, 30);
  expect(second.set).toEqual({ nonce: 'n1', shares: [0, 1] });
});
