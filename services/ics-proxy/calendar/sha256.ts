import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import wasm from './sha256.wasm.ts';

// As in sha256.as.
const STATE = 0, K = 64, HEX = 800, MESSAGE = 1024;
/** Octets that fit with their padding; what is longer is left to the runtime. */
const ROOM = 2048;

const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
const { memory, run } = new WebAssembly.Instance(module).exports as unknown as {
  memory: WebAssembly.Memory;
  run(blocks: number): void;
};
const state = new Uint32Array(memory.buffer, STATE, 8);
const hex = Buffer.from(memory.buffer, HEX, 32);
const message = Buffer.from(memory.buffer, MESSAGE, ROOM + 128);

/** FIPS 180-4 takes its constants from fractions of the roots of the first primes. */
const primes: number[] = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p !== 0)) primes.push(n);
const fraction = (root: number) => Math.floor((root - Math.floor(root)) * 4294967296);
const initial = Uint32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
new Uint32Array(memory.buffer, K, 64).set(primes.map((p) => fraction(Math.cbrt(p))));

/**
 * The first 32 hexadecimal digits of the SHA-256 of `head` and `source[start..end)`, in memory that the
 * next call overwrites.
 */
export function digest32(head: Buffer, source: Buffer, start: number, end: number): Buffer {
  const length = head.length + end - start;
  if (length > ROOM) {
    const all = Buffer.concat([head, source.subarray(start, end)]);
    hex.write(hash('sha256', all).slice(0, 32), 'latin1');
    return hex;
  }
  // Most are too short for a call of the runtime to pay.
  for (let i = 0; i < head.length; i++) message[i] = head[i]!;
  for (let i = start, at = head.length; i < end;) message[at++] = source[i++]!;
  for (let i = 0; i < 8; i++) state[i] = initial[i]!;
  run(length);
  return hex;
}
