import type { Buffer } from 'node:buffer';
import { ascii, COLON, COMMA, CR, NAME, QUOTE, same, SEMICOLON } from './bytes.ts';

const TZID = ascii('tzid');

/** What `readParams` met: offsets into the bytes it read. Reused from line to line. */
export class Params {
  /** The last TZID parameter's value without quotes; equal when there was none. */
  tzidStart = 0;
  tzidEnd = 0;

  reset(): void {
    this.tzidStart = 0;
    this.tzidEnd = 0;
  }
}

/**
 * Reads `;NAME=value,"value"` from `at` (the first semicolon) to the colon, RFC 5545 §3.1.
 * Returns the offset of the value; -1 when malformed; -2 when a fold stands among the parameters.
 */
export function readParams(bytes: Buffer, at: number, end: number, params: Params): number {
  while (at < end && bytes[at] === SEMICOLON) {
    const name = ++at;
    while (at < end && NAME[bytes[at]!] === 1) at++;
    if (at >= end) return -1;
    if (bytes[at] === CR) return -2;
    if (at === name || bytes[at] !== 61) return -1;
    const isTzid = at - name === 4 && same(bytes, name, TZID);
    do {
      at++;
      const quoted = at < end && bytes[at] === QUOTE;
      const start = quoted ? ++at : at;
      if (quoted) { while (at < end && bytes[at] !== QUOTE && bytes[at] !== CR) at++; }
      else {
        while (at < end) {
          const byte = bytes[at]!;
          if (byte === SEMICOLON || byte === COLON || byte === COMMA || byte === CR) break;
          if (byte === QUOTE) return -1;
          at++;
        }
      }
      if (at >= end) return -1;
      if (bytes[at] === CR) return -2;
      if (isTzid) {
        // One zone a line: two are no more telling than none.
        if (params.tzidEnd > 0) return -1;
        params.tzidStart = start;
        params.tzidEnd = at;
      }
      if (quoted && ++at >= end) return -1;
      if (bytes[at] === CR) return -2;
    } while (bytes[at] === COMMA);
    if (bytes[at] === COLON) return at + 1;
  }
  return -1;
}
