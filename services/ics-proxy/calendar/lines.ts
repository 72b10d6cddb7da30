import { Buffer, isUtf8 } from 'node:buffer';
import { COLON, CONTROL, CR, LF, NAME, SEMICOLON, SPACE, TAB, Writer } from './bytes.ts';

/** Longest physical line in octets without its line break (RFC 5545 §3.1). */
export const LINE_OCTETS = 75;

/** What had to be mended before the lines could be read; counts of logical lines. */
export interface Mends {
  /** Lines that were not UTF-8 and were read as windows-1252. */
  encoding: number;
  /** Lines that held control characters, which were left out. */
  controls: number;
  /** Lines with a line break or a fold that was not as RFC 5545 §3.1 has it. */
  folding: number;
}

/**
 * Any bytes in, physical lines of RFC 5545 out: CRLF, at most 75 octets, folds between characters,
 * UTF-8, no control characters, no blank lines, no byte order mark. Lines that were in order keep
 * their own folds. A line that is indented (rather than folded) loses its indent; BEGIN, END and the
 * component's name come out in capitals.
 * `marks`: offsets in the output, ascending; `lineOf` receives the input's line number of each.
 */
export function normalise(
  input: Buffer,
  mends: Mends,
  marks?: readonly number[],
  lineOf?: (mark: number, line: number) => void,
): Buffer {
  const source = decodeWide(input);
  const out = new Writer(source.length + 64);
  const logical = new Writer(256);
  let at = 0;
  let line = 1;
  let firstLine = 1;
  let open = false;
  let good = true;
  let indent = 0;
  let rawStart = 0;
  let rawEnd = 0;
  // Of a line without folds, which most are: where it is. `logical` has it when it has folds.
  let single = false;
  let textStart = 0;
  let textEnd = 0;
  let simple = false;
  let mark = 0;

  const flush = () => {
    if (!open) return;
    open = false;
    const start = out.length;
    if (single && simple && !isUntidy(source, textStart, textEnd)) {
      out.copy(source, textStart, textEnd);
      out.byte(CR);
      out.byte(LF);
      if (!good) mends.folding++;
      return told(start);
    }
    let text = single ? Buffer.from(source.subarray(textStart, textEnd)) : logical.view();
    const controls = removeControls(text);
    if (controls < text.length) {
      mends.controls++;
      text = text.subarray(0, controls);
    }
    const delimiter = trimDelimiter(text);
    if (delimiter && !delimiter.equals(source.subarray(rawStart, rawEnd - 2))) {
      good = false;
      text = delimiter;
    }
    if (good && rawEnd - rawStart > text.length + 2) good = !isNameFolded(source, rawStart);
    const utf8 = isUtf8(text);
    if (good && utf8) out.copy(source, rawStart, rawEnd);
    else {
      if (utf8) mends.folding++;
      else {
        mends.encoding++;
        text = Buffer.from(new TextDecoder('windows-1252').decode(text), 'utf8');
        text = text.subarray(0, removeC1(text));
      }
      // With characters gone from its front the line may begin like a fold, or be no line at all.
      let blank = 0;
      while (blank < text.length) {
        if (isBlank(text[blank]!)) blank++;
        else if (isMark(text, blank)) blank += 3;
        else break;
      }
      if (blank === text.length) return;
      writeFolded(out, text.subarray(blank));
    }
    told(start);
  };
  const told = (start: number) => {
    while (marks && mark < marks.length && marks[mark]! < out.length) {
      if (marks[mark]! >= start) lineOf?.(marks[mark]!, firstLine);
      mark++;
    }
  };

  while (at < source.length) {
    if (marks && mark === marks.length) return out.view();
    // A byte order mark: at the start of the file, or of a file that was put behind another.
    if (isMark(source, at)) at += 3;
    const start = at;
    let controls = false;
    let byte = 0;
    let bits = 0;
    while (at < source.length && (byte = source[at]!) !== CR && byte !== LF) {
      if (CONTROL[byte]) controls = true;
      bits |= byte;
      at++;
    }
    const end = at;
    const crlf = at + 1 < source.length && byte === CR && source[at + 1] === LF;
    at += crlf ? 2 : at < source.length ? 1 : 0;
    const number = line++;
    if (end === start) {
      good = false;
      continue;
    }
    let blanks = 0;
    while (start + blanks < end && isBlank(source[start + blanks]!)) blanks++;
    const before = () => single ? source.subarray(textStart, textEnd) : logical.view();
    if (blanks > 0 && open && !startsAnew(source, start + blanks, end, blanks, indent, before)) {
      if (single) {
        logical.length = 0;
        logical.copy(source, textStart, textEnd);
        single = false;
      }
      const skip = indent > 0 ? Math.min(blanks, indent + 1) : 1;
      logical.copy(source, start + skip, end);
      good = good && crlf && skip === 1 && !controls && end - start <= LINE_OCTETS;
      if (good) good = startsCharacter(source, start + 1, end);
      rawEnd = at;
      continue;
    }
    flush();
    if (start + blanks === end) continue;
    open = true;
    firstLine = number;
    indent = blanks;
    single = true;
    textStart = start + blanks;
    textEnd = end;
    simple = !controls && bits < 128 && textEnd - textStart <= LINE_OCTETS;
    good = crlf && blanks === 0 && !controls && end - start <= LINE_OCTETS;
    rawStart = start;
    rawEnd = at;
  }
  flush();
  return out.view();
}

