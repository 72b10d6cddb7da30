/**
 * One share of an unseal key: at rest a JWE file bound to its cluster, in memory sealed under a key
 * of this process, in the clear only between `use` and the end of the send.
 */
import { compactDecrypt, CompactEncrypt, decodeProtectedHeader } from 'jose';
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '@hackspace/kit/errors.ts';
import { readSecret } from '@hackspace/kit/secret.ts';

/** What the protected header pins: a changed one fails to decrypt. */
export interface Pins {
  /** The cluster's `cluster_id`. */
  clusterId: string;
  threshold: number;
  shares: number;
}

/** How the file is locked: a key of 32 bytes (systemd credential, Secret), or a passphrase. */
export type Lock = { keyFile: string } | { passphraseFile: string };

const HEADER = z.object({
  alg: z.enum(['dir', 'PBES2-HS512+A256KW']),
  enc: z.literal('A256GCM'),
  cluster_id: z.string(),
  t: z.number().int(),
  n: z.number().int(),
  fingerprint: z.string(),
});

/** OWASP's figure for PBKDF2-HMAC-SHA512 is 210,000. */
const ITERATIONS = 250_000;

/** Names a share without telling it: shares are uniformly random, so 64 bits of a hash are safe to show. */
export function fingerprint(share: Uint8Array): string {
  return createHash('sha256').update('hackspace share\0').update(share).digest('hex').slice(0, 16);
}

/**
 * Hex or base64 as `bao operator init` prints it, in ASCII bytes; white space around is dropped.
 * The caller zeroes both arrays. Throws AppError `invalid`, never quoting the input.
 */
export function parseShare(text: Uint8Array, shares: number): Uint8Array {
  let from = 0;
  let to = text.length;
  while (from < to && text[from]! <= 0x20) from++;
  while (to > from && text[to - 1]! <= 0x20) to--;
  const body = text.subarray(from, to);
  const wanted = shares === 1 ? 32 : 33;
  const bytes = fromHex(body) ?? fromBase64(body);
  if (!bytes) throw new AppError('invalid', 'Cannot read share: it is neither hex nor base64');
  if (bytes.length !== wanted) {
    const was = bytes.length;
    const double = fromHex(bytes)?.length === wanted || fromBase64(bytes)?.length === wanted;
    bytes.fill(0);
    const hint = double ? ' (it looks encoded twice)' : '';
    throw new AppError('invalid', `Cannot read share: ${was} bytes, expected ${wanted}${hint}`);
  }
  return bytes;
}

function fromHex(text: Uint8Array): Uint8Array | undefined {
  if (text.length === 0 || text.length % 2 || text.length > 4096) return undefined;
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < text.length; i++) {
    const c = text[i]! | 0x20;
    const v = c >= 0x30 && c <= 0x39 ? c - 0x30 : c >= 0x61 && c <= 0x66 ? c - 0x57 : -1;
    if (v < 0) return undefined;
    out[i >> 1] = out[i >> 1]! << 4 | v;
  }
  return out;
}

/** By table and by hand: `atob` and `Buffer.from(string)` would leave the share in a string. */
function fromBase64(text: Uint8Array): Uint8Array | undefined {
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text[end - 1] === 0x3d) end--;
  if (end === 0 || end % 4 === 1 || end > 4096) return undefined;
  const out = new Uint8Array(Math.floor(end * 3 / 4));
  let bits = 0;
  let value = 0;
  let at = 0;
  for (let i = 0; i < end; i++) {
    const c = text[i]!;
    const v = c >= 0x41 && c <= 0x5a
      ? c - 0x41
      : c >= 0x61 && c <= 0x7a
      ? c - 0x47
      : c >= 0x30 && c <= 0x39
      ? c + 4
      : c === 0x2b
      ? 62
      : c === 0x2f
      ? 63
      : -1;
    if (v < 0) return undefined;
    value = (value << 6 | v) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = value >> bits & 0xff;
    }
  }
  return out;
}

