import { Buffer } from 'node:buffer';
import { quoteParam } from './zone-names.ts';

/** Old and new names of TZIDs, as text and as bytes. */
export class Renames {
  readonly #pairs: readonly { from: string; to: string; bytes: Buffer; param: Buffer }[];

  constructor(names: readonly (readonly [string, string])[]) {
    this.#pairs = names.filter(([from, to]) => from !== to).map(([from, to]) => ({
      from,
      to,
      bytes: Buffer.from(from),
      param: Buffer.from(quoteParam(to)),
    }));
  }

  get(tzid: string): string | undefined {
    return this.#pairs.find(({ from }) => from === tzid)?.to;
  }

  /** The new name of `source[start..end)` as a parameter's value, quoted where it must be. */
  paramOf(source: Buffer, start: number, end: number): Buffer | undefined {
    for (let i = 0; i < this.#pairs.length; i++) {
      const { bytes, param } = this.#pairs[i]!;
      if (bytes.length !== end - start) continue;
      let at = 0;
      while (at < bytes.length && bytes[at] === source[start + at]) at++;
      if (at === bytes.length) return param;
    }
    return undefined;
  }
}
