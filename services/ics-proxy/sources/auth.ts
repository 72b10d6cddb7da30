import { readSecret } from '@hackspace/kit/config.ts';
import { z } from 'zod';
import { createDigest } from './digest.ts';
import { Fault } from './fault.ts';

/** The `auth` key of a source; every secret is a file. */
export const authSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('basic'),
    username: z.string().min(1).regex(/^[^:\p{Cc}]*$/u, 'must hold no colon (RFC 7617)'),
    passwordFile: z.string().min(1),
  }),
  z.strictObject({
    type: z.literal('digest'),
    username: z.string().min(1).regex(/^[^\p{Cc}]*$/u, 'must hold no control character'),
    passwordFile: z.string().min(1),
  }),
  z.strictObject({ type: z.literal('bearer'), tokenFile: z.string().min(1) }),
]);
export type AuthConfig = z.output<typeof authSchema>;

/** Proves a source to its upstream. Only ever asked for the origin the config names. */
export interface Credentials {
  /** The `Authorization` header, or undefined while there is no challenge to answer yet. */
  header(method: string, url: URL): string | undefined;
  /** A 401 came with this `WWW-Authenticate`. True: ask `header` again. Throws Fault, stalled. */
  challenged(challenge: string | undefined): boolean;
  /** The answer was accepted; the `Authentication-Info` that came with it. */
  accepted(info: string | string[] | undefined): void;
}

/**
 * Reads the secret anew, so that a rotated file takes effect without a restart. Throws Fault,
 * stalled, when the file cannot be used. Credentials stay good while `secret` stays the same; keep
 * them that long, for Digest remembers its nonce.
 */
export async function openCredentials(
  auth: AuthConfig,
): Promise<{ secret: string; credentials: Credentials }> {
  const file = auth.type === 'bearer' ? auth.tokenFile : auth.passwordFile;
  const secret = await readSecret(file).catch(() => {
    throw new Fault(`secret file of auth cannot be read: ${file}`, { stalled: true });
  });
  const text = secret.reveal();
  if (auth.type === 'digest') {
    return { secret: text, credentials: createDigest(auth.username, secret) };
  }
  if (auth.type === 'bearer' && /[^\x21-\x7e]/.test(text)) {
    throw new Fault('token holds characters no header can carry', { stalled: true });
  }
  const value = auth.type === 'bearer'
    ? `Bearer ${text}`
    : `Basic ${Buffer.from(`${auth.username}:${text}`).toString('base64')}`;
  return {
    secret: text,
    credentials: { header: () => value, challenged: () => false, accepted: () => {} },
  };
}
