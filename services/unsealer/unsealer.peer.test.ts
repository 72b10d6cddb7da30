import { afterAll, beforeAll, expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import { needs } from '../../tests/peers/lib/needs.ts';
import { type OpenBao, startOpenBao } from '../../tests/peers/openbao.ts';
import type { Status } from './schemas.ts';
import { makeHelper, until, type World } from './testing.ts';
import { type Running, startUnsealer } from './unsealer.ts';

const lines: string[] = [];
setupLogging({ service: 'unsealer', level: 'debug', write: (line) => lines.push(line) });

needs('openbao')('the unsealer and a real raft cluster', () => {
  let bao: OpenBao;
  let world: World;
  const running: Running[] = [];

  beforeAll(async () => {
    bao = await startOpenBao({ nodes: 3 });
    const { cluster_id } = await bao.node.sealStatus();
    world = {
      ca: bao.ca!,
      clusterId: cluster_id,
      threshold: 3,
      keys: bao.keys,
      nodes: bao.nodes.map((n) => ({ id: n.name, url: n.url, san: `${n.name}.test` })),
    };
    for (const share of [0, 1, 2]) {
      const { config } = await makeHelper(world, { holds: [share] });
      running.push(await startUnsealer(config));
    }
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.close()));
    await bao?.stop();
  });

  const status = async (n = 0) => await (await fetch(`${running[n]!.url}/status`)).json() as Status;
  const open = async (n: number) =>
    (await bao.nodes[n]!.sealStatus().catch(() => 0)).sealed === false;

  test('three helpers of one share each open one node after its restart', async () => {
    await until('all seen open', async () => (await status()).open);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const before = performance.now();
      await bao.restart(1, signal);
      await until('bao-1 open', () => open(1));
      expect(performance.now() - before).toBeLessThan(5000);
    }
    const node = (await status()).nodes.find((n) => n.node === 'bao-1')!;
    expect(node).toMatchObject({ sharesSent: 2, failures: 0 });
  });

  test('all nodes at once', async () => {
    await bao.restart();
    await until('all open', async () => (await Promise.all([0, 1, 2].map(open))).every(Boolean));
    await bao.active();
    await until('all seen open', async () => (await status()).open);
  });

  test('logs hold no share', () => {
    const text = lines.join('\n');
    expect(text).toContain('share sent');
    for (const key of [...bao.keys, ...bao.keysBase64]) expect(text).not.toContain(key);
  });
});
