import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agenda } from '../agenda.ts';
import { parseCalendar } from '../components.ts';
import { merge } from '../merge.ts';
import { calendar, event } from './calendars.ts';
import { corpusFiles, corpusFolder } from './corpus.ts';
import { faultsOf } from './validator.ts';

/**
 * A mutation fuzzer of the core: `node fuzz.ts [minutes] [seed] [folder for findings]`. Seeds are the
 * corpus, where there is one, and small calendars of our own. Whatever comes in, both views must be
 * valid, a second pass must change nothing, what was read before must not show, and nothing may throw.
 */
const [minutes = '20', seed = '1', folder = '.cache/fuzz'] = process.argv.slice(2);
let state = Number(seed) >>> 0;
function random(below: number): number {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

const own = [
  calendar(
    event('a', 'RRULE:FREQ=DAILY;COUNT=3', 'EXDATE:20261125T190000Z', 'SUMMARY:é 😀'),
    event('a', 'RECURRENCE-ID:20261125T190000Z', 'CLASS:PRIVATE', 'RELATED-TO:b'),
  ),
  calendar(event('b', 'DTSTART;TZID=Europe/Berlin:20261124T190000', 'BEGIN:VALARM', 'END:VALARM')),
];
const corpus = corpusFolder();
const seeds = [
  ...own.map((text) => new TextEncoder().encode(text)),
  ...(corpus === undefined ? [] : corpusFiles(corpus).map((file) => file.bytes)),
].filter((bytes) => bytes.length > 0 && bytes.length < 40_000);
const TOKENS = [
  '\r\n',
  '\n',
  '\r',
  '\r\n ',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '"',
  '=',
  '\\',
  '\0',
  '\x7f',
  '\ufeff',
]
  .concat(
    'BEGIN:VEVENT\r\n',
    'END:VEVENT\r\n',
    'BEGIN:VCALENDAR\r\n',
    'END:VCALENDAR\r\n',
    'BEGIN:VTIMEZONE\r\n',
  )
  .concat(
    'END:VTIMEZONE\r\n',
    'BEGIN:VALARM\r\n',
    'TZID:',
    ';TZID=Europe/Paris',
    ';TZID="a:b"',
    ';VALUE=DATE',
  )
  .concat(
    'UID:a\r\n',
    'RECURRENCE-ID:20261125T190000Z\r\n',
    'DTSTAMP:1\r\n',
    'CLASS:PRIVATE\r\n',
    'é',
    '😀',
    'Z',
  )
  .map((token) => new TextEncoder().encode(token)).map((bytes) => Buffer.from(bytes));

function mutate(bytes: Uint8Array): Buffer {
  let out = Buffer.from(bytes);
  for (let i = 1 + random(8); i > 0; i--) {
    const at = random(out.length + 1);
    const to = Math.min(out.length, at + random(40));
    switch (random(7)) {
      case 0:
        if (out.length > 0) out[at % out.length] = random(256);
        break;
      case 1:
        out = Buffer.concat([out.subarray(0, at), out.subarray(to)]);
        break;
      case 2:
        out = Buffer.concat([
          out.subarray(0, at),
          TOKENS[random(TOKENS.length)]!,
          out.subarray(at),
        ]);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, to), out.subarray(at)]);
        break;
      case 4: {
        const other = seeds[random(seeds.length)]!;
        const from = random(other.length);
        const piece = other.subarray(from, from + random(600));
        out = Buffer.concat([out.subarray(0, at), piece, out.subarray(at)]);
        break;
      }
      case 5:
        out = out.subarray(0, at);
        break;
      default: {
        // A whole line doubled, or moved to the front.
        const start = out.lastIndexOf(10, at) + 1;
        const end = out.indexOf(10, at) + 1 || out.length;
        out = Buffer.concat([
          out.subarray(0, start),
          out.subarray(start, end),
          out.subarray(start),
        ]);
      }
    }
  }
  return out.length > 100_000 ? out.subarray(0, 100_000) : out;
}

function judge(inputs: Buffer[]): string | undefined {
  try {
    const sources = inputs.map((bytes, i) => ({
      id: `s${i}`,
      calendar: parseCalendar(bytes),
      policy: i === 1 ? { prefix: 'x, ', category: 'y', assumeTimezone: 'Asia/Tokyo' } : {},
    }));
    const feed = { id: 'f', name: 'Fuzz' };
    const at = Date.UTC(2026, 10, 23);
    for (const view of ['full', 'busy'] as const) {
      const made = merge(sources, {
        feed,
        view,
        now: at,
        budgetBytes: random(4) === 0 ? 4000 : Infinity,
      });
      const faults = faultsOf(made.bytes);
      if (faults.length > 0) return `${view}: ${faults.slice(0, 3).join('; ')}`;
      if (random(20) === 0) {
        agenda(made, { from: at, to: at + 30 * 86_400_000, zone: 'Europe/Berlin' });
      }
    }
    const shown = sources.map((s) => ({ ...s, policy: { private: 'show' as const } }));
    const whole = { feed, view: 'full' as const, now: at, budgetBytes: Infinity };
    const once = merge(shown, whole);
    const again = {
      id: 't',
      calendar: parseCalendar(once.bytes),
      policy: { private: 'show' as const },
    };
    const twice = merge([again], whole);
    if (Buffer.compare(once.bytes, twice.bytes) !== 0) return 'twice differs';
    const changed = mutate(inputs[0]!);
    const fresh = { ...shown[0]!, calendar: parseCalendar(changed) };
    const reread = { ...shown[0]!, calendar: parseCalendar(changed, shown[0]!.calendar) };
    const [one, two] = [merge([fresh], whole), merge([reread], whole)];
    if (Buffer.compare(one.bytes, two.bytes) !== 0 || one.etagBasis !== two.etagBasis) {
      inputs.push(changed);
      return 'what was read before shows';
    }
    const other = merge(shown.toReversed(), whole);
    return Buffer.compare(once.bytes, other.bytes) === 0 ? undefined : 'the order of sources shows';
  } catch (error) {
    return `threw ${(error as Error).stack?.slice(0, 400)}`;
  }
}

const end = Date.now() + Number(minutes) * 60_000;
let runs = 0;
let findings = 0;
const kinds = new Map<string, number>();
while (Date.now() < end) {
  const inputs = Array.from({ length: 1 + random(3) }, () => mutate(seeds[random(seeds.length)]!));
  const fault = judge(inputs);
  runs++;
  if (fault === undefined) continue;
  findings++;
  const kind = fault.replace(/[0-9"].*/s, '').slice(0, 80);
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  if (kinds.get(kind)! > 5) continue;
  mkdirSync(folder, { recursive: true });
  inputs.forEach((bytes, i) => writeFileSync(join(folder, `${findings}-${i}.ics`), bytes));
  process.stderr.write(`finding ${findings} after ${runs} runs: ${fault}\n`);
}
process.stdout.write(
  JSON.stringify({
    runs,
    findings,
    minutes: Number(minutes),
    seed: Number(seed),
    seeds: seeds.length,
  }) + '\n',
);
process.exitCode = findings > 0 ? 1 : 0;
