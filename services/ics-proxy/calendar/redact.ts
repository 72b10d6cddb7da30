import { Buffer } from 'node:buffer';
import { ascii, COLON, QUOTE, same, SEMICOLON, type Writer } from './bytes.ts';
import { type Component, Has } from './components.ts';
import { type Edit, NO_DTSTAMP, type Piece, retimed } from './edit.ts';
import { LINE_OCTETS, unfold, writeFolded, writeLine } from './lines.ts';
import {
  Field,
  first,
  Kind,
  readComponent,
  RECORD,
  records,
  stop,
  TIMES,
  wanting,
} from './lexer.ts';
import { properties } from './properties.ts';
import { hasLower } from './words.ts';

/** The properties a busy view keeps: when, and for whom it blocks time. All others may say what. */
const ALLOWED = wanting(
  Kind.DTSTART,
  Kind.DTEND,
  Kind.DUE,
  Kind.RECURRENCE_ID,
  Kind.RDATE,
  Kind.EXDATE,
  Kind.DURATION,
  Kind.RRULE,
  Kind.EXRULE,
  Kind.SEQUENCE,
  Kind.LAST_MODIFIED,
  Kind.DTSTAMP,
  Kind.STATUS,
  Kind.TRANSP,
  Kind.CLASS,
  Kind.FREEBUSY,
);
const TZID = ascii(';tzid='), VALUE_DATE = ascii(';value=date:');
const STATUSES = ['confirmed', 'tentative', 'cancelled'].map(ascii);
const TRANSPARENCIES = ['opaque', 'transparent'].map(ascii);
const CLASSES = ['public', 'private', 'confidential'].map(ascii);
const OPENING = Buffer.from('BEGIN:VEVENT\r\nUID:'), CLOSING = Buffer.from('END:VEVENT\r\n');
const FREE = Buffer.from('SUMMARY:Free\r\n'), BUSY = Buffer.from('SUMMARY:Busy\r\n');
const BREAK = Buffer.from('\r\n');
/** Bytes of dates, durations, periods and rules. */
const PLAIN = new Uint8Array(256);
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=;,:+-/') {
  PLAIN[c.charCodeAt(0)] = 1;
}

/** Components that take time and may stand in a busy view. */
export function blocksTime(type: string): boolean {
  return type === 'VEVENT' || type === 'VFREEBUSY';
}

/** Writes what the component says about time, and nothing else, under the UID given. */
export function redact(
  out: Writer,
  source: Buffer,
  component: Component,
  uid: Buffer,
  change: Pick<Edit, 'tzids' | 'floating' | 'add' | 'color'>,
): Piece {
  const from = out.length;
  const { start, end, type } = component;
  let stampStart = 0;
  let stampEnd = 0;
  let transparent = false;
  let partial = false;
  let depth = -1;
  if (type === 'VEVENT' && uid.length < 64) {
    out.all(OPENING);
    out.all(uid);
    out.all(BREAK);
  } else {
    writeLine(out, `BEGIN:${type}`);
    writeLine(out, `UID:${uid.toString()}`);
  }
  for (let at = start; at < end;) {
    at = readComponent(source, at, end, ALLOWED);
    for (let record = first; record < stop; record += RECORD) {
      const kind = records[record + Field.KIND]!;
      if (kind === Kind.BEGIN) depth++;
      else if (kind === Kind.END) depth--;
      else if (depth === 0 && ALLOWED[kind] === 1) {
        const line = records[record + Field.START]!;
        const nameEnd = records[record + Field.NAME_END]!;
        const lineEnd = records[record + Field.END]!;
        if (kind === Kind.DTSTAMP) {
          if (component.has & Has.NO_STAMP) continue;
          stampStart = out.length - from;
          writeTime(out, source, line, nameEnd, lineEnd, {}, false);
          stampEnd = out.length - from;
          if (stampEnd === stampStart) stampStart = stampEnd = 0;
        } else if (kind === Kind.STATUS) {
          writeWord(out, source, line, nameEnd, lineEnd, STATUSES);
        } else if (kind === Kind.TRANSP) {
          transparent = writeWord(out, source, line, nameEnd, lineEnd, TRANSPARENCIES) === 1;
        } else if (kind === Kind.CLASS) {
          writeWord(out, source, line, nameEnd, lineEnd, CLASSES);
        } else if (kind !== Kind.FREEBUSY || type === 'VFREEBUSY') {
          if (records[record + Field.DATE]! > 0 && isDay(source, line, nameEnd, lineEnd)) {
            out.copy(source, line, lineEnd + 2);
            continue;
          }
          const isDate = TIMES[kind] === 1;
          const written = out.length;
          writeTime(out, source, line, nameEnd, lineEnd, change, isDate);
          if (isDate && out.length === written) partial = true;
        }
      }
    }
  }
  if (stampEnd === 0) writeLine(out, NO_DTSTAMP);
  if (type === 'VEVENT') out.all(transparent ? FREE : BUSY);
  if (change.color !== undefined) writeLine(out, `COLOR:${change.color}`);
  for (const added of change.add ?? []) writeLine(out, added);
  if (type === 'VEVENT') out.all(CLOSING);
  else writeLine(out, `END:${type}`);
  return { source, start: from, end: out.length, stampStart, stampEnd, hash: 0, partial };
}

