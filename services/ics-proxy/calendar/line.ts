import { Buffer } from 'node:buffer';

/** The logical line at hand. One is used for all lines of a calendar: offsets, no texts. */
export class Line {
  /** The calendar, or the line alone when it had to be unfolded to be read. */
  source: Buffer = Buffer.alloc(0);
  /** Its name is `[start, nameEnd)` of `source`, its value `[value, end)`. */
  start = 0;
  nameEnd = 0;
  value = 0;
  end = 0;
  /** Are there folds in the value? */
  folded = false;
  /** See lexer.ts. */
  kind = 0;
  date = 0;
  time = 0;
  /** Index of its TZID, -1 for none. */
  tzid = -1;
  /** Where it stands in the calendar, without its line break. */
  lineStart = 0;
  lineEnd = 0;
}
