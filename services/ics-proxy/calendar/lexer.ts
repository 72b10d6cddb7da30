import { Buffer } from 'node:buffer';
import { NAME } from './bytes.ts';
import wasm from './lexer.wasm.ts';

/** Properties that somebody asks for, and the lines around them. The first three are known to lexer.as. */
export const Kind = {
  OTHER: 0,
  BEGIN: 1,
  END: 2,
  DTSTAMP: 3,
  UID: 4,
  DUE: 5,
  DTEND: 6,
  DTSTART: 7,
  RRULE: 8,
  RDATE: 9,
  CLASS: 10,
  SEQUENCE: 11,
  DURATION: 12,
  RELATED_TO: 13,
  RECURRENCE_ID: 14,
  EXDATE: 15,
  EXRULE: 16,
  LAST_MODIFIED: 17,
  STATUS: 18,
  TRANSP: 19,
  FREEBUSY: 20,
  SUMMARY: 21,
  COLOR: 22,
} as const;

/** A record: where a logical line is, in the calendar, and what it was found to be. */
export const Field = {
  KIND: 0,
  /** Bits: has folds; its form is odd, and what follows but END is unknown. */
  FLAGS: 1,
  START: 2,
  NAME_END: 3,
  VALUE: 4,
  /** Before its line break. */
  END: 5,
  /** Its TZID, without quotes; both 0 when there is none. */
  TZID: 6,
  TZID_END: 7,
  /** YYYYMMDD and HHMMSS, of a line without folds; -1 when the value does not look like a date. */
  DATE: 8,
  TIME: 9,
  /** Of a BEGIN or END: over the bytes since the last BEGIN, an END included, without DTSTAMPs. */
  HASH_HIGH: 10,
  HASH_LOW: 11,
} as const;
export const RECORD = 12;
export const FOLDED = 1;
export const ODD = 2;
/** Octets that are read at once, at most. */
const ROOM = 262_144;

// As in lexer.as.
const NAMES = 0, FIRSTS = 256, WANTED = 768, MASKS = 832, KINDS = 1024, RECORDS = 4096;
const MOST = 4096, WINDOW = 204_800;

interface Exports {
  memory: WebAssembly.Memory;
  reset(hashes: boolean): void;
  found(): number;
  lex(length: number, base: number, last: boolean): number;
}

const module = new WebAssembly.Module(Buffer.from(wasm, 'base64'));
const { memory, reset, found, lex } = new WebAssembly.Instance(module)
  .exports as unknown as Exports;
const bytes = new Uint8Array(memory.buffer);
const window = Buffer.from(memory.buffer, WINDOW);
/** Where `read` leaves its records. */
export const records = new Int32Array(memory.buffer, RECORDS, (MOST + 1) * RECORD);

bytes.set(NAME, NAMES);
bytes.fill(255, MASKS, MASKS + 16);
for (const [name, kind] of Object.entries(Kind)) {
  if (kind === Kind.OTHER) continue;
  const text = name.toLowerCase().replace('_', '-');
  const entry = KINDS + kind * 32;
  const place = FIRSTS + text.length * 32 + (text.charCodeAt(0) & 31);
  bytes.set(new TextEncoder().encode(text), entry);
  bytes[entry + 16] = bytes[place]!;
  bytes[place] = kind;
}

let asked: Uint8Array | undefined;

/**
 * Reading begins, or goes on elsewhere. Inside components only lines of these kinds are told of. Hashes
 * are there when they are asked for.
 */
export function begin(wanted: Uint8Array, hashes = false): void {
  followed = undefined;
  if (wanted !== asked) bytes.set(asked = wanted, WANTED);
  reset(hashes);
}

/** How many records the last `read` left. */
export { found };

/**
 * Reads lines from `at` to `end`, at most `size` octets of them. Leaves `records` of those that matter: all
 * outside components; within them those that are wanted, bound to a TZID or odd. Returns where to go on;
 * -1 when the lines are not in order (lines.ts).
 */
export function read(source: Buffer, at: number, size = ROOM, end = source.length): number {
  const length = Math.min(size, ROOM, end - at);
  source.copy(window, 0, at, at + length);
  const next = lex(length, at, at + length === end);
  return next < 0 ? -1 : at + next;
}

/** Octets that are read at once where components follow one another. */
const AHEAD = 32_768;
/** What `readComponent` reads, the component it was last asked for, and up to where it has read. */
let followed: Buffer | undefined;
let lastAt = 0;
let lastEnd = 0;
let readTo = 0;
/** Where in `records` those of `readComponent` begin and end. */
export let first = 0;
export let stop = 0;

/**
 * Reads on in the component that ends at `end`, from `at`; returns where to go on, at last `end`. Those
 * behind it are read along when components are asked for in order. To be followed by `forget`.
 */
export function readComponent(source: Buffer, at: number, end: number, wanted: Uint8Array): number {
  const follows = source === followed && wanted === asked && at > lastAt;
  const goesOn = follows && end === lastEnd;
  if (goesOn || !follows || end >= readTo) {
    if (!goesOn) begin(wanted);
    const ahead = follows && at < lastEnd + AHEAD && end - at < AHEAD / 2;
    readTo = ahead ? read(source, at, AHEAD) : read(source, at, ROOM, end);
    followed = source;
    stop = 0;
  }
  lastAt = at;
  lastEnd = end;
  const all = found() * RECORD;
  first = stop;
  // A line that was begun before is told of when one goes on.
  while (first < all && !goesOn && records[first + Field.START]! < at) first += RECORD;
  for (stop = first; stop < all && records[stop + Field.START]! < end;) stop += RECORD;
  return readTo < 0 ? end : Math.min(readTo, end);
}

/** Lets go of the calendar that was read last. */
export function forget(): void {
  followed = undefined;
}

/** The properties that hold the dates of a component, in a zone perhaps. */
export const TIMES = wanting(
  Kind.DTSTART,
  Kind.DTEND,
  Kind.DUE,
  Kind.RECURRENCE_ID,
  Kind.RDATE,
  Kind.EXDATE,
);

/** For `begin`. */
export function wanting(...kinds: number[]): Uint8Array {
  const wanted = new Uint8Array(64);
  for (const kind of kinds) wanted[kind] = 1;
  return wanted;
}
