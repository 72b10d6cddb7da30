import type { Buffer } from 'node:buffer';

let last = 'BEGIN';

/** Upper-case text of a name. The last answer is given again when it fits, without a new string. */
export function word(source: Buffer, start: number, length: number): string {
  if (length === 5 && fits(source, start, 'BEGIN')) return 'BEGIN';
  if (length === 3 && fits(source, start, 'END')) return 'END';
  if (length === 6 && fits(source, start, 'VEVENT')) return 'VEVENT';
  if (length === 6 && fits(source, start, 'VALARM')) return 'VALARM';
  if (length !== last.length || !fits(source, start, last)) {
    last = source.toString('latin1', start, start + length).toUpperCase();
  }
  return last;
}

function fits(source: Buffer, start: number, upper: string): boolean {
  for (let i = 0; i < upper.length; i++) {
    const want = upper.charCodeAt(i);
    const got = source[start + i]!;
    if (got !== want && (want < 65 || want > 90 || got !== want + 32)) return false;
  }
  return true;
}

/** Some readers take a feed apart by `BEGIN:` and `END:` in capitals: lines.ts writes them so. */
export function hasLower(source: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (source[i]! >= 97 && source[i]! <= 122) return true;
  return false;
}

const BEGI = four('BEGI'), N_VE = four('N:VE'), VENT = four('VENT'), END_ = four('END:');
const VEVE = four('VEVE');

function four(text: string): number {
  return new DataView(new TextEncoder().encode(text).buffer).getInt32(0, true);
}

/** Is the line `BEGIN:VEVENT`, as nearly all that begin something are? */
export function beginsEvent(view: DataView, start: number, end: number): boolean {
  return end - start === 12 && view.getInt32(start, true) === BEGI &&
    view.getInt32(start + 4, true) === N_VE && view.getInt32(start + 8, true) === VENT;
}

export function endsEvent(view: DataView, start: number, end: number): boolean {
  return end - start === 10 && view.getInt32(start, true) === END_ &&
    view.getInt32(start + 4, true) === VEVE && view.getInt32(start + 6, true) === VENT;
}
