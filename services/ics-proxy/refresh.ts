import { AppError, describe, StalledError, WaitingError } from '@hackspace/kit/errors.ts';
import { redactText } from '@hackspace/kit/log.ts';

/** What is known of a source's fetching; times in epoch milliseconds. */
export interface RefreshStatus {
  lastAttempt?: number;
  /** Last time the upstream answered, changed or not. */
  lastSuccess?: number;
  /** Failures in a row. */
  failures: number;
  /** Why the last attempt failed; shown to admins, so free of URLs with credentials. */
  error?: string;
  /** Only a human can mend it: refused credentials, a calendar that is gone. */
  needsHuman: boolean;
  nextAttempt?: number;
}

export type Outcome = 'fresh' | 'unchanged';

export interface RefreshJob {
  readonly key: string;
  /** Wanted time between two successful fetches, ms. */
  readonly refreshMs: number;
  /** Known from an earlier life: the first fetch is then due one interval after it. */
  readonly lastSuccess?: number | undefined;
  /** Throws AppError; WaitingError carries its own time, StalledError needs a human. */
  run(signal: AbortSignal): Promise<Outcome>;
}

export interface RefreshOptions {
  /** Fetches at the same time (default 64). */
  concurrency?: number;
  now?: () => number;
  /** In [0, 1): spreads what would otherwise come at once. */
  random?: () => number;
  /** Told after each attempt. */
  onResult(key: string, result: Outcome | 'error', status: RefreshStatus): void;
}

export interface Refresher {
  status(key: string): RefreshStatus;
  /** Whether the source is being fetched at this moment. */
  isFetching(key: string): boolean;
  /** Fetches now, or joins the fetch under way; settles when it is done, whatever came of it. */
  refreshNow(key: string): Promise<void>;
  stop(): Promise<void>;
}

const FIRST_RETRY = 15_000;
const DAY = 86_400_000;

/**
 * Milliseconds until the next attempt. Success: the interval, up to 10 % early or late. Failure: 15 s
 * doubled each time, at most the interval (or a minute), half of it by chance; what the upstream asks
 * for (`Retry-After`) is a lower bound of at most a day. Needing a human: at least an hour or so.
 */
export function nextDelay(
  refreshMs: number,
  status: Pick<RefreshStatus, 'failures' | 'needsHuman'>,
  askedMs: number,
  random: () => number,
): number {
  if (status.failures === 0) return Math.round(refreshMs * (0.9 + 0.2 * random()));
  const cap = status.needsHuman ? Math.max(refreshMs, 3_600_000) : Math.max(refreshMs, 60_000);
  const backoff = status.needsHuman
    ? cap
    : Math.min(cap, FIRST_RETRY * 2 ** Math.min(status.failures - 1, 20));
  const spread = Math.round(backoff * (0.5 + 0.5 * random()));
  return Math.max(spread, Math.min(askedMs, DAY));
}

/** One loop a source, each by its own clock; requests of subscribers never wait for any of it. */
export function startRefresh(jobs: RefreshJob[], options: RefreshOptions): Refresher {
  const { concurrency = 64, now = Date.now, random = Math.random, onResult } = options;
  const byKey = new Map(jobs.map((job) => [job.key, job]));
  const statuses = new Map<string, RefreshStatus>();
  const timers = new Map<string, ReturnType<typeof setTimeout>>();
  const running = new Map<string, Promise<void>>();
  const fetching = new Set<string>();
  const waiting: (() => void)[] = [];
  const abort = new AbortController();
  let active = 0;

  async function slot(): Promise<void> {
    if (active < concurrency) active++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }
  function release(): void {
    const next = waiting.shift();
    if (next) next();
    else active--;
  }

  function schedule(job: RefreshJob, delay: number): void {
    if (abort.signal.aborted) return;
    clearTimeout(timers.get(job.key));
    statuses.get(job.key)!.nextAttempt = now() + delay;
    // Timers hold at most 2^31 - 1 ms.
    timers.set(job.key, setTimeout(() => void attempt(job), Math.min(delay, DAY)));
  }

  function attempt(job: RefreshJob): Promise<void> {
    const under = running.get(job.key);
    if (under) return under;
    const work = once(job).finally(() => running.delete(job.key));
    running.set(job.key, work);
    return work;
  }

  async function once(job: RefreshJob): Promise<void> {
    await slot();
    const status = statuses.get(job.key)!;
    let askedMs = 0;
    let result: Outcome | 'error';
    try {
      if (abort.signal.aborted) return;
      status.lastAttempt = now();
      fetching.add(job.key);
      result = await job.run(abort.signal);
      status.lastSuccess = now();
      status.failures = 0;
      status.needsHuman = false;
      delete status.error;
    } catch (error) {
      if (abort.signal.aborted) return;
      result = 'error';
      status.failures++;
      status.needsHuman = error instanceof StalledError;
      status.error = error instanceof AppError
        ? redactText(error.message)
        : `Cannot fetch source: ${redactText(describe(error))}`;
      if (error instanceof WaitingError) askedMs = error.retryAt - now();
      else if (error instanceof AppError) askedMs = (error.retryAfter ?? 0) * 1000;
    } finally {
      fetching.delete(job.key);
      release();
    }
    schedule(job, nextDelay(job.refreshMs, status, askedMs, random));
    onResult(job.key, result, status);
  }

  for (const job of jobs) {
    const { lastSuccess } = job;
    statuses.set(job.key, {
      failures: 0,
      needsHuman: false,
      ...(lastSuccess === undefined ? {} : { lastSuccess }),
    });
    // A restart does not ask every upstream at once: what is fresh enough waits for its turn.
    const due = lastSuccess === undefined ? 0 : lastSuccess + job.refreshMs - now();
    schedule(job, due > 0 ? due : lastSuccess === undefined ? 0 : random() * 5000);
  }

  return {
    status: (key) => statuses.get(key) ?? { failures: 0, needsHuman: false },
    isFetching: (key) => fetching.has(key),
    async refreshNow(key) {
      const job = byKey.get(key);
      if (job) await attempt(job);
    },
    async stop() {
      abort.abort();
      for (const timer of timers.values()) clearTimeout(timer);
      for (const wake of waiting.splice(0)) wake();
      await Promise.allSettled(running.values());
    },
  };
}
