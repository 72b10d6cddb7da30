// Finds the lines of a calendar that matter, many bytes at a time. AssemblyScript: `node dev/wasm.ts` makes
// lexer.wasm.ts of it, a test compares them. lexer.ts fills the memory, which never grows:
//
//   NAMES    a byte: may it stand in a name?
//   FIRSTS   a byte: kind of the first name of this length and first letter, 0 for none
//   KINDS    32 bytes a kind: its name in lower case (16 bytes), the next kind of the same place in FIRSTS
//   WANTED   a byte a kind: is it wanted inside a component?
//   MASKS    bytes of ones, then of zeros
//   RECORDS  what was found
//   WINDOW   a piece of the calendar
const NAMES: usize = 0;
const FIRSTS: usize = 256;
const WANTED: usize = 768;
const MASKS: usize = 832;
const KINDS: usize = 1024;
const RECORDS: usize = 4096;
const RECORD: usize = 48;
const MOST: i32 = 4096;
const WINDOW: usize = 204800;

const BEGIN = 1;
const END = 2;
const DTSTAMP = 3;
const FOLDED = 1;
const ODD = 2;

const LINE_OCTETS = 75;

// The logical line that is open: it ends where a line begins that is no fold.
let open: bool = false;
let kind: i32 = 0;
let flags: i32 = 0;
let wanted: bool = false;
let line: i32 = 0;
let nameEnd: i32 = 0;
let value: i32 = 0;
let tzid: i32 = 0;
let tzidEnd: i32 = 0;
let date: i32 = 0;
let time: i32 = 0;
let hashHigh: i32 = 0;
let hashLow: i32 = 0;

/** Was the last BEGIN or END a BEGIN of something in a VCALENDAR? Then only what is wanted is told of. */
let inside: bool = false;
/** Over the bytes since the last BEGIN, without lines of the name DTSTAMP. */
let hash: v128 = i32x4.splat(0);
let hashing: bool = false;
let count: i32 = 0;

export function reset(hashes: bool): void {
  hashing = hashes;
  open = false;
  inside = false;
  hash = i32x4.splat(0);
}

/** How many records the last call has left. */
export function found(): i32 {
  return count;
}

/**
 * Reads the lines of `WINDOW[0..length)`, which stands at `base` in the calendar; `last`: its end is the
 * calendar's. Returns where to go on, in the window; -1 when a line is not in order (lines.ts).
 */
export function lex(length: i32, base: i32, last: bool): i32 {
  count = 0;
  let at: i32 = 0;
  // What is looked at behind the end is no part of a line.
  if (last) for (let i: usize = 0; i < 64; i += 16) v128.store(WINDOW + length + i, i32x4.splat(0));
  // A physical line and what is looked at behind it are in the window, whole.
  const safe = last ? length : length - LINE_OCTETS - 32;
  while (at < safe && count < MOST) {
    const start = at;
    const from = WINDOW + start;
    let block = v128.load(from);
    let stop = first(controls(block));
    while (stop === 16) {
      at += 16;
      if (at - start > LINE_OCTETS) return -1;
      stop = first(controls(v128.load(WINDOW + at)));
    }
    at += stop;
    if (load<u16>(WINDOW + at) !== 0x0a0d || at + 2 > length) return -1;
    if (at === start || at - start > LINE_OCTETS) return -1;
    const byte = load<u8>(from);
    if (byte === 0x20 || byte === 0x09) {
      if (!open) return -1;
      flags |= FOLDED;
    } else {
      if (open) close(base + start - 2);
      begin(block, start, at, base);
    }
    at += 2;
    if (hashing && kind !== DTSTAMP) absorb(from, WINDOW + at);
  }
  if (last && at >= length && open) {
    close(base + at - 2);
    open = false;
  }
  return at;
}

/** Bits of the bytes that may not stand in a line: controls other than TAB, and DEL. */
function controls(block: v128): i32 {
  return i8x16.bitmask(v128.or(
    v128.andnot(
      i8x16.lt_u(block, i8x16.splat(0x20)),
      i8x16.eq(block, i8x16.splat(0x09)),
    ),
    i8x16.eq(block, i8x16.splat(0x7f)),
  ));
}

function first(bits: i32): i32 {
  return ctz(bits | 0x10000);
}

