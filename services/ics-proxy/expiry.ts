import { duration } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';

const RFC3339 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;
const span = duration();

/**
 * When a token ends, epoch milliseconds: from an RFC 3339 time, a date (its first moment in UTC) or
 * a duration from now. Throws AppError `invalid` when it is none of these or not in the future.
 */
export function parseExpiry(text: string, now: number): number {
  const asSpan = span.safeParse(text);
  const at = asSpan.success ? now + asSpan.data : RFC3339.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at)) fault('expires', 'must be a time such as 2027-01-31T12:00:00Z, or 90d');
  if (at <= now) fault('expires', 'must be in the future');
  if (at > now + 100 * 365 * 86_400_000) fault('expires', 'must be within a hundred years');
  return at;
}

/** How long an old token works beside its successor, milliseconds; 0s ends it at once. */
export function parseOverlap(text: string): number {
  const parsed = span.safeParse(text);
  if (!parsed.success || parsed.data > 366 * 86_400_000) {
    fault('overlap', 'must be a duration such as 7d, at most a year');
  }
  return parsed.data!;
}

function fault(path: string, message: string): never {
  throw new AppError('invalid', `Cannot make token: ${path} ${message}`, {
    faults: [{ path, message }],
  });
}