/** Seals a share into the compact JWE that a share file holds. The caller zeroes the share. */
export async function sealShare(share: Uint8Array, pins: Pins, lock: Lock): Promise<string> {
  const encrypt = new CompactEncrypt(share);
  const header = {
    typ: 'hackspace-share',
    cluster_id: pins.clusterId,
    t: pins.threshold,
    n: pins.shares,
    fingerprint: fingerprint(share),
  };
  const key = await lockKey(lock);
  try {
    if ('keyFile' in lock) {
      encrypt.setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...header });
    } else {
      encrypt.setProtectedHeader({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', ...header });
      encrypt.setKeyManagementParameters({ p2c: ITERATIONS });
    }
    return await encrypt.encrypt(key);
  } finally {
    key.fill(0);
  }
}

/** The key file is 32 raw bytes, or 64 hex digits; a passphrase at least 16 bytes. */
async function lockKey(lock: Lock): Promise<Uint8Array> {
  const path = 'keyFile' in lock ? lock.keyFile : lock.passphraseFile;
  if ('passphraseFile' in lock) {
    const bytes = (await readSecret(path)).bytes();
    if (bytes.length >= 16) return bytes;
    throw new AppError('invalid', `Cannot use passphrase file ${path}: shorter than 16 bytes`);
  }
  // Not readSecret: 32 raw bytes may end in what looks like a newline.
  const bytes = await readFile(path).catch((cause) => {
    throw new AppError('invalid', `Cannot read key file ${path}: ${cause.code}`, { cause });
  });
  if (bytes.length === 32) return new Uint8Array(bytes);
  const hex = bytes.length <= 66 ? fromHex(bytes.subarray(0, 64)) : undefined;
  bytes.fill(0);
  if (hex?.length === 32) return hex;
  throw new AppError(
    'invalid',
    `Cannot use key file ${path}: it must hold 32 bytes or 64 hex digits`,
  );
}

/** A share this process can send. It holds no clear byte of it between two uses. */
export interface HeldShare {
  readonly fingerprint: string;
  /** Hands a copy of the clear share to `work` and zeroes it when `work` is done. */
  use<T>(work: (share: Uint8Array) => Promise<T>): Promise<T>;
}

/** Keeps a share under a key of this process alone. Zeroes the array it is given. */
export function holdShare(share: Uint8Array): HeldShare {
  const key = randomBytes(32);
  const iv = randomBytes(12);
  const print = fingerprint(share);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const sealed = cipher.update(share);
  cipher.final();
  const tag = cipher.getAuthTag();
  share.fill(0);
  return {
    fingerprint: print,
    async use(work) {
      const decipher = createDecipheriv('aes-256-gcm', key, iv);
      decipher.setAuthTag(tag);
      const clear = decipher.update(sealed);
      try {
        decipher.final();
        return await work(clear);
      } finally {
        clear.fill(0);
      }
    },
  };
}

/**
 * Opens a share file and checks that it belongs to this cluster. Throws AppError `invalid`, naming
 * the file and what does not fit.
 */
export async function openShare(path: string, pins: Pins, lock: Lock): Promise<HeldShare> {
  const fail = (why: string, cause?: unknown) =>
    new AppError('invalid', `Cannot open share file ${path}: ${why}`, { cause });
  const jwe = (await readSecret(path)).reveal();
  let header;
  try {
    header = HEADER.parse(decodeProtectedHeader(jwe));
  } catch {
    throw fail('it is not a share file made by `enroll`');
  }
  if (header.cluster_id !== pins.clusterId) {
    throw fail(`it is of cluster ${header.cluster_id}, the config pins ${pins.clusterId}`);
  }
  if (header.t !== pins.threshold || header.n !== pins.shares) {
    const says = `${header.t} of ${header.n}`;
    throw fail(`it is one of ${says}, the config pins ${pins.threshold} of ${pins.shares}`);
  }
  if ((header.alg === 'dir') !== ('keyFile' in lock)) {
    throw fail(`it is locked by a ${header.alg === 'dir' ? 'key file' : 'passphrase'}`);
  }
  const key = await lockKey(lock);
  let share: Uint8Array;
  try {
    const opened = await compactDecrypt(jwe, key, {
      keyManagementAlgorithms: [header.alg],
      contentEncryptionAlgorithms: ['A256GCM'],
      maxPBES2Count: ITERATIONS * 4,
    });
    share = opened.plaintext;
  } catch {
    throw fail('wrong key or passphrase, or the file was changed');
  } finally {
    key.fill(0);
  }
  if (fingerprint(share) !== header.fingerprint) {
    share.fill(0);
    throw fail('the share does not match its fingerprint');
  }
  return holdShare(share);
}
