import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Encoding } from './document.ts';

/** Up to this many octets the way to the thread pool and back costs more than compressing. */
const AT_ONCE = 64 * 1024;
const { constants } = zlib;

interface Coder {
  now(bytes: Uint8Array): Uint8Array;
  later(bytes: Uint8Array): Promise<Uint8Array>;
}

const gzip = ({ length }: Uint8Array) => ({ level: 7, chunkSize: chunkSize(length) });
const brotli = ({ length }: Uint8Array) => ({
  chunkSize: chunkSize(length),
  params: {
    [constants.BROTLI_PARAM_QUALITY]: 5,
    [constants.BROTLI_PARAM_SIZE_HINT]: length,
  },
});
const zstd = ({ length }: Uint8Array) => ({ chunkSize: chunkSize(length) });

function chunkSize(length: number): number {
  return Math.min(256 * 1024, Math.max(4096, length >> 2));
}

const CODERS: Partial<Record<Encoding, Coder>> = {
  br: {
    now: (bytes) => zlib.brotliCompressSync(bytes, brotli(bytes)),
    later: (bytes) => promisify(zlib.brotliCompress)(bytes, brotli(bytes)),
  },
  gzip: {
    now: (bytes) => zlib.gzipSync(bytes, gzip(bytes)),
    later: (bytes) => promisify(zlib.gzip)(bytes, gzip(bytes)),
  },
  // zstd came to node:zlib later than the rest; a runtime without it serves without it.
  ...(typeof zlib.zstdCompress === 'function' && {
    zstd: {
      now: (bytes) => zlib.zstdCompressSync(bytes, zstd(bytes)),
      later: (bytes) => promisify(zlib.zstdCompress)(bytes, zstd(bytes)),
    },
  }),
};

/** Whether this runtime can make the coding. */
export function canEncode(name: Encoding): boolean {
  return CODERS[name] !== undefined;
}

/** The compressed form, in memory of its own size. */
export async function encode(bytes: Uint8Array, name: Encoding): Promise<Uint8Array> {
  const coder = CODERS[name];
  if (!coder) throw new Error(`${name} cannot be made here`);
  const made = bytes.length <= AT_ONCE ? coder.now(bytes) : await coder.later(bytes);
  return made.byteLength === made.buffer.byteLength ? made : new Uint8Array(made);
}
