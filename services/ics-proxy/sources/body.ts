import { Fault } from './fault.ts';

const BEGIN = 'BEGIN:VCALENDAR';
const END = 'END:VCALENDAR';

/**
 * Refuses what is no calendar, or only the first part of one: HTML (whatever the status and the
 * content type said), no BEGIN:VCALENDAR at the start of a line, no END:VCALENDAR after the last
 * one. Linear. Throws Fault. Untrusted input.
 */
export function checkCalendar(bytes: Uint8Array): void {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = firstInk(body);
  if (start === body.length) throw new Fault('answer is empty');
  if (body[start] === 0x3c /* < */) {
    const head = body.toString('latin1', start, start + 512);
    throw new Fault(
      /^<(!doctype html|html|head|body|!--)/i.test(head) ? 'answer is HTML' : 'answer is XML',
    );
  }
  // Most have one BEGIN at their start and END at their end: that takes no look at all the rest.
  const last = lastLine(body, END);
  const opens = body.toString('latin1', start, start + BEGIN.length).toUpperCase() === BEGIN;
  if (opens && last >= 0 && lastLine(body.subarray(last), BEGIN) < 0) return;
  const begin = lastLine(body, BEGIN);
  if (begin < 0) throw new Fault('answer holds no BEGIN:VCALENDAR');
  if (last < begin) throw new Fault('answer is truncated: END:VCALENDAR is missing');
}

function firstInk(body: Buffer): number {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  while (at < body.length && body[at]! <= 0x20) at++;
  return at;
}

/** Where the last line that starts with `word` starts, whatever its case; -1 when there is none. */
function lastLine(body: Buffer, word: string): number {
  for (let from = body.length; from >= 0;) {
    const at = body.lastIndexOf(word, from);
    if (at < 0) break;
    if (startsLine(body, at)) return at;
    from = at - 1;
  }
  // Names are read without regard to case (RFC 5545, 3.1), yet hardly anyone writes them lower.
  for (let at = body.length - word.length; at >= 0; at--) {
    if ((body[at]! | 0x20) !== (word.charCodeAt(0) | 0x20) || !startsLine(body, at)) continue;
    if (body.toString('latin1', at, at + word.length).toUpperCase() === word) return at;
  }
  return -1;
}

function startsLine(body: Buffer, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && at - before <= 64 && (body[before] === 0x20 || body[before] === 0x09)) {
    before--;
  }
  if (before < 0) return true;
  const byte = body[before]!;
  return byte === 0x0a || byte === 0x0d || (before === 2 && byte === 0xbf);
}
