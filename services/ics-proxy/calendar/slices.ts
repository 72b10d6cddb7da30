import type { Buffer } from 'node:buffer';

/** What a feed is made of, in order: stretches of buffers, and a hash a component. */
export class Slices {
  /** Octets. */
  size = 0;
  /** Components. */
  length = 0;
  readonly #sources: Buffer[] = [];
  /** Start and end of each stretch. */
  readonly #bounds: number[] = [];
  #hashes = new Float64Array(1024);

  /** A component's bytes. Neighbours that were neighbours before become one stretch. */
  add(source: Buffer, start: number, end: number, hash: number): void {
    const last = this.#sources.length - 1;
    if (last >= 0 && this.#sources[last] === source && this.#bounds[last * 2 + 1] === start) {
      this.#bounds[last * 2 + 1] = end;
    } else {
      this.#sources.push(source);
      this.#bounds.push(start, end);
    }
    this.size += end - start;
    if (this.length === this.#hashes.length) {
      const grown = new Float64Array(this.length * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[this.length++] = hash;
  }

  /** Copies all of it into `target` from `at`; returns where it ends. */
  copy(target: Buffer, at: number): number {
    for (let i = 0; i < this.#sources.length; i++) {
      at += this.#sources[i]!.copy(target, at, this.#bounds[i * 2]!, this.#bounds[i * 2 + 1]!);
    }
    return at;
  }

  hashes(): Uint8Array {
    return new Uint8Array(this.#hashes.buffer, 0, this.length * 8);
  }
}
