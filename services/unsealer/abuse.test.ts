import { createHash, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import {
  ACTS,
  type Certificates,
  CLUSTER,
  json,
  makeCertificates,
  spellings,
  startHelper,
  startImpostor,
} from './impostor.ts';
import { until } from './testing.ts';

const lines: string[] = [];
setupLogging({ service: 'unsealer', level: 'debug', write: (line) => lines.push(line) });

let certificates: Certificates;
let spki: string;
beforeAll(async () => {
  certificates = await makeCertificates();
  const der = new X509Certificate(certificates.ours.cert).publicKey
    .export({ type: 'spki', format: 'der' });
  spki = createHash('sha256').update(der).digest('base64');
});

describe('no share for a stranger', () => {
  test.each(Object.entries(ACTS))('%s', async (_name, act) => {
    const impostor = await startImpostor(act, certificates);
    // The key is pinned only where it is the matter: else it would hide what the other checks let through.
    const pin = act.certificate === 'other-key' ? { spki } : {};
    const helper = await startHelper([{ id: 'a', url: impostor.url, ...pin }], certificates.ca);
    // Acts that keep the connection count requests, the others connections.
    const asked = () => impostor.received().toString('latin1').split('GET /').length - 1;
    const endless = ['slow-loris', 'silence'].includes(_name);
    const tries = () => Math.max(impostor.tries(), asked());
    if (endless) {
      await until('one try', () => tries() > 0);
      await helper.loop.wake(300);
    } else await until('20 tries', () => tries() >= 20);
    await helper.stop();
    const got = impostor.received();
    await impostor.close();
    expect(got.includes('POST')).toBe(false);
    for (const spelling of spellings(helper.share)) expect(got.includes(spelling)).toBe(false);
  });

  test('the same helper does send to the right server, or the tests above show nothing', async () => {
    const right = await startImpostor(
      { get: json({}), post: json({ progress: 1, nonce: 'n1' }) },
      certificates,
    );
    const helper = await startHelper([{ id: 'a', url: right.url, spki }], certificates.ca);
    const hex = Buffer.from(helper.share).toString('hex');
    await until('the share', () => right.received().includes(`{"key":"${hex}"}`));
    await helper.stop();
    await right.close();
  });

  test('a redirect of the share itself is not followed', async () => {
    const target = await startImpostor({ get: json({}), post: json({}) }, certificates);
    const location = `Location: ${target.url}/v1/sys/unseal\r\n`;
    const post = json({}, '307 Temporary Redirect', location);
    const first = await startImpostor({ get: json({}), post }, certificates);
    const helper = await startHelper([{ id: 'a', url: first.url }], certificates.ca);
    await until('a share at the first', () => first.received().includes('POST'));
    await helper.loop.wake();
    await helper.stop();
    expect(target.tries()).toBe(0);
    await Promise.all([first.close(), target.close()]);
  });

  test('an open peer of another cluster stops a send to its neighbour', async () => {
    const open = { sealed: false, cluster_id: 'ffffffff-0000-0000-0000-000000000002' };
    const peer = await startImpostor({ get: json(open) }, certificates);
    const node = await startImpostor({ get: json({}), post: json({}) }, certificates);
    const helper = await startHelper(
      [{ id: 'a', url: node.url }, { id: 'b', url: peer.url }],
      certificates.ca,
    );
    await helper.loop.wake();
    await helper.loop.wake();
    await helper.stop();
    expect(node.received().includes('POST')).toBe(false);
    // It was never given a share: held, and nothing disclosed.
    expect(helper.hold.current().held).toBe(true);
    expect(helper.hold.record()!.disclosed).toEqual([]);
    await Promise.all([peer.close(), node.close()]);
  });
});

test('another cluster id after the unseal: latched, reported, and nothing more is sent', async () => {
  const open = json({ sealed: false, cluster_id: 'ffffffff-0000-0000-0000-000000000003' });
  const thief = await startImpostor({ get: json({}), post: open }, certificates);
  const next = await startImpostor({ get: json({}), post: json({}) }, certificates);
  const helper = await startHelper([{ id: 'a', url: thief.url }], certificates.ca);
  await until('the latch', () => helper.hold.current().held);
  const [disclosed] = helper.hold.record()!.disclosed;
  expect(disclosed).toMatch(
    /vault\/a: it is open and says cluster ffffffff.*disclosed share\(s\) [0-9a-f]{16}/,
  );
  helper.loop.add({
    id: 'late',
    connect: () => ({ ...stub(), send: () => Promise.reject(new Error('sent')) }),
  });
  await helper.loop.wake();
  expect(thief.received().toString('latin1').split('POST').length - 1).toBe(1);
  expect(helper.alerts.active().map((a) => a.key)).toContain('latched:vault/a');
  await helper.stop();
  await Promise.all([thief.close(), next.close()]);
});

/** A sealed node that is otherwise well. */
function stub() {
  const seal = {
    type: 'shamir',
    initialized: true,
    sealed: true,
    t: 3,
    n: 5,
    progress: 0,
    nonce: '',
    migration: false,
    recoverySeal: false,
    version: '',
  };
  const seen = { kind: 'answered' as const, connection: 1, seal };
  return {
    look: () => Promise.resolve(seen),
    send: () => Promise.resolve(seen),
    reset: () => Promise.resolve(seen),
    close: () => {},
  };
}

test('a hold set between decision and send stops the send', async () => {
  const slow = await startImpostor({ get: json({}), post: json({}) }, certificates);
  const helper = await startHelper([], certificates.ca);
  let gates = 0;
  helper.loop.add({
    id: 'a',
    connect: () => ({
      ...stub(),
      async send(_share, gate) {
        await helper.hold.put('ana', 'stop');
        gates++;
        gate();
        throw new Error('the gate let it through');
      },
    }),
  });
  await helper.loop.wake();
  await helper.loop.wake();
  expect(gates).toBe(1);
  expect(helper.loop.status()[0]).toMatchObject({ why: 'held', sharesSent: 0 });
  await helper.stop();
  await slow.close();
});

test('a server that hangs up after each answer is not hammered', async () => {
  const open = json({ sealed: false, cluster_id: CLUSTER }, '200 OK', 'Connection: close\r\n');
  const act = { get: (socket: Parameters<typeof open>[0]) => (open(socket), void socket.end()) };
  const impostor = await startImpostor(act, certificates);
  const helper = await startHelper([{ id: 'a', url: impostor.url }], certificates.ca, {
    idle: 60_000,
  });
  await until('some tries', () => impostor.tries() >= 10);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(impostor.tries()).toBeLessThan(30);
  await helper.stop();
  await impostor.close();
});

test('a name that does not resolve is a node that is down', async () => {
  const helper = await startHelper(
    [{ id: 'a', url: 'https://bao-0.invalid:8200' }],
    certificates.ca,
  );
  await helper.loop.wake();
  expect(helper.loop.status()[0]).toMatchObject({ state: 'down', sharesSent: 0 });
  await helper.stop();
});

test('the log of all this holds no share', () => {
  expect(lines.length).toBeGreaterThan(20);
  // holdShare zeroes what it is given, so compare by shape: 66 hex digits or 44 of base64.
  expect(lines.join('\n')).not.toMatch(/[0-9a-f]{66}/i);
});
