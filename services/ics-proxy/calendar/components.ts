import { Buffer, isUtf8 } from 'node:buffer';
import { asBuffer } from './bytes.ts';
import { Component, Has, type Table } from './component.ts';
import { type Mends, normalise } from './lines.ts';
import { type Fault, type Scan, scan, unreadable } from './scan.ts';
import type { ZoneRules } from './zone-rules.ts';

export { Component, Has };

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
  /** The same as numbers. */
  readonly table: Table;
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
 * once more when its lines were out of order, and about 64 octets a component. `previous`: what the same
 * source was before; what has not changed since is not read again. The answer is the same without it.
 */
export function parseCalendar(bytes: Uint8Array, previous?: ParsedCalendar): ParsedCalendar {
  const input = asBuffer(bytes);
  const old = previous?.table;
  if (old && !old.normalised && old.source.equals(input)) return previous;
  const mends: Mends = { encoding: 0, controls: 0, folding: 0 };
  const truncated = input.length > 0 && !isBreak(input[input.length - 1]!);
  let buffer = input;
  let found: Scan | undefined = isUtf8(input)
    ? scan(input, { normalised: false, truncated }, old)
    : undefined;
  const inOrder = found !== undefined;
  if (!found) {
    buffer = normalise(input, mends);
    found = scan(buffer, { normalised: true, truncated }, old) ?? unreadable(buffer);
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
  const { table } = found;
  let components: readonly Component[] | undefined;
  return {
    bytes: buffer,
    table,
    // They become objects when somebody looks at them: most feeds are made of their numbers.
    get components() {
      return components ??= Array.from({ length: table.length }, (_, i) => new Component(table, i));
    },
    zones: found.zones,
    tzids: table.tzids.list,
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
