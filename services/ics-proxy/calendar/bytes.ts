import { Buffer } from 'node:buffer';

export const TAB = 9,
  LF = 10,
  CR = 13,
  SPACE = 32,
  QUOTE = 34,
  COMMA = 44,
  COLON = 58,
  SEMICOLON = 59,
  DEL = 127;

/** Bytes that may stand in a property or parameter name (RFC 5545 §3.1: ALPHA, DIGIT, "-"). */
export const NAME = table((b) =>
  (b >= 48 && b <= 57) || (b >= 65 && b <= 90) || (b >= 97 && b <= 122) || b === 45
);
/** Bytes that may not stand inside a physical line: controls other than TAB, and DEL. */
export const CONTROL = table((b) => (b < SPACE && b !== TAB) || b === 127);

function table(test: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (test(byte) ? 1 : 0));
}

/** The same memory as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Does `bytes[start..]` hold the ASCII letters of `lower` (lower case), whatever their case? */
export function same(bytes: Uint8Array, start: number, lower: Uint8Array): boolean {
  for (let i = 0; i < lower.length; i++) {
    const want = lower[i]!;
    const got = bytes[start + i]!;
    if (got !== want && (want < 97 || want > 122 || (got | 32) !== want)) return false;
  }
  return true;
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** A growing byte buffer. Amortised linear. */
export class Writer {
  #buffer: Buffer;
  length = 0;

  constructor(size = 4096) {
    this.#buffer = Buffer.allocUnsafe(Math.max(size, 64));
  }

  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.length);
    this.#buffer = grown;
  }

  byte(value: number): void {
    if (this.length === this.#buffer.length) this.reserve(1);
    this.#buffer[this.length++] = value;
  }

  /** Copies `source[start..end)`: short pieces by a loop, long ones by the runtime. */
  copy(source: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    if (end - start > 48) {
      this.length += source.copy(this.#buffer, this.length, start, end);
      return;
    }
    const target = this.#buffer;
    let at = this.length;
    for (let i = start; i < end; i++) target[at++] = source[i]!;
    this.length = at;
  }

  text(text: string): void {
    this.reserve(text.length * 3);
    this.length += this.#buffer.write(text, this.length);
  }

  all(bytes: Buffer): void {
    this.copy(bytes, 0, bytes.length);
  }

  /** The written bytes, sharing memory with the writer. */
  view(start = 0, end = this.length): Buffer {
    return this.#buffer.subarray(start, end);
  }

  /** The written bytes, in no more memory than they are worth; the writer is done. */
  take(): Buffer {
    const view = this.view();
    return this.length > this.#buffer.length * 0.75 ? view : Buffer.from(view);
  }

  /** The byte at `index`, counted from the start of what was written. */
  at(index: number): number {
    return this.#buffer[index]!;
  }
}
