/** The closed vocabulary of what can go wrong; mapped to HTTP in one place, `http.ts`. */
export const ERROR_CODES = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'conflict',
  'rate_limited',
  'unavailable',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface AppErrorOptions {
  cause?: unknown;
  /** Seconds until a retry makes sense; becomes `Retry-After`. */
  retryAfter?: number;
  /** Where in the input each fault lies, shown to the caller. Must hold no secret. */
  faults?: Fault[];
}

export interface Fault {
  /** Dotted path, `feeds.members.sources[0].url`. */
  path: string;
  message: string;
}

/**
 * An error whose message may be shown to the caller: "what was attempted: what was wrong", no period,
 * and never a secret or a URL that could carry one. Anything else thrown shows as "Internal error".
 */
export class AppError extends Error {
  override readonly name: string = 'AppError';
  readonly code: ErrorCode;
  readonly retryAfter: number | undefined;
  readonly faults: Fault[] | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.faults = options.faults;
  }
}

/** A loop's error that carries when to try again (epoch milliseconds): no backoff of the loop's own. */
export class WaitingError extends AppError {
  override readonly name = 'WaitingError';
  readonly retryAt: number;

  constructor(message: string, retryAt: number, options: AppErrorOptions = {}) {
    super('unavailable', message, options);
    this.retryAt = retryAt;
  }
}

/** A loop's error that only a human can mend: alert, and do not hammer. */
export class StalledError extends AppError {
  override readonly name = 'StalledError';

  constructor(message: string, options: AppErrorOptions = {}) {
    super('internal', message, options);
  }
}

/** The message of anything thrown, for logs: with its causes, outermost first. */
export function describe(error: unknown): string {
  const parts: string[] = [];
  for (let e = error, depth = 0; e !== undefined && e !== null && depth < 5; depth++) {
    parts.push(e instanceof Error ? e.message : String(e));
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(': ');
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'access is refused',
  EPERM: 'access is refused',
  EISDIR: 'it is a directory',
};

/** Why a file could not be read, to stand at the end of a message. */
export function fileReason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? code ?? describe(error);
}
