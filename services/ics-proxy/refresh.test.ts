import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AppError, StalledError, WaitingError } from '@hackspace/kit/errors.ts';
import { nextDelay, type RefreshJob, startRefresh } from './refresh.ts';

const MINUTE = 60_000;
beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

test.each([
  ['success', { failures: 0, needsHuman: false }, 0, [13.5 * MINUTE, 16.5 * MINUTE]],
  ['the first failure', { failures: 1, needsHuman: false }, 0, [7500, 15_000]],
  ['the third failure', { failures: 3, needsHuman: false }, 0, [30_000, 60_000]],
  ['the hundredth failure', { failures: 100, needsHuman: false }, 0, [7.5 * MINUTE, 15 * MINUTE]],
  ['a wish of the upstream', { failures: 1, needsHuman: false }, 3_600_000, [3.6e6, 3.6e6]],
  ['an absurd wish', { failures: 1, needsHuman: false }, 1e12, [86.4e6, 86.4e6]],
  ['refused credentials', { failures: 1, needsHuman: true }, 0, [1.8e6, 3.6e6]],
])('delay after %s', (_, status, asked, [low, high]) => {
  expect(nextDelay(15 * MINUTE, status, asked, () => 0)).toBe(low);
  expect(nextDelay(15 * MINUTE, status, asked, () => 0.9999999)).toBeLessThanOrEqual(high!);
});

function start(run: RefreshJob['run'], more: Partial<RefreshJob> = {}) {
  const results: string[] = [];
  const refresher = startRefresh([{ key: 'a/b', refreshMs: 15 * MINUTE, run, ...more }], {
    random: () => 0.5,
    onResult: (_, result, status) => results.push(`${result} ${status.failures}`),
  });
  return { refresher, results };
}

test('a new source is fetched at once, then by its interval; failures back off and recover', async () => {
  let broken = false;
  const run = vi.fn(() => {
    if (broken) throw new AppError('unavailable', 'Cannot fetch source b: answer is HTML');
    return Promise.resolve('fresh' as const);
  });
  const { refresher, results } = start(run);
  await vi.advanceTimersByTimeAsync(0);
  expect(run).toHaveBeenCalledTimes(1);
  broken = true;
  await vi.advanceTimersByTimeAsync(15 * MINUTE);
  expect(refresher.status('a/b')).toMatchObject({
    failures: 1,
    error: 'Cannot fetch source b: answer is HTML',
    lastSuccess: 1_000_000,
  });
  await vi.advanceTimersByTimeAsync(12_000);
  broken = false;
  await vi.advanceTimersByTimeAsync(25_000);
  expect(results).toEqual(['fresh 0', 'error 1', 'error 2', 'fresh 0']);
  expect(refresher.status('a/b').error).toBeUndefined();
  await refresher.stop();
  await vi.advanceTimersByTimeAsync(60 * MINUTE);
  expect(run).toHaveBeenCalledTimes(4);
});

test('a source known from an earlier life waits for its turn', async () => {
  const run = vi.fn(() => Promise.resolve('unchanged' as const));
  const { refresher } = start(run, { lastSuccess: 1_000_000 - 5 * MINUTE });
  await vi.advanceTimersByTimeAsync(10 * MINUTE - 1);
  expect(run).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(run).toHaveBeenCalledTimes(1);
  await refresher.stop();
});

test('errors say when to come back and whether a human is needed', async () => {
  const errors = [
    new WaitingError('Cannot fetch source b: asked to wait', 1_000_000 + 2 * 3_600_000),
    new StalledError('Cannot fetch source b: credentials refused'),
  ];
  const { refresher } = start(() => Promise.reject(errors.shift()));
  await vi.advanceTimersByTimeAsync(0);
  expect(refresher.status('a/b').nextAttempt).toBe(1_000_000 + 2 * 3_600_000);
  await vi.advanceTimersByTimeAsync(2 * 3_600_000);
  expect(refresher.status('a/b')).toMatchObject({ needsHuman: true, failures: 2 });
  await refresher.stop();
});

test('what is not an AppError is redacted before it is kept', async () => {
  const { refresher } = start(() => {
    throw new Error('connect failed for https://me:hunter2@host/x?key=hunter2');
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(refresher.status('a/b').error).not.toContain('hunter2');
  await refresher.stop();
});

test('no more than the allowed number run at once, and a stop aborts them', async () => {
  let active = 0;
  let most = 0;
  const jobs = Array.from({ length: 10 }, (_, i): RefreshJob => ({
    key: `a/${i}`,
    refreshMs: MINUTE,
    run: async (signal) => {
      most = Math.max(most, ++active);
      await new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, 1000);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(signal.reason);
        });
      });
      active--;
      return 'fresh';
    },
  }));
  const results: string[] = [];
  const refresher = startRefresh(jobs, {
    concurrency: 3,
    random: () => 0.5,
    onResult: (key) => results.push(key),
  });
  await vi.advanceTimersByTimeAsync(2500);
  expect(most).toBe(3);
  expect(results).toHaveLength(6);
  await refresher.stop();
  expect(results).toHaveLength(6);
});

test('asking for a refresh joins the one under way', async () => {
  const run = vi.fn(async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return 'fresh' as const;
  });
  const { refresher } = start(run);
  await vi.advanceTimersByTimeAsync(10);
  const both = Promise.all([refresher.refreshNow('a/b'), refresher.refreshNow('a/b')]);
  await vi.advanceTimersByTimeAsync(100);
  await both;
  expect(run).toHaveBeenCalledTimes(1);
  await refresher.stop();
});
