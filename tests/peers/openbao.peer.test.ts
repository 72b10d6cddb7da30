import { expect, test } from 'vitest';
import { needs } from './lib/needs.ts';
import { ask } from './lib/http.ts';
import { startOpenBao } from './openbao.ts';

needs('openbao')('OpenBao', () => {
  test('one node: sealed after a restart, a secret survives, three shares open it', async () => {
    await using bao = await startOpenBao();
    await bao.call('/v1/sys/mounts/kv', { method: 'POST', body: { type: 'kv' } });
    await bao.call('/v1/kv/door', { method: 'POST', body: { code: 'xyzzy' } });

    await bao.restart();
    expect(await bao.node.sealStatus()).toMatchObject({ sealed: true, t: 3, n: 5, progress: 0 });
    const locked = await bao.node.ask('/v1/kv/door', { token: true });
    expect(locked.status).toBe(503);

    await bao.unseal();
    expect((await bao.call('/v1/kv/door')).data).toEqual({ code: 'xyzzy' });
  });

  test('refuses wrong shares at the threshold and forgets the progress', async () => {
    await using bao = await startOpenBao({ unseal: false });
    const wrong = 'ab'.repeat(33);
    const send = (key: string) => bao.node.ask('/v1/sys/unseal', { method: 'POST', body: { key } });
    await send(bao.keys[0]!);
    expect((await send(bao.keys[1]!)).json().progress).toBe(2);
    const refused = await send(wrong);
    expect(refused.status).toBe(400);
    expect(await bao.node.sealStatus()).toMatchObject({ sealed: true, progress: 0 });
  });

  test('three raft nodes: a follower killed and started again joins with its shares', async () => {
    await using bao = await startOpenBao({ nodes: 3 });
    const states = await Promise.all(bao.nodes.map((node) => node.health()));
    expect(states.toSorted()).toEqual([200, 429, 429]);
    const leader = await bao.active();
    const follower = bao.nodes.find((node) => node !== leader)!;

    await follower.kill();
    expect(await follower.health()).toBe(0);
    await follower.start();
    expect(await follower.health()).toBe(503);
    await follower.unseal();
    expect(await follower.health()).toBe(429);
    const ids = await Promise.all(bao.nodes.map(async (n) => (await n.sealStatus()).cluster_id));
    expect(new Set(ids).size).toBe(1);
  });

  test('certificates bear the names of their nodes only, under an own CA', async () => {
    await using bao = await startOpenBao({ init: false });
    expect(await bao.node.health()).toBe(501);
    const at = (servername: string) =>
      ask(`${bao.url}/v1/sys/seal-status`, { ca: bao.ca!, servername }).then((a) => a.status);
    expect(await at('bao-0.test')).toBe(200);
    await expect(at('bao-9.test')).rejects.toThrow(/altname/i);
    await expect(ask(`${bao.url}/v1/sys/seal-status`)).rejects.toThrow(/certificate/i);
  });
});