/** Bits of the bytes that may not stand in a name: all but letters, digits and hyphens. */
function noName(block: v128): i32 {
  const lower = v128.or(block, i8x16.splat(0x20));
  const letter = i8x16.lt_u(i8x16.sub(lower, i8x16.splat(0x61)), i8x16.splat(26));
  const digit = i8x16.lt_u(i8x16.sub(block, i8x16.splat(0x30)), i8x16.splat(10));
  const hyphen = i8x16.eq(block, i8x16.splat(0x2d));
  return ~i8x16.bitmask(v128.or(letter, v128.or(digit, hyphen))) & 0xffff;
}

/** A logical line begins with the physical one `[start, stop)` of the window, whose first bytes are `block`. */
function begin(block: v128, start: i32, stop: i32, base: i32): void {
  let end = start + first(noName(block));
  if (end - start === 16) { while (load<u8>(NAMES + load<u8>(WINDOW + end))) end++; }
  open = true;
  flags = 0;
  tzid = tzidEnd = 0;
  line = base + start;
  nameEnd = base + end;
  kind = end - start > 16 ? 0 : kindOf(block, end - start);
  const byte = load<u8>(WINDOW + end);
  if (end === start) flags = ODD;
  else if (byte === 0x3a) value = base + end + 1;
  else if (byte === 0x3b) {
    const read = params(end, stop, base);
    value = base + read;
    if (read < 0 || kind === BEGIN || kind === END) flags = ODD;
  } else flags = ODD;
  if (flags === ODD) {
    wanted = true;
    return;
  }
  if (kind === BEGIN) {
    hashHigh = i32x4.extract_lane(hash, 0) ^ i32x4.extract_lane(hash, 2);
    hashLow = i32x4.extract_lane(hash, 1) ^ i32x4.extract_lane(hash, 3);
    hash = i32x4.splat(0);
    inside = !isCalendar(WINDOW + end + 1);
    wanted = true;
  } else if (kind === END) {
    inside = false;
    wanted = true;
  } else {
    wanted = !inside || load<u8>(WANTED + kind) !== 0 || tzidEnd > tzid;
    if (wanted) digits(WINDOW + (value - base), WINDOW + stop);
  }
}

function isCalendar(at: usize): bool {
  return (load<u64>(at) | 0x2020202020202020) === 0x61646e656c616376 &&
    (load<u16>(at + 8) | 0x2020) === 0x2d72;
}

function kindOf(block: v128, length: i32): i32 {
  const lower = v128.and(
    v128.or(block, i8x16.splat(0x20)),
    v128.load(MASKS + 16 - length),
  );
  let k: i32 = load<u8>(FIRSTS + (length & 15) * 32 + (i8x16.extract_lane_u(lower, 0) & 31));
  while (k !== 0) {
    const entry = KINDS + <usize> k * 32;
    if (!v128.any_true(v128.xor(lower, v128.load(entry)))) break;
    k = load<u8>(entry + 16);
  }
  return k;
}

/**
 * Reads `;NAME=value,"value"` from `at` to the colon, RFC 5545 §3.1. Returns where the value begins; a
 * negative number when they are malformed, or go on behind a fold.
 */
function params(at: i32, stop: i32, base: i32): i32 {
  while (at < stop && load<u8>(WINDOW + at) === 0x3b) {
    const name = ++at;
    while (load<u8>(NAMES + load<u8>(WINDOW + at))) at++;
    if (at === name || load<u8>(WINDOW + at) !== 0x3d) return i32.MIN_VALUE;
    const isTzid = at - name === 4 && (load<u32>(WINDOW + name) | 0x20202020) === 0x64697a74;
    let byte: u8 = 0;
    do {
      at++;
      let start = at;
      byte = load<u8>(WINDOW + at);
      const quoted = byte === 0x22;
      if (quoted) {
        start = ++at;
        while (at < stop && load<u8>(WINDOW + at) !== 0x22) at++;
      } else {
        while (at < stop) {
          byte = load<u8>(WINDOW + at);
          if (byte === 0x3b || byte === 0x3a || byte === 0x2c) break;
          if (byte === 0x22) return i32.MIN_VALUE;
          at++;
        }
      }
      if (at >= stop) return i32.MIN_VALUE;
      if (isTzid) {
        if (tzidEnd > 0) return i32.MIN_VALUE;
        tzid = base + start;
        tzidEnd = base + at;
      }
      if (quoted && ++at >= stop) return i32.MIN_VALUE;
      byte = load<u8>(WINDOW + at);
    } while (byte === 0x2c);
    if (byte === 0x3a) return at + 1;
  }
  return i32.MIN_VALUE;
}

