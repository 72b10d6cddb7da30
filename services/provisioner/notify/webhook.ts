import { AppError } from '@hackspace/kit/errors.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { createHmac } from 'node:crypto';
import { jsonClient } from '../http.ts';
import type { Notifier } from './notify.ts';

/** `X-Signature: sha256=…` over the body: what Flux's generic-hmac Receiver checks too. */
export function signature(secret: Secret, body: string): string {
  return `sha256=${createHmac('sha256', secret.bytes()).update(body).digest('hex')}`;
}

/** Posts JSON with a signature. Throws AppError `unavailable` unless the answer is 2xx. */
export async function postSigned(
  name: string,
  url: string,
  secret: Secret,
  payload: object,
  timeoutMs = 10_000,
): Promise<number> {
  const body = JSON.stringify(payload);
  const { status } = await jsonClient({ name, url, timeoutMs, maxBytes: 64 * 1024 }).post(
    '',
    body,
    {
      'content-type': 'application/json',
      'x-signature': signature(secret, body),
    },
  );
  if (status >= 200 && status < 300) return status;
  throw new AppError('unavailable', `Cannot call ${name}: answer ${status}`);
}

/** Hands every notice to another program of the space: a chat bot, a ticket system. */
export function webhook(url: string, secret: Secret): Notifier {
  return {
    async tellMember(address, notice) {
      await postSigned('the notice hook', url, secret, { to: address, ...notice });
    },
    async tellAdmin(text) {
      await postSigned('the notice hook', url, secret, { admin: true, text });
    },
  };
}
