/** One suite for the real server and for the simulator: what unsealing relies on. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ask } from '../../tests/peers/lib/http.ts';

export interface Subject extends AsyncDisposable {
  url: string;
  ca: string;
  keys: readonly string[];
  /** Comes back sealed on the same address. */
  restart(): Promise<void>;
}

/** `start` gives one node of three of five, sealed or open. */
export function contract(start: () => Promise<Subject>): void {
  const wrong = () => randomBytes(33).toString('hex');

  function calls(subject: Subject) {
    const { ca, url } = subject;
    return {
      status: async () => (await ask(`${url}/v1/sys/seal-status`, { ca })).json(),
      health: async () => (await ask(`${url}/v1/sys/health`, { ca })).status,
      unseal: (body: unknown, method = 'POST') => ask(`${url}/v1/sys/unseal`, { ca, method, body }),
    };
  }

  test('sealed: no cluster id, health 503, an empty nonce', async () => {
    await using subject = await start();
    await subject.restart();
    const { status, health } = calls(subject);
    const seen = await status();
    expect(seen).toMatchObject({
      type: 'shamir',
      initialized: true,
      sealed: true,
      t: 3,
      n: 5,
      progress: 0,
      nonce: '',
      migration: false,
      recovery_seal: false,
    });
    expect(seen).not.toHaveProperty('cluster_id');
    expect(await health()).toBe(503);
  });

  test('shares count once each, in hex and base64; the third opens', async () => {
    await using subject = await start();
    await subject.restart();
    const { status, health, unseal } = calls(subject);
    const [a, b, c] = subject.keys as [string, string, string];
    const first = (await unseal({ key: a })).json();
    expect(first).toMatchObject({ progress: 1, sealed: true });
    expect(first.nonce).not.toBe('');
    const base64 = Buffer.from(a, 'hex').toString('base64');
    expect((await unseal({ key: base64 })).json()).toMatchObject({
      progress: 1,
      nonce: first.nonce,
    });
    expect((await unseal({ key: b }, 'PUT')).json()).toMatchObject({
      progress: 2,
      nonce: first.nonce,
    });
    const last = (await unseal({ key: c })).json();
    expect(last).toMatchObject({ sealed: false, progress: 0, nonce: '' });
    expect((await status()).cluster_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await health()).toBe(200);
    // A share to an open node is a plain status, right or wrong.
    expect((await unseal({ key: wrong() })).json()).toMatchObject({ sealed: false });
    expect((await unseal({ reset: true })).text).toContain('vault is unsealed');
  });

  test('a wrong share counts, and spoils the whole set at the threshold', async () => {
    await using subject = await start();
    await subject.restart();
    const { status, unseal } = calls(subject);
    const [a, b] = subject.keys as [string, string];
    expect((await unseal({ key: wrong() })).json()).toMatchObject({ progress: 1 });
    await unseal({ key: a });
    const spoilt = await unseal({ key: b });
    expect(spoilt.status).toBe(400);
    expect(spoilt.text).toMatch(/failed to decrypt keys from storage|duplicate part/);
    expect(await status()).toMatchObject({ sealed: true, progress: 0, nonce: '' });
  });

  test('a reset forgets, and the next set has another nonce', async () => {
    await using subject = await start();
    await subject.restart();
    const { unseal } = calls(subject);
    const key = subject.keys[0]!;
    const first = (await unseal({ key })).json().nonce;
    expect((await unseal({ reset: true })).json()).toMatchObject({ progress: 0, nonce: '' });
    expect((await unseal({ key })).json().nonce).not.toBe(first);
  });

  test('what is no share is refused', async () => {
    await using subject = await start();
    await subject.restart();
    const { unseal } = calls(subject);
    for (
      const [body, text] of [
        [{}, "'key' must be specified"],
        [{ key: 'not hex!' }, 'must be a valid hex or base64'],
        [{ key: 'ab'.repeat(34) }, 'longer than maximum 33 bytes'],
      ] as const
    ) {
      const answer = await unseal(body);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(text);
    }
    expect((await unseal(undefined, 'GET')).status).toBe(405);
  });

  test('a restart seals and forgets', async () => {
    await using subject = await start();
    await subject.restart();
    const { status, unseal } = calls(subject);
    await unseal({ key: subject.keys[0] });
    await subject.restart();
    expect(await status()).toMatchObject({ sealed: true, progress: 0, nonce: '' });
  });
}
