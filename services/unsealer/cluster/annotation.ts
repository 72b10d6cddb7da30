/** The hold by annotation: `kubectl annotate configmap unsealer unsealer.hackspace.dev/hold="ana: why"`. */
import { z } from 'zod';
import { AppError } from '@hackspace/kit/errors.ts';
import type { Api } from '../bridge/api.ts';
import type { HoldSwitch } from '../hold.ts';
import { every } from './every.ts';

const OBJECT = z.object({
  metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).nullish() }),
});

/** How long the last word counts when the API cannot be asked. */
const STALE = 5 * 60_000;

/** Held until the object was read for the first time, and again when it cannot be read for long. */
export function watchAnnotation(
  kube: Api,
  hold: HoldSwitch,
  options: { path: string; key: string; every: number; clock?: () => number },
): { stop(): Promise<void> } {
  const { clock = () => performance.now() } = options;
  const name = `annotation ${options.key}`;
  let readAt: number | undefined;
  hold.source(name, 'it was not read yet');
  return every(options.every, async () => {
    try {
      const answer = await kube.ask('GET', options.path);
      if (answer.status !== 200) {
        throw new AppError('unavailable', `Cannot read ${options.path}: ${answer.status}`);
      }
      const text = OBJECT.parse(answer.body).metadata.annotations?.[options.key];
      readAt = clock();
      hold.source(name, text === undefined ? undefined : text.slice(0, 200) || 'no reason given');
    } catch (error) {
      if (readAt === undefined || clock() - readAt > STALE) {
        hold.source(name, 'it cannot be read');
      }
      throw error;
    }
  }, 'hold annotation not read');
}
