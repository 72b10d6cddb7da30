import { Writer } from './bytes.ts';
import { hashOf } from './component.ts';
import { viewOf } from './digest.ts';
import type { Piece } from './edit.ts';

const SMALL = 32_768;
const FULL = 262_144;

/**
 * Memory for pieces that are newly written. In chunks, so that nothing is copied because more comes, and
 * that what is kept keeps little else alive.
 */
export class Chunks {
  #writer: Writer | undefined;
  #fresh: Piece[] = [];

  /** Where the next piece is to be written. */
  writer(): Writer {
    const full = this.#writer !== undefined && this.#writer.length > FULL;
    if (full) this.seal();
    return this.#writer ??= new Writer(full ? FULL + SMALL : SMALL);
  }

  /** The piece that was just written to `writer()`. */
  add(piece: Piece): void {
    this.#fresh.push(piece);
  }

  /** Pieces learn where their bytes are, and their hashes: the writer will grow no more. */
  seal(): void {
    if (!this.#writer) return;
    const bytes = this.#writer.take();
    const view = viewOf(bytes);
    for (const piece of this.#fresh) {
      piece.source = bytes;
      const { start, end, stampStart, stampEnd } = piece;
      piece.hash = hashOf(view, start, end, stampStart, stampEnd);
    }
    this.#writer = undefined;
    this.#fresh = [];
  }
}
