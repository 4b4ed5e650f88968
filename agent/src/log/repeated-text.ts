/**
 * Texts of one field of a log line. One that came twice running is kept as bytes: clusters, peers and details repeat
 * from line to line, and copying costs a third of escaping.
 */
import { type LineBuffer, Piece } from './line-buffer.ts';

/** Longer ones are not kept: they may be cut when a line must be shortened. */
const longestKept = 128;
/** A text of which this much is escapes is none that a mesh names things with. */
export const longestPiece = 160;

const nothing = Piece.of('');

export class RepeatedText {
  /** Null when nothing is kept. */
  kept: string | null = null;
  /** The JSON string of it. */
  piece: Piece = nothing;
  #previous = '';

  /** A whole JSON string, with its quotes. */
  write(line: LineBuffer, text: string): void {
    if (text === this.kept) line.raw(this.piece);
    else this.#escape(line, text);
  }

  #escape(line: LineBuffer, text: string): void {
    const start = line.at;
    line.jsonString(text);
    const repeats = text === this.#previous && text.length <= longestKept;
    if (repeats && !line.overflowed && line.at - start <= longestPiece && text.length <= line.valueLimit) {
      this.kept = text;
      this.piece = new Piece(line.bytes.slice(start, line.at));
    }
    this.#previous = text;
  }
}
