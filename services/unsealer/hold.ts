/**
 * The hold: while any source of it says so, no share leaves. It is asked again at the last moment
 * before each send. What cannot be read counts as held.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { z } from 'zod';
import { describe } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import type { State } from '@hackspace/kit/state.ts';
import type { Hold } from './decide.ts';

const log = getLogger(['unsealer', 'hold']);

const RECORD = z.strictObject({
  /** Set by `PUT /hold` or by the latch. */
  who: z.string().max(200),
  why: z.string().max(1000),
  /** ISO 8601. */
  since: z.string().max(40),
  /** A share of ours reached a node of another cluster. */
  disclosed: z.array(z.string().max(500)).max(100).default([]),
});
export type HoldRecord = z.output<typeof RECORD>;

export interface HoldOptions {
  state: State;
  /** While it exists, held; its first line says who and why. */
  file?: string | undefined;
  /** Held unless renewed within this many milliseconds. */
  deadMan?: number | undefined;
  now?: () => number;
}

export interface HoldSwitch {
  current(): Hold;
  record(): HoldRecord | undefined;
  /** In force at once, in memory first. `durable: false`: it would not survive a restart. */
  put(who: string, why: string, disclosed?: string): Promise<{ durable: boolean }>;
  /** Lifts what `put` set. Throws, still held, when that cannot be recorded. */
  lift(who: string): Promise<void>;
  renew(who: string): Promise<void>;
  /** Another source, such as an annotation: its reason while held, undefined while not. */
  source(name: string, reason: string | undefined): void;
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Never throws: a state that cannot be read is a hold with that reason. */
export async function openHold(options: HoldOptions): Promise<HoldSwitch> {
  const { state, file, deadMan, now = Date.now } = options;
  let record: HoldRecord | undefined;
  let unreadable: string | undefined;
  let renewed = 0;
  const sources = new Map<string, string>();
  try {
    const bytes = await state.get('hold');
    if (bytes) record = RECORD.parse(JSON.parse(new TextDecoder().decode(bytes)));
    const lease = await state.get('lease');
    if (lease) renewed = z.number().parse(JSON.parse(new TextDecoder().decode(lease)));
  } catch (error) {
    unreadable = 'the kept hold cannot be read: held until someone lifts it';
    log.error('hold unreadable: held', { error: describe(error).slice(0, 300) });
  }

  function reasons(): string[] {
    const list: string[] = [];
    if (record) list.push(`${record.who}: ${record.why}`);
    if (unreadable) list.push(unreadable);
    const said = file && fileReason(file);
    if (said) list.push(said);
    for (const [name, reason] of sources) list.push(`${name}: ${reason}`);
    if (deadMan !== undefined) {
      const age = now() - renewed;
      // A lease from the future: the clock was set back. Not renewed, as far as anyone can tell.
      if (age > deadMan || age < -60_000) list.push('the lease was not renewed in time');
    }
    return list;
  }

  return {
    current() {
      const list = reasons();
      return { held: list.length > 0, reasons: list };
    },
    record: () => record,
    async put(who, why, disclosed) {
      const known = record?.disclosed ?? [];
      const all = disclosed && !known.includes(disclosed) ? [...known, disclosed] : known;
      record = {
        who: who.slice(0, 200),
        why: why.slice(0, 1000),
        since: new Date(now()).toISOString(),
        disclosed: all.slice(-100).map((text) => text.slice(0, 500)),
      };
      log.warn('hold set', { who, why });
      try {
        await state.set('hold', encode(record));
        unreadable = undefined;
        return { durable: true };
      } catch (error) {
        log.error('hold is in force but not on disk', { error: describe(error) });
        return { durable: false };
      }
    },
    async lift(who) {
      await state.delete('hold');
      record = undefined;
      unreadable = undefined;
      log.warn('hold lifted', { who });
    },
    async renew(who) {
      await state.set('lease', encode(now()));
      renewed = now();
      log.info('lease renewed', { who });
    },
    source(name, reason) {
      if (reason === undefined) {
        if (sources.delete(name)) log.warn('hold lifted', { who: name });
        return;
      }
      if (sources.get(name) !== reason) log.warn('hold set', { who: name, why: reason });
      sources.set(name, reason);
    },
  };
}

/** Any trouble but "no such file" counts as held. */
function fileReason(path: string): string | undefined {
  try {
    if (!statSync(path).isFile()) return `file ${path}: it is there, though not a file`;
    const handle = openSync(path, 'r');
    try {
      const head = new Uint8Array(200);
      const text = new TextDecoder().decode(head.subarray(0, readSync(handle, head, 0, 200, 0)));
      return `file ${path}: ${text.split('\n')[0]!.trim() || 'no reason given'}`;
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : `file ${path}: it cannot be read (${code})`;
  }
}
