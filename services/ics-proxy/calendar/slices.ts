import type { Buffer } from 'node:buffer';

/** What a feed is made of, in order: stretches of buffers, and a hash a component. */
export class Slices {
  /** Octets. */
  size = 0;
  /** Components. */
  length = 0;
  readonly #buffers: Buffer[] = [];
  /** Three a stretch: place of its buffer, start, end. */
  #stretches: Int32Array;
  /** Where in `#stretches` the next will be. */
  #next = 0;
  #hashes: Float64Array;

  /** `components`: how many there will be, about. */
  constructor(components: number) {
    this.#hashes = new Float64Array(components + 16);
    this.#stretches = new Int32Array((components + 16) * 3);
  }

  /** The number of a buffer, for `add`. */
  buffer(source: Buffer): number {
    const last = this.#buffers.length - 1;
    return last >= 0 && this.#buffers[last] === source ? last : this.#buffers.push(source) - 1;
  }

  /** A component's bytes. Neighbours that were neighbours before become one stretch. */
  add(buffer: number, start: number, end: number, hash: number): void {
    if (this.length === this.#hashes.length) this.#grow();
    this.#hashes[this.length++] = hash;
    this.size += end - start;
    const stretches = this.#stretches;
    const next = this.#next;
    if (next > 0 && stretches[next - 1] === start && stretches[next - 3] === buffer) {
      stretches[next - 1] = end;
      return;
    }
    stretches[next] = buffer;
    stretches[next + 1] = start;
    stretches[next + 2] = end;
    this.#next = next + 3;
  }

  #grow(): void {
    const hashes = new Float64Array(this.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const stretches = new Int32Array(this.length * 6);
    stretches.set(this.#stretches);
    this.#stretches = stretches;
  }

  /** Copies all of it into `target` from `at`; returns where it ends. */
  copy(target: Buffer, at: number): number {
    const stretches = this.#stretches;
    for (let i = 0; i < this.#next; i += 3) {
      const source = this.#buffers[stretches[i]!]!;
      at += source.copy(target, at, stretches[i + 1]!, stretches[i + 2]!);
    }
    return at;
  }

  hashes(): Uint8Array {
    return new Uint8Array(this.#hashes.buffer, 0, this.length * 8);
  }
}
