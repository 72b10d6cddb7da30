/** What `mix` made last: two lanes of 32 bits. */
export let high = 0;
export let low = 0;

/**
 * A hash over `view[start..end)`, seeded by two numbers; its results are `high` and `low`. Four lanes of
 * multiply and rotate over 32-bit words: it tells changes from no changes, and is not for secrets.
 */
export function mix(
  view: DataView,
  start: number,
  end: number,
  seedHigh: number,
  seedLow: number,
): void {
  const size = end - start;
  let a = seedHigh ^ size;
  let b = seedLow + size | 0;
  let at = start;
  if (size >= 16) {
    let c = a ^ 0x38495ab5;
    let d = b ^ 0x0c9aa9e5;
    // The last words are read once more rather than byte by byte.
    for (const last = end - 16;;) {
      a = Math.imul(a ^ view.getInt32(at, true), 0xcc9e2d51);
      b = Math.imul(b ^ view.getInt32(at + 4, true), 0x1b873593);
      c = Math.imul(c ^ view.getInt32(at + 8, true), 0x85ebca6b);
      d = Math.imul(d ^ view.getInt32(at + 12, true), 0xc2b2ae35);
      a = a << 13 | a >>> 19;
      b = b << 15 | b >>> 17;
      c = c << 13 | c >>> 19;
      d = d << 15 | d >>> 17;
      if (at === last) break;
      at = at + 16 < last ? at + 16 : last;
    }
    a = Math.imul(a ^ c >>> 15, 0x2c1b3c6d) + c | 0;
    b = Math.imul(b ^ d >>> 13, 0x297a2d39) + d | 0;
  } else {
    for (; at < end; at++) {
      a = Math.imul(a ^ view.getUint8(at), 0x01000193);
      b = Math.imul(b ^ a, 0x85ebca6b) ^ b >>> 13;
    }
  }
  a = Math.imul(a ^ a >>> 16, 0x85ebca6b);
  b = Math.imul(b ^ b >>> 15 ^ a, 0xc2b2ae35);
  high = a ^ b >>> 13;
  low = b ^ high >>> 16;
}

/** The same memory as words. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
