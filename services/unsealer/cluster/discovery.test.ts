import { expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import type { ClusterLoop, NodePlan } from '../loop.ts';
import { until } from '../testing.ts';
import { hints, startDiscovery } from './discovery.ts';

setupLogging({ service: 'unsealer', write: () => {} });
const discover = { dns: 'bao.test', port: 8200, san: 'bao.test', every: 10 };

test('each address of a headless Service is a node', async () => {
  const found = await hints(discover, undefined, () => Promise.resolve(['10.0.0.1', 'fd00::1']));
  expect(found).toEqual([
    { id: '10.0.0.1:8200', url: 'https://10.0.0.1:8200' },
    { id: 'fd00::1:8200', url: 'https://[fd00::1]:8200' },
  ]);
});

test('a hostile resolver cannot make us watch a million addresses', async () => {
  const many = Array.from(
    { length: 100_000 },
    (_, i) => `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`,
  );
  expect(await hints(discover, undefined, () => Promise.resolve(many))).toHaveLength(200);
});

test('a DNS failure changes nothing; what is gone for ten minutes is forgotten', async () => {
  const nodes = new Set<string>();
  const loop = {
    plan: { id: 'c' },
    add: (plan: NodePlan) => void nodes.add(plan.id),
    remove: (id: string) => void nodes.delete(id),
  } as unknown as ClusterLoop;
  let answer: () => Promise<string[]> = () => Promise.resolve(['10.0.0.1', '10.0.0.2']);
  let now = 0;
  let rounds = 0;
  const running = startDiscovery(
    discover,
    loop,
    (hint) => ({ id: hint.id, connect: () => null! }),
    {
      kube: undefined,
      clock: () => now,
      resolve: () => (rounds++, answer()),
    },
  );
  const more = () => {
    const from = rounds;
    return until('two rounds', () => rounds >= from + 2);
  };
  await more();
  expect([...nodes]).toEqual(['10.0.0.1:8200', '10.0.0.2:8200']);
  answer = () => Promise.reject(new Error('SERVFAIL'));
  now = 60 * 60_000;
  await more();
  expect(nodes.size).toBe(2);
  answer = () => Promise.resolve(['10.0.0.2']);
  await more();
  expect([...nodes]).toEqual(['10.0.0.2:8200']);
  await running.stop();
});
