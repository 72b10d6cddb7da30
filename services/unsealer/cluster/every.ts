import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';

const log = getLogger(['unsealer', 'cluster']);

/** Runs `work` now and then each `ms`, one at a time; a failure is logged once until it changes. */
export function every(
  ms: number,
  work: () => Promise<void>,
  failure: string,
): { stop(): Promise<void> } {
  let stopped = false;
  let wake = () => {};
  let said = '';
  const run = (async () => {
    while (!stopped) {
      try {
        await work();
        said = '';
      } catch (error) {
        const text = describe(error).slice(0, 300);
        if (text !== said) log.warn(failure, { error: text });
        said = text;
      }
      if (stopped) break;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  })();
  return {
    stop() {
      stopped = true;
      wake();
      return run;
    },
  };
}