/** YYYYMMDD and HHMMSS when `[at, stop)` looks like a date; `date` is -1 when it does not. */
function digits(at: usize, stop: usize): void {
  const length = stop - at;
  date = -1;
  time = 0;
  if (length !== 8 && length !== 15 && length !== 16) return;
  if (length === 16 && (load<u8>(at + 15) | 0x20) !== 0x7a) return;
  const day = eight(at);
  if (day < 0) return;
  if (length > 8) {
    if ((load<u8>(at + 8) | 0x20) !== 0x74) return;
    time = six(at + 9);
    if (time < 0) return;
  }
  date = day;
}

function eight(at: usize): i32 {
  const word = load<u64>(at) ^ 0x3030303030303030;
  if (((word + 0x7676767676767676 | word) & 0x8080808080808080) !== 0) return -1;
  const pairs = (word * 10 + (word >> 8)) & 0x00ff00ff00ff00ff;
  const fours = (pairs * 100 + (pairs >> 16)) & 0x0000ffff0000ffff;
  return <i32> ((fours * 10000 + (fours >> 32)) & 0xffffffff);
}

/** Reads two zeros before the six digits. */
function six(at: usize): i32 {
  const word = (load<u64>(at - 2) & 0xffffffffffff0000 | 0x3030) ^ 0x3030303030303030;
  if (((word + 0x7676767676767676 | word) & 0x8080808080808080) !== 0) return -1;
  const pairs = (word * 10 + (word >> 8)) & 0x00ff00ff00ff00ff;
  const fours = (pairs * 100 + (pairs >> 16)) & 0x0000ffff0000ffff;
  return <i32> ((fours * 10000 + (fours >> 32)) & 0xffffffff);
}

/** The open line ends before its line break at `end`. */
function close(end: i32): void {
  if (!wanted) return;
  const record = RECORDS + <usize> count * RECORD;
  if (kind === END) {
    hashHigh = i32x4.extract_lane(hash, 0) ^ i32x4.extract_lane(hash, 2);
    hashLow = i32x4.extract_lane(hash, 1) ^ i32x4.extract_lane(hash, 3);
  }
  store<i32>(record, kind);
  store<i32>(record, flags, 4);
  store<i32>(record, line, 8);
  store<i32>(record, nameEnd, 12);
  store<i32>(record, value, 16);
  store<i32>(record, end, 20);
  store<i32>(record, tzid, 24);
  store<i32>(record, tzidEnd, 28);
  store<i32>(record, date, 32);
  store<i32>(record, time, 36);
  store<i32>(record, hashHigh, 40);
  store<i32>(record, hashLow, 44);
  count++;
}

/** Goes on with the hash over `[at, end)`. It tells changes from no changes, and is not for secrets. */
function absorb(at: usize, end: usize): void {
  let sum = hash;
  for (; at + 16 <= end; at += 16) sum = stir(sum, v128.load(at));
  const rest = v128.and(v128.load(at), v128.load(MASKS + 16 - (end - at)));
  hash = stir(sum, v128.xor(rest, i64x2.splat(<i64> (end - at) << 56)));
}

function stir(sum: v128, block: v128): v128 {
  const keyed = v128.xor(block, i64x2(0x1cad21f72c81017c, 0x7a3f9d5be4c86b21));
  const low = i8x16.shuffle(keyed, keyed, 0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11);
  const up = i8x16.shuffle(keyed, keyed, 4, 5, 6, 7, 12, 13, 14, 15, 4, 5, 6, 7, 12, 13, 14, 15);
  const turned = v128.or(i64x2.shl(sum, 23), i64x2.shr_u(sum, 41));
  return i64x2.add(
    v128.xor(turned, i8x16.shuffle(block, block, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)),
    i64x2.extmul_low_i32x4_u(low, up),
  );
}
