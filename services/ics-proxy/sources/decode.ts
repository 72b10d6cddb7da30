import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { Fault, networkFault } from './fault.ts';

const zstd = typeof zlib.createZstdDecompress === 'function';

/** What this runtime can undo, for `Accept-Encoding`. */
export const ACCEPT_ENCODING = zstd ? 'gzip, deflate, br, zstd' : 'gzip, deflate, br';

/**
 * The decoded body, at most `maxBytes` of it: more is a Fault, and no more than one chunk beyond
 * the cap is ever decoded, whatever a bomb would unfold to. A body shorter than its Content-Length,
 * cut, ill-coded or silent for `idleMs` is a Fault. Untrusted input.
 */
export function readBody(
  answer: IncomingMessage,
  maxBytes: number,
  idleMs: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    /** Where the body goes when its size is told beforehand; no memory is used before it is filled. */
    let whole: Uint8Array | undefined;
    let decoded = 0;
    let received = 0;
    let settled = false;
    let decoder: Transform | undefined;
    let idle: ReturnType<typeof setTimeout>;

    const settle = (fault?: unknown) => {
      if (settled) return;
      settled = true;
      clearTimeout(idle);
      signal.removeEventListener('abort', aborted);
      if (fault === undefined) {
        if (whole) return resolve(whole);
        const joined = new Uint8Array(decoded);
        let at = 0;
        for (const chunk of chunks.splice(0)) {
          joined.set(chunk, at);
          at += chunk.length;
        }
        return resolve(joined);
      }
      answer.destroy();
      decoder?.destroy();
      reject(networkFault(fault));
    };
    const aborted = () => settle(signal.reason);
    const alive = () => {
      clearTimeout(idle);
      idle = setTimeout(() => settle(new Fault('answer went silent half-way')), idleMs);
    };
    const keep = (chunk: Uint8Array) => {
      if (settled) return;
      const at = decoded;
      decoded += chunk.length;
      if (decoded > maxBytes) settle(tooLarge(maxBytes));
      else if (!whole) chunks.push(chunk);
      else if (decoded > whole.length) settle(new Fault('answer is longer than it said'));
      else whole.set(chunk, at);
    };
    const coding = (answer.headers['content-encoding'] ?? '').trim().toLowerCase();
    const length = contentLength(answer);
    if (signal.aborted) return settle(signal.reason);
    if (!coding && length !== undefined && length <= maxBytes) whole = new Uint8Array(length);
    if (!coding && length !== undefined && length > maxBytes) return settle(tooLarge(maxBytes));
    signal.addEventListener('abort', aborted, { once: true });
    alive();

    answer.on('data', (chunk: Uint8Array) => {
      if (settled) return;
      alive();
      received += chunk.length;
      if (received > maxBytes) return settle(tooLarge(maxBytes));
      if (coding === '' || coding === 'identity') return keep(chunk);
      if (decoder === undefined) {
        try {
          decoder = createDecoder(coding, chunk[0] ?? 0);
        } catch (fault) {
          return settle(fault);
        }
        decoder.on('data', keep);
        decoder.on('end', () => settle());
        decoder.on('error', () => settle(new Fault(`answer is not valid ${coding}`)));
      }
      if (!decoder.write(chunk)) {
        answer.pause();
        decoder.once('drain', () => answer.resume());
      }
    });
    answer.on('error', settle);
    answer.on('aborted', () => settle(new Fault('answer was cut half-way')));
    answer.on('close', () => {
      if (!answer.complete) settle(new Fault('answer was cut half-way'));
    });
    answer.on('end', () => {
      if (!answer.complete || (length !== undefined && received !== length)) {
        return settle(new Fault('answer was cut half-way'));
      }
      if (decoder) decoder.end();
      else settle();
    });
  });
}

function tooLarge(maxBytes: number): Fault {
  return new Fault(`answer is larger than ${maxBytes} bytes`);
}

function contentLength(answer: IncomingMessage): number | undefined {
  const text = answer.headers['content-length'];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function createDecoder(coding: string, first: number): Transform {
  const chunkSize = 64 * 1024;
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return zlib.createGunzip({ chunkSize });
    case 'deflate': // RFC 9110 means zlib, some servers send the raw stream
      return (first & 0x0f) === 8
        ? zlib.createInflate({ chunkSize })
        : zlib.createInflateRaw({ chunkSize });
    case 'br':
      return zlib.createBrotliDecompress({ chunkSize });
    case 'zstd':
      if (zstd) {
        // RFC 8878, 3.1.1.1.2: a window of 8 MiB is what a decoder should at least take
        const params = { [zlib.constants.ZSTD_d_windowLogMax]: 23 };
        return zlib.createZstdDecompress({ chunkSize, params });
      }
  }
  throw new Fault('answer has an unknown content coding');
}
