import { AppError } from '@hackspace/kit/errors.ts';
import { sha256 } from '@hackspace/kit/guard.ts';
import type { State } from '@hackspace/kit/state.ts';

const KEEP_MS = 24 * 3600_000;
const PREFIX = 'idempotency';

interface Kept {
  /** Hash of method, path and body. */
  request: string;
  at: number;
  status: number;
  body: unknown;
}

export interface Answer {
  status: number;
  body: unknown;
}

/**
 * `Idempotency-Key`: the same key with the same request gets the first answer again for a day; with
 * another request it is refused. Only answers that were given are kept: after an error one may retry.
 */
export function idempotency(state: State, now: () => number = Date.now) {
  const running = new Map<string, { request: string; answer: Promise<Answer> }>();
  return {
    async run(
      key: string | undefined,
      subject: string,
      request: string,
      work: () => Promise<Answer>,
    ): Promise<Answer> {
      if (key === undefined) return await work();
      if (!/^[\x21-\x7e]{8,200}$/.test(key)) {
        throw new AppError(
          'invalid',
          'Cannot use Idempotency-Key: it must be 8 to 200 visible letters',
        );
      }
      const id = sha256(`${subject}\n${key}`);
      const fingerprint = sha256(request);
      const mismatch = () =>
        new AppError('conflict', 'Cannot use Idempotency-Key: it was used for another request');
      const other = running.get(id);
      if (other) {
        if (other.request !== fingerprint) throw mismatch();
        return await other.answer;
      }
      const answer = (async () => {
        const bytes = await state.get(`${PREFIX}/${id}`);
        const kept = bytes && JSON.parse(new TextDecoder().decode(bytes)) as Kept;
        if (kept && now() - kept.at < KEEP_MS) {
          if (kept.request !== fingerprint) throw mismatch();
          return { status: kept.status, body: kept.body };
        }
        const given = await work();
        const keep: Kept = { request: fingerprint, at: now(), ...given };
        await state.set(`${PREFIX}/${id}`, JSON.stringify(keep));
        return given;
      })();
      running.set(id, { request: fingerprint, answer });
      try {
        return await answer;
      } finally {
        running.delete(id);
      }
    },
    /** Forgets what is older than a day. */
    async purge(): Promise<void> {
      for (const key of await state.list(PREFIX)) {
        const bytes = await state.get(key);
        const at = bytes && (JSON.parse(new TextDecoder().decode(bytes)) as Kept).at;
        if (at === undefined || now() - at > KEEP_MS) await state.delete(key);
      }
    },
  };
}
