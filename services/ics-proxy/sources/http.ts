import { sha256Later } from '@hackspace/kit/guard.ts';
import { checkCalendar } from './body.ts';
import { exchange, type Reach } from './exchange.ts';
import { Fault } from './fault.ts';
import type { FetchResult, Validators } from './source.ts';

const MAX_RETRY_AFTER_S = 86_400;

/**
 * A calendar behind one URL: conditional GET by ETag and Last-Modified; where the upstream has
 * neither, the same bytes again still count as unchanged. Throws Fault.
 */
export async function fetchCalendar(
  url: URL,
  previous: Validators | undefined,
  reach: Reach,
  signal: AbortSignal,
): Promise<FetchResult> {
  const conditions: Record<string, string> = {};
  if (previous?.etag) conditions['if-none-match'] = previous.etag;
  if (previous?.lastModified) conditions['if-modified-since'] = previous.lastModified;
  const headers = { accept: 'text/calendar, text/plain;q=0.5, */*;q=0.1', ...conditions };
  const answer = await exchange(url, { method: 'GET', headers }, reach, signal);
  if (answer.status === 304) {
    if (!previous || Object.keys(conditions).length === 0) {
      throw new Fault('answer is 304 to a question without conditions');
    }
    return { status: 'unchanged', validators: previous };
  }
  checkStatus(answer.status, answer.headers);
  checkCalendar(answer.bytes);
  const sha256 = await sha256Later(answer.bytes);
  const validators: Validators = { sha256 };
  if (fits(answer.headers.etag)) validators.etag = answer.headers.etag;
  if (fits(answer.headers['last-modified'])) {
    validators.lastModified = answer.headers['last-modified'];
  }
  if (previous?.sha256 === sha256) return { status: 'unchanged', validators };
  return { status: 'fresh', bytes: answer.bytes, validators };
}

function fits(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value.length <= 1024 && !/[^\x20-\x7e]/.test(value);
}

/** Throws Fault unless the status is 200 or 207; stalled when asking again cannot help. */
export function checkStatus(
  status: number,
  headers: { 'retry-after'?: string | undefined },
  now: number = Date.now(),
): void {
  if (status === 200 || status === 207) return;
  const stalled = WORDS[status];
  if (stalled) throw new Fault(`answer is ${status}: ${stalled}`, { stalled: true, status });
  const retryAfter = parseRetryAfter(headers['retry-after'], now);
  throw new Fault(`answer is ${status}`, { retryAfter, status });
}

const WORDS: Record<number, string> = {
  401: 'credentials are missing or refused',
  403: 'access is refused',
  404: 'there is nothing at this URL',
  410: 'the calendar is gone for good',
};

/** Seconds of `Retry-After` (RFC 9110, 10.2.3), a number or a date; a day at most. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - now) / 1000;
  if (Number.isNaN(seconds)) return undefined;
  return Math.min(Math.max(Math.ceil(seconds), 0), MAX_RETRY_AFTER_S);
}
