import { createHash, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  ACTS,
  makeCertificates,
  spellings,
  startHelper,
  startImpostor,
} from '../../services/unsealer/impostor.ts';

test('10,000 tries of impostors, no byte of a share', async () => {
  const certificates = await makeCertificates();
  const der = new X509Certificate(certificates.ours.cert).publicKey
    .export({ type: 'spki', format: 'der' });
  const spki = createHash('sha256').update(der).digest('base64');
  // Those that never end an answer take seconds a try: they are in services/unsealer/abuse.test.ts.
  const acts = Object.entries(ACTS).filter(([name]) => !['slow-loris', 'silence'].includes(name));
  const each = Math.ceil(10_000 / acts.length);
  const counts: Record<string, number> = {};
  for (const [name, act] of acts) {
    const impostor = await startImpostor(act, certificates);
    // The key is pinned only where it is the matter: else it would hide what the other checks let through.
    const pin = act.certificate === 'other-key' ? { spki } : {};
    const helper = await startHelper([{ id: 'a', url: impostor.url, ...pin }], certificates.ca);
    const hidden = spellings(helper.share);
    let seen = 0;
    const tries = () => {
      const asked = impostor.received().toString('latin1').split('GET /').length - 1;
      return seen = Math.max(impostor.tries(), asked);
    };
    // The wake takes the place of the loop's own pace, which slows down for a node that stays wrong.
    while (tries() < each) await helper.loop.wake();
    await helper.stop();
    const got = impostor.received();
    await impostor.close();
    expect(got.includes('POST'), name).toBe(false);
    for (const spelling of hidden) expect(got.includes(spelling), name).toBe(false);
    counts[name] = seen;
  }
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  process.stdout.write(`${JSON.stringify({ total, counts })}\n`);
  expect(total).toBeGreaterThanOrEqual(10_000);
});
