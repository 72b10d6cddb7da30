// SHA-256 (FIPS 180-4) of short messages: a call of the runtime's own takes ten times as long as a block does.
// AssemblyScript: `node dev/wasm.ts` makes sha256.wasm.ts of it, a test compares them.
//
//   STATE    eight words, the digest at the end
//   K        64 words of constants, filled by sha256.ts
//   W        64 words
//   HEX      the digest's first 16 bytes in hexadecimal digits
//   MESSAGE  with room for its padding
const STATE: usize = 0;
const K: usize = 64;
const W: usize = 512;
const HEX: usize = 800;
const MESSAGE: usize = 1024;

export function run(length: i32): void {
  const blocks = (length + 72) >>> 6;
  const last = MESSAGE + <usize> blocks * 64;
  for (let i = MESSAGE + <usize> length; i < last; i++) store<u8>(i, 0);
  store<u8>(MESSAGE + length, 0x80);
  store<u32>(last - 4, bswap<u32>(length * 8));
  for (let block = 0; block < blocks; block++) {
    const from = MESSAGE + <usize> block * 64;
    for (let i: usize = 0; i < 64; i += 4) store<u32>(W + i, bswap<u32>(load<u32>(from + i)));
    for (let i: usize = W + 64; i < W + 256; i += 4) {
      const x = load<u32>(i - 60);
      const y = load<u32>(i - 8);
      const s0 = rotr(x, 7) ^ rotr(x, 18) ^ (x >>> 3);
      const s1 = rotr(y, 17) ^ rotr(y, 19) ^ (y >>> 10);
      store<u32>(i, load<u32>(i - 64) + s0 + load<u32>(i - 28) + s1);
    }
    let a = load<u32>(STATE);
    let b = load<u32>(STATE, 4);
    let c = load<u32>(STATE, 8);
    let d = load<u32>(STATE, 12);
    let e = load<u32>(STATE, 16);
    let f = load<u32>(STATE, 20);
    let g = load<u32>(STATE, 24);
    let h = load<u32>(STATE, 28);
    for (let i: usize = 0; i < 256; i += 4) {
      const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      const t1 = h + s1 + ((e & f) ^ (~e & g)) + load<u32>(K + i) + load<u32>(W + i);
      const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    store<u32>(STATE, load<u32>(STATE) + a);
    store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
    store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
    store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
    store<u32>(STATE, load<u32>(STATE, 16) + e, 16);
    store<u32>(STATE, load<u32>(STATE, 20) + f, 20);
    store<u32>(STATE, load<u32>(STATE, 24) + g, 24);
    store<u32>(STATE, load<u32>(STATE, 28) + h, 28);
  }
  for (let i: usize = 0; i < 16; i++) {
    const byte = load<u8>(STATE + (i ^ 3));
    store<u8>(HEX + i * 2, digit(byte >> 4));
    store<u8>(HEX + i * 2, digit(byte & 15), 1);
  }
}

function digit(value: u8): u8 {
  return value < 10 ? 0x30 + value : 0x57 + value;
}
