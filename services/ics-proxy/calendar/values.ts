const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * The digits of a DATE (`20261123`) or DATE-TIME (`20261123T190000`, with or without `Z`) as one number
 * YYYYMMDDHHMMSS; -1 when `bytes[start..end)` is neither, or no day of the calendar.
 */
export function dateDigits(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length !== 8 && length !== 15 && (length !== 16 || (bytes[end - 1]! | 32) !== 122)) return -1;
  const date = digits(bytes, start, start + 8);
  if (date < 0) return -1;
  if (length === 8) return joined(date, 0);
  const time = digits(bytes, start + 9, start + 15);
  return time < 0 || (bytes[start + 8]! | 32) !== 116 ? -1 : joined(date, time);
}

/** YYYYMMDD and HHMMSS as one number; -1 when there is no such day or time. */
export function joined(date: number, time: number): number {
  const month = (date / 100 | 0) % 100;
  const day = date % 100;
  if (month < 1 || month > 12 || day < 1 || day > DAYS[month - 1]!) return -1;
  if (month === 2 && day === 29 && !isLeap(date / 10000 | 0)) return -1;
  if (time >= 240000 || (time / 100 | 0) % 100 > 59 || time % 100 > 60) return -1;
  return date * 1e6 + time;
}

function digits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** YYYYMMDDHHMMSS read as UTC, in epoch milliseconds. */
export function digitsToMs(value: number): number {
  const date = Math.floor(value / 1e6);
  const time = value % 1e6;
  const at = new Date(0);
  at.setUTCFullYear(Math.floor(date / 10000), Math.floor(date / 100) % 100 - 1, date % 100);
  return at.getTime() + Math.floor(time / 10000) * 3_600_000 +
    Math.floor(time / 100) % 100 * 60_000 + time % 100 * 1000;
}

/** Epoch milliseconds as `20261123T190000`, in UTC without the `Z`. */
export function msToLocal(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '');
}

const DURATION =
  /^([+-]?)P(?:(\d{1,9})W|(?=[\dT])(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?)$/i;

export function isDuration(text: string): boolean {
  return text.length <= 64 && DURATION.test(text);
}

/** A DURATION (RFC 5545 §3.3.6) in milliseconds; 0 when it is none. A day is 24 hours. */
export function durationMs(text: string): number {
  const match = text.length <= 64 ? DURATION.exec(text) : null;
  if (!match) return 0;
  const [, sign, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match;
  const ms = Number(weeks) * 604_800_000 + Number(days) * 86_400_000 +
    Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1000;
  return sign === '-' ? -ms : ms;
}

const FREQUENCIES = ['SECONDLY', 'MINUTELY', 'HOURLY', 'DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'];
/** Longest RRULE that is read: every BYYEARDAY and every BYSECOND fit, a flood does not. */
const RULE_OCTETS = 8192;

/** The parts of an RRULE by upper-case name; undefined when it is malformed (RFC 5545 §3.3.10). */
export function readRule(text: string): Map<string, string> | undefined {
  if (text.length > RULE_OCTETS) return undefined;
  const parts = new Map<string, string>();
  for (const part of text.toUpperCase().split(';')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = part.slice(0, equals);
    const value = part.slice(equals + 1);
    if (equals < 1 || parts.has(name) || !isPart(name, value)) return undefined;
    parts.set(name, value);
  }
  return parts.has('FREQ') && !(parts.has('UNTIL') && parts.has('COUNT')) ? parts : undefined;
}

function isPart(name: string, value: string): boolean {
  switch (name) {
    case 'FREQ':
      return FREQUENCIES.includes(value);
    case 'UNTIL':
      return dateDigits(new TextEncoder().encode(value), 0, value.length) >= 0;
    case 'COUNT':
    case 'INTERVAL':
      return /^[0-9]{1,15}$/.test(value) && Number(value) > 0;
    case 'WKST':
      return /^(?:SU|MO|TU|WE|TH|FR|SA)$/.test(value);
    case 'BYDAY':
      return value.split(',').every((v) => /^[+-]?[0-9]{0,2}(?:SU|MO|TU|WE|TH|FR|SA)$/.test(v));
    case 'BYSECOND':
      return all(value, 0, 60);
    case 'BYMINUTE':
      return all(value, 0, 59);
    case 'BYHOUR':
      return all(value, 0, 23);
    case 'BYMONTHDAY':
      return all(value, 1, 31, true);
    case 'BYYEARDAY':
    case 'BYSETPOS':
      return all(value, 1, 366, true);
    case 'BYWEEKNO':
      return all(value, 1, 53, true);
    default:
      // BYMONTH=5L, RSCALE, SKIP (RFC 7529) and parts to come.
      return /^[A-Z0-9-]+$/.test(name) && /^[A-Z0-9,+-]*$/.test(value);
  }
}

function all(value: string, least: number, most: number, negative = false): boolean {
  return value.split(',').every((item) => {
    if (!/^[+-]?[0-9]{1,3}$/.test(item)) return false;
    const number = Number(item);
    const size = negative ? Math.abs(number) : number;
    return size >= least && size <= most;
  });
}

export function isRule(text: string): boolean {
  return readRule(text) !== undefined;
}
