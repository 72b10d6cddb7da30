import { createHash } from 'node:crypto';
import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { postSigned } from '../notify/webhook.ts';

const log = getLogger(['provisioner', 'receiver']);

/** `url` with the path that Flux gives to the Receiver `namespace/name` of this key, unless it has one. */
export function hookUrl(url: string, receiver: string, key: Secret): string {
  const hook = new URL(url);
  if (hook.pathname !== '/') return url;
  const [namespace, name] = receiver.split('/');
  const digest = createHash('sha256').update(key.bytes()).update(`${name}${namespace}`);
  hook.pathname = `/hook/${digest.digest('hex')}`;
  return hook.href;
}

/**
 * Wakes Flux after a commit through its Receiver (type generic-hmac), so that applied follows
 * committed within seconds. Never waited for, never fatal: Flux looks by itself before long.
 * Commits that come while a call is under way are told by one more call.
 */
export function fluxReceiver(url: string, secret: Secret) {
  let running: Promise<void> | undefined;
  let again: string | undefined;
  const wake = (revision: string) => postSigned('Flux’s receiver', url, secret, { revision }, 5000);
  async function call(revision: string): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await wake(revision);
        return;
      } catch (error) {
        if (attempt === 2) log.warn('Flux was not woken', { error: describe(error) });
        else await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
      }
    }
  }
  return {
    /** Once, waited for. Throws AppError `unavailable`. */
    wake,
    woken(revision: string): void {
      if (running) again = revision;
      else {
        running = call(revision).then(async () => {
          for (let next = again; next; next = again) {
            again = undefined;
            await call(next);
          }
        }).finally(() => running = undefined);
      }
    },
    async close(): Promise<void> {
      await running;
    },
  };
}