/** A line of one word out of few; anything else is not written. Returns which, or -1. */
function writeWord(
  out: Writer,
  source: Buffer,
  line: number,
  nameEnd: number,
  stop: number,
  words: readonly Uint8Array[],
): number {
  if (source[nameEnd] !== COLON) return -1;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (stop - nameEnd - 1 !== word.length || !same(source, nameEnd + 1, word)) continue;
    out.copy(source, line, stop + 2);
    return i;
  }
  return -1;
}

/** A line of dates, a duration or a rule, with no parameters but TZID, VALUE and RANGE. */
function writeTime(
  out: Writer,
  source: Buffer,
  line: number,
  nameEnd: number,
  stop: number,
  change: Pick<Edit, 'tzids' | 'floating'>,
  isDate: boolean,
): void {
  if (stop - line <= LINE_OCTETS) {
    // The usual: no parameters, or a TZID alone.
    let value = nameEnd;
    let param: Buffer | undefined;
    let renamed = false;
    if (
      isDate && source[nameEnd] === SEMICOLON && stop - nameEnd > 6 && same(source, nameEnd, TZID)
    ) {
      value = nameEnd + 6;
      while (value < stop && source[value] !== COLON && source[value] !== QUOTE) {
        if (source[value] === SEMICOLON || source[value] === 44) break;
        value++;
      }
      param = change.tzids?.paramOf(source, nameEnd + 6, value);
      renamed = param !== undefined;
    }
    const floats = isDate && value === nameEnd && change.floating !== undefined;
    if (
      source[value] === COLON && value !== nameEnd + 6 && !floats &&
      isPlain(source, value + 1, stop)
    ) {
      if (!renamed) return out.copy(source, line, stop + 2);
      if (stop - value + nameEnd + 6 - line + param!.length <= LINE_OCTETS) {
        out.copy(source, line, nameEnd + 6);
        out.copy(param!, 0, param!.length);
        return out.copy(source, value, stop + 2);
      }
    }
  }
  const changed = isDate ? retimed(source, line, stop, change, isDate) : undefined;
  const text = changed ?? unfold(source, line, stop);
  const wrapped = Buffer.concat([Buffer.from('BEGIN:X\r\n'), text, Buffer.from('\r\nEND:X\r\n')]);
  for (const { name, params, value } of properties(wrapped, 0, wrapped.length)) {
    const bytes = Buffer.from(value);
    if (!isPlain(bytes, 0, bytes.length)) return;
    let kept = name;
    for (const param of isDate ? ['VALUE', 'TZID', 'RANGE'] : ['VALUE', 'FBTYPE']) {
      const given = params.get(param);
      if (given === undefined || given === '') continue;
      if (param !== 'TZID' && !/^[A-Za-z-]{1,32}$/.test(given)) continue;
      kept += `;${param}=${/[:;,]/.test(given) ? `"${given}"` : given}`;
    }
    writeFolded(out, Buffer.from(`${kept}:${value}`));
  }
}

/** Is this `NAME;VALUE=DATE:20261123`, in capitals, as whole-day events have it? */
function isDay(source: Buffer, line: number, nameEnd: number, stop: number): boolean {
  return stop - nameEnd === VALUE_DATE.length + 8 && same(source, nameEnd, VALUE_DATE) &&
    !hasLower(source, line, nameEnd + VALUE_DATE.length);
}

function isPlain(source: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (PLAIN[source[i]!] === 0) return false;
  return true;
}
