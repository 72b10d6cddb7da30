import type { Buffer } from 'node:buffer';

/** The TZIDs of one calendar, each with a small number. */
export class Tzids {
  readonly list: string[] = [];
  readonly #index = new Map<string, number>();
  #last: Buffer | undefined;
  #lastIndex = -1;

  /** The number of the TZID in `source[start..end)`; the same one twice in a row costs no string. */
  of(source: Buffer, start: number, end: number): number {
    const last = this.#last;
    if (last !== undefined && last.length === end - start) {
      let i = 0;
      while (i < last.length && last[i] === source[start + i]) i++;
      if (i === last.length) return this.#lastIndex;
    }
    const tzid = source.toString('utf8', start, end);
    let index = this.#index.get(tzid);
    if (index === undefined) {
      index = this.list.push(tzid) - 1;
      this.#index.set(tzid, index);
    }
    this.#last = source.subarray(start, end);
    this.#lastIndex = index;
    return index;
  }

  /** Lets go of the calendar that was read last. */
  forget(): void {
    this.#last = undefined;
  }
}
