import { readFile, stat } from 'node:fs/promises';
import { inspect } from 'node:util';
import { AppError, fileReason } from './errors.ts';

const MAX_BYTES = 64 * 1024;

/** A credential that prints as `[redacted]` everywhere but through `reveal()` and `bytes()`. */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(value: Uint8Array | string) {
    this.#bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  }

  reveal(): string {
    return new TextDecoder().decode(this.#bytes);
  }

  /** A copy: the caller may zero it. */
  bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}

/**
 * Reads a secret from a file, as Kubernetes and systemd hand them over; one newline at the end is
 * dropped. Throws AppError `invalid` when the file is missing, empty or larger than 64 KiB.
 */
export async function readSecret(path: string): Promise<Secret> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) {
      throw new AppError('invalid', `Cannot read secret file ${path}: larger than 64 KiB`);
    }
    bytes = await readFile(path);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('invalid', `Cannot read secret file ${path}: ${fileReason(cause)}`);
  }
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end--;
  if (bytes[end - 1] === 0x0d) end--;
  if (end === 0) throw new AppError('invalid', `Cannot read secret file ${path}: file is empty`);
  return new Secret(new Uint8Array(bytes.subarray(0, end)));
}