export function isMark(source: Buffer, at: number): boolean {
  return source[at] === 0xef && source[at + 1] === 0xbb && source[at + 2] === 0xbf;
}

/** Is this blank-led line a line of its own in an indented file, and not a continuation? */
function startsAnew(
  source: Buffer,
  start: number,
  end: number,
  blanks: number,
  indent: number,
  before: () => Buffer,
): boolean {
  if (start === end) return false;
  if ((indent === 0 || blanks > indent) && !isDelimiter(before())) return false;
  let at = start;
  while (at < end && NAME[source[at]!]) at++;
  return at > start && at < end && (source[at] === COLON || source[at] === SEMICOLON);
}

/** `BEGIN:X` and `END:X` are never folded: what follows them indented is a line of its own. */
function isDelimiter(text: Buffer): boolean {
  if (text.length > LINE_OCTETS) return false;
  return /^(?:begin|end):[a-z0-9-]+ *$/i.test(text.toString('latin1'));
}

/** Names must stand in one piece, so that later steps know a property by its line's first bytes. */
function isNameFolded(source: Buffer, at: number): boolean {
  while (NAME[source[at]!] === 1) at++;
  return source[at] === CR;
}

/** May `trimDelimiter` have something to do? Not with `BEGIN:VEVENT`, nor with lines of other names. */
function isUntidy(source: Buffer, start: number, end: number): boolean {
  const first = source[start]! | 32;
  if (first !== 98 && first !== 101) return false;
  for (let at = start; at < end; at++) if (source[at]! >= 97 || isBlank(source[at]!)) return true;
  return false;
}

/** `BEGIN: VEVENT ` without its blanks; undefined when it is another line. */
function trimDelimiter(text: Buffer): Buffer | undefined {
  const first = text[0]! | 32;
  if (text.length > LINE_OCTETS + 64 || (first !== 98 && first !== 101)) return undefined;
  const [, name, type] =
    /^(begin|end)[ \t]*:[ \t]*([a-z0-9-]+)[ \t]*$/i.exec(text.toString('latin1')) ?? [];
  return name === undefined || type === undefined
    ? undefined
    : Buffer.from(`${name}:${type}`.toUpperCase());
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** False when a fold cut a character in two: the continuation begins with its second half. */
function startsCharacter(source: Buffer, at: number, end: number): boolean {
  return at >= end || (source[at]! & 0xc0) !== 0x80;
}

/** Moves what is no control character to the front; returns how many bytes those are. */
function removeControls(text: Buffer): number {
  let to = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i]!;
    if (!CONTROL[byte]) text[to++] = byte;
  }
  return to;
}

/** windows-1252 maps five bytes to C1 controls (UTF-8: C2 80..9F), which no reader can show. */
function removeC1(text: Buffer): number {
  let to = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === 0xc2 && text[i + 1]! >= 0x80 && text[i + 1]! < 0xa0) i++;
    else text[to++] = text[i]!;
  }
  return to;
}

/** UTF-16 by its byte order mark; anything else is taken as it is. */
function decodeWide(input: Buffer): Buffer {
  const wide = input[0] === 0xff && input[1] === 0xfe
    ? 'utf-16le'
    : input[0] === 0xfe && input[1] === 0xff
    ? 'utf-16be'
    : undefined;
  return wide === undefined ? input : Buffer.from(new TextDecoder(wide).decode(input), 'utf8');
}

/** Writes one logical line with CRLF, folded at 75 octets between characters. `text` is UTF-8. */
export function writeFolded(out: Writer, text: Buffer): void {
  let at = 0;
  let room = LINE_OCTETS;
  while (text.length - at > room) {
    let cut = at + room;
    while (cut > at + 1 && (text[cut]! & 0xc0) === 0x80) cut--;
    out.copy(text, at, cut);
    out.byte(CR);
    out.byte(LF);
    out.byte(SPACE);
    at = cut;
    room = LINE_OCTETS - 1;
  }
  out.copy(text, at, text.length);
  out.byte(CR);
  out.byte(LF);
}

/** One logical line of text, folded. Control characters must have been kept out by the caller. */
export function writeLine(out: Writer, text: string): void {
  writeFolded(out, Buffer.from(text, 'utf8'));
}

/** The logical text of `[start, end)`: normalised lines with their folds taken out. */
export function unfold(source: Buffer, start: number, end: number): Buffer {
  const fold = source.indexOf('\r\n', start, 'latin1');
  if (fold < 0 || fold >= end) return source.subarray(start, end);
  const out = Buffer.allocUnsafe(end - start);
  let to = 0;
  for (let i = start; i < end; i++) {
    if (source[i] === CR) i += 2;
    else out[to++] = source[i]!;
  }
  return out.subarray(0, to);
}

/** RFC 5545 §3.3.11 for text that is to be shown: escapes undone. */
export function unescapeText(value: string): string {
  return value.replace(/\\([\\;,nN])/g, (_, c: string) => (c === 'n' || c === 'N' ? '\n' : c));
}

/** RFC 5545 §3.3.11: a text value, control characters left out. */
export function escapeText(value: string): string {
  // deno-lint-ignore no-control-regex -- controls are what is removed
  return value.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '')
    .replace(/[\\;,]/g, '\\$&').replace(/\r\n?|\n/g, '\\n');
}
