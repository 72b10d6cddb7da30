import type { Buffer } from 'node:buffer';
import { COLON, CR, NAME, SEMICOLON, SPACE, TAB } from './bytes.ts';
import { unfold } from './lines.ts';

/** The end of the logical line at `start`, before its line break. Lines are in order (lines.ts). */
export function lineEnd(source: Buffer, start: number, end: number): number {
  let at = start;
  for (;;) {
    while (source[at] !== CR) at++;
    const next = at + 2 < end ? source[at + 2] : 0;
    if (next !== SPACE && next !== TAB) return at;
    at += 2;
  }
}

/** A content line as text: for the few lines whose values matter. The hot paths use offsets. */
export interface Property {
  /** Upper case. */
  name: string;
  /** By upper-case name; several values joined by commas, quotes taken off. */
  params: ReadonlyMap<string, string>;
  /** As it stands, escapes and all. */
  value: string;
  /** How deep below the component it stands; BEGIN and END count to the outer level. */
  depth: number;
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map();

/** The properties of a component, in order, without its own BEGIN and END. */
export function* properties(source: Buffer, start: number, end: number): Generator<Property> {
  let depth = -1;
  for (let at = start; at < end;) {
    const stop = lineEnd(source, at, end);
    const line = unfold(source, at, stop);
    at = stop + 2;
    let nameEnd = 0;
    while (nameEnd < line.length && NAME[line[nameEnd]!] === 1) nameEnd++;
    const name = line.toString('latin1', 0, nameEnd).toUpperCase();
    if (name === 'END') depth--;
    const property = readProperty(line, name, nameEnd, depth);
    if (depth >= 0) yield property;
    if (name === 'BEGIN') depth++;
    if (depth < 0) return;
  }
}

/** The line must have passed `readParams`; what does not parse has an empty value. */
function readProperty(line: Buffer, name: string, nameEnd: number, depth: number): Property {
  if (line[nameEnd] === COLON) {
    return { name, params: NO_PARAMS, value: line.toString('utf8', nameEnd + 1), depth };
  }
  const params = new Map<string, string>();
  let at = nameEnd;
  while (line[at] === SEMICOLON) {
    const from = ++at;
    while (at < line.length && line[at] !== 61) at++;
    const param = line.toString('latin1', from, at).toUpperCase();
    const start = ++at;
    let quoted = false;
    while (at < line.length) {
      const byte = line[at]!;
      if (byte === 34) quoted = !quoted;
      else if (!quoted && (byte === SEMICOLON || byte === COLON)) break;
      at++;
    }
    if (!params.has(param)) params.set(param, line.toString('utf8', start, at).replaceAll('"', ''));
  }
  return { name, params, value: line.toString('utf8', Math.min(at + 1, line.length)), depth };
}
