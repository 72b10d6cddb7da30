import { Buffer, isUtf8 } from 'node:buffer';
import { asBuffer } from './bytes.ts';
import { type Mends, normalise } from './lines.ts';
import { type Fault, type Scan, scan, unreadable } from './scan.ts';
import type { ZoneRules } from './zone-rules.ts';

/** What a component holds, as bits: what a later step may skip when the bit is not set. */
export const Has = {
  RULE: 1,
  RDATE: 2,
  ALARM: 4,
  RELATED: 8,
  /** A date-time that is neither UTC nor bound to a TZID: it floats with the reader. */
  FLOATING: 16,
  /** CLASS other than PUBLIC. */
  CLASS: 32,
  /** No UID of its own: `uid` is derived from its content. */
  NO_UID: 64,
  /** No DTSTAMP, or one that is no date-time. */
  NO_STAMP: 128,
  NESTED: 256,
  /** The file ended before its END line. */
  NO_END: 512,
  /** A TZID where a redacted component has none: on a nested or unusual property. */
  ODD_TZID: 1024,
} as const;

/** One component at the level of VCALENDAR, as offsets into `ParsedCalendar.bytes`. */
export interface Component {
  /** `ParsedCalendar.bytes`. */
  readonly source: Buffer;
  /** Upper case: VEVENT, VTODO, VJOURNAL, VFREEBUSY, X-…; VTIMEZONEs are in `zones`. */
  readonly type: string;
  /** Its place in `ParsedCalendar.components`. */
  readonly index: number;
  readonly uid: string;
  /** `''` for a master; else RECURRENCE-ID's value, `|` and its TZID. */
  readonly recurrenceId: string;
  /** Which VCALENDAR of the file it came from: TZIDs are looked up there first. */
  readonly calendar: number;
  readonly start: number;
  /** Behind the line break of the END line. */
  readonly end: number;
  /** The DTSTAMP line, relative to `start`; both 0 when there is none. */
  readonly stampStart: number;
  readonly stampEnd: number;
  /** DTSTART's (else DUE's) digits as one number, 20261123190000; 0 when there is none. */
  readonly startKey: number;
  /** Indexes into `ParsedCalendar.tzids` of every TZID parameter. */
  readonly tzids: readonly number[];
  readonly has: number;
  readonly sequence: number;
  /** Of the bytes without DTSTAMP (content.ts), made when first asked for; 0 until then. */
  hash: number;
}

/** A VTIMEZONE as it came. */
export interface ZoneDefinition {
  readonly tzid: string;
  /** Every VCALENDAR of the file that holds this very definition. */
  readonly calendars: number[];
  readonly start: number;
  readonly end: number;
  readonly rules: ZoneRules;
}

/** A part of the input that is kept out of the feed. */
export interface Quarantined {
  /** What is wrong, in words; may quote names but no values. */
  reason: string;
  /** 1-based line of the input where the fault is. */
  line: number;
  /** Its first bytes, at most `QUARANTINE_OCTETS`. */
  bytes: Uint8Array;
}

export const QUARANTINE_OCTETS = 2048;
export const QUARANTINE_LIMIT = 1000;

/** One source's calendar: immutable, reusable from merge to merge. */
export interface ParsedCalendar {
  /** The input, or the input with its lines in order if they were not. */
  readonly bytes: Buffer;
  readonly components: readonly Component[];
  readonly zones: readonly ZoneDefinition[];
  /** Every TZID that occurs as a parameter. */
  readonly tzids: readonly string[];
  /** Properties of the VCALENDARs by upper-case name; the first of each wins. */
  readonly header: Readonly<Record<string, string>>;
  /** The first `QUARANTINE_LIMIT`; `quarantinedCount` counts them all. */
  readonly quarantined: readonly Quarantined[];
  readonly quarantinedCount: number;
  readonly mends: Readonly<Mends>;
  /** How many VCALENDARs were seen. */
  readonly calendars: number;
}

/**
 * Reads a calendar of any bytes and never throws. Cost is linear in the input; memory is the input,
 * once more when its lines were out of order, and about 150 octets a component.
 */
export function parseCalendar(bytes: Uint8Array): ParsedCalendar {
  const input = asBuffer(bytes);
  const mends: Mends = { encoding: 0, controls: 0, folding: 0 };
  const truncated = input.length > 0 && !isBreak(input[input.length - 1]!);
  let buffer = input;
  let found: Scan | undefined = isUtf8(input)
    ? scan(input, { normalised: false, truncated })
    : undefined;
  const inOrder = found !== undefined;
  if (!found) {
    buffer = normalise(input, mends);
    found = scan(buffer, { normalised: true, truncated }) ?? unreadable(buffer);
  }
  const faults = found.faults;
  const quarantined = faults.map((fault) => ({
    reason: fault.reason,
    line: 0,
    bytes: buffer.subarray(fault.start, Math.min(fault.end, fault.start + QUARANTINE_OCTETS)),
  }));
  if (faults.length > 0) {
    if (inOrder) countLines(buffer, faults, quarantined);
    else numberLines(input, faults, quarantined);
  }
  return {
    bytes: buffer,
    components: found.components,
    zones: found.zones,
    tzids: found.tzids,
    header: found.header,
    quarantined: quarantined.map((q) => ({ ...q, bytes: Uint8Array.from(q.bytes) })),
    quarantinedCount: found.faultCount,
    mends,
    calendars: found.calendars,
  };
}

function isBreak(byte: number): boolean {
  return byte === 10 || byte === 13;
}

function countLines(buffer: Buffer, faults: readonly Fault[], into: Quarantined[]): void {
  let line = 1;
  let at = 0;
  faults.forEach((fault, i) => {
    for (let lf; (lf = buffer.indexOf(10, at)) >= 0 && lf < fault.at; at = lf + 1) line++;
    into[i]!.line = line;
  });
}

/** Runs the mending of lines once more, to learn where in the input the faulty parts began. */
function numberLines(input: Buffer, faults: readonly Fault[], into: Quarantined[]): void {
  let next = 0;
  const again: Mends = { encoding: 0, controls: 0, folding: 0 };
  normalise(input, again, faults.map((f) => f.at), (_, line) => {
    into[next++]!.line = line;
  });
}
