import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCalendar } from '../../../services/ics-proxy/calendar/components.ts';
import { merge } from '../../../services/ics-proxy/calendar/merge.ts';
import { makeCalendar } from './calendars.ts';

/**
 * One case of one side, in a process of its own: `merge-case.ts CASE SIDE EVENTS FOLDER`; JSON on stdout.
 * `merge-case.ts make - EVENTS FOLDER` makes the inputs, so that making them is in no other's memory.
 */
const [name = 'merge', side = 'us', count = '4100', folder = '.'] = process.argv.slice(2);
const edited = name.includes('edited') || name.includes('busy');
const NUMBERS = [0, 1, 2, 3, 4];
const file = (kind: string, source: number) => join(folder, `${kind}-${count}-${source}.ics`);
if (name === 'make') {
  const events = Number(count);
  for (const source of NUMBERS) {
    for (const ownZone of [false, true]) {
      const kind = ownZone ? 'own' : 'plain';
      writeFileSync(file(kind, source), makeCalendar({ source, events, ownZone }));
      const changed = makeCalendar({ source, events, ownZone, changed: 50 });
      writeFileSync(file(`${kind}-changed`, source), changed);
    }
  }
  process.exit(0);
}
const kind = edited ? 'own' : 'plain';
const sources = NUMBERS.map((source) => readFileSync(file(kind, source)));
const octets = sources.reduce((sum, bytes) => sum + bytes.length, 0);

const options = {
  feed: { id: 'bench', name: 'Bench' },
  view: name.includes('busy') ? 'busy' as const : 'full' as const,
  budgetBytes: Infinity,
  now: 0,
};
const policy = edited ? { prefix: '[s] ', private: 'show' as const } : { private: 'show' as const };
const parse = (bytes: Buffer, i: number) => ({
  id: `s${i}`,
  calendar: parseCalendar(bytes),
  policy,
});

// Nobody's memory holds the other's library.
const peer = side === 'ical.js' ? (await import('ical.js')).default : undefined;
const nodeIcal = side === 'node-ical' ? (await import('node-ical')).default : undefined;

function ours(): Uint8Array {
  return merge(sources.map(parse), options).bytes;
}

/** What a merger made with ical.js does: parse, put all components into one, write it. */
function withIcal(): string {
  const ICAL = peer!;
  const root = new ICAL.Component('vcalendar');
  root.addPropertyWithValue('version', '2.0');
  const zones = new Set<string>();
  for (const bytes of sources) {
    const parsed = new ICAL.Component(ICAL.parse(bytes.toString()));
    for (const component of [...parsed.getAllSubcomponents()]) {
      if (component.name === 'vtimezone') {
        const tzid = String(component.getFirstPropertyValue('tzid'));
        if (zones.has(tzid)) continue;
        zones.add(tzid);
      }
      root.addSubcomponent(component);
    }
  }
  return root.toString();
}

let made: unknown;
let times: [number, number][] = [];
let fromNothing: number | undefined;
let toEtag: number | undefined;

function measure(runs: number, work: () => unknown, prepare: () => void = () => {}): void {
  times = [];
  for (let i = 0; i < runs; i++) {
    prepare();
    const cpu = process.threadCpuUsage();
    const wall = performance.now();
    made = work();
    const took = performance.now() - wall;
    const used = process.threadCpuUsage(cpu);
    times.push([took, (used.user + used.system) / 1000]);
  }
}
function median(which: 0 | 1): number {
  const all = times.map((t) => t[which]).sort((a, b) => a - b);
  return all[all.length >> 1]!;
}

const runs = Number(count) > 10_000 ? 7 : 15;
if (side === 'ical.js') measure(3, withIcal);
else if (side === 'node-ical') {
  measure(3, () => Object.assign({}, ...sources.map((b) => nodeIcal!.sync.parseICS(b.toString()))));
} else if (name.startsWith('re-merge')) {
  measure(runs, ours);
  fromNothing = median(1);
  const kept = sources.map(parse);
  const again = readFileSync(file(`${kind}-changed`, 4));
  // The change is made and taken back, each time by bytes nobody has seen yet.
  let turn = 0;
  const change = () => {
    const bytes = Buffer.from(turn++ % 2 === 0 ? again : sources[4]!);
    const id = 's4';
    kept[4] = { id, calendar: parseCalendar(bytes, kept[4]!.calendar), policy };
    return merge(kept, options);
  };
  void change().bytes;
  measure(runs, () => change().etagBasis);
  toEtag = median(1);
  measure(runs, () => change().bytes);
  const fresh = kept.map(({ calendar }, i) => parse(Buffer.from(calendar.bytes), i));
  if (Buffer.compare(made as Buffer, merge(fresh, options).bytes) !== 0) {
    throw new Error('What was merged again is not what is merged from nothing');
  }
} else measure(runs, ours);

// Before the digest: that is the work of ical.js on either side.
const peak = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({
  wall: median(0),
  cpu: median(1),
  octets,
  events: side === 'us' && (name !== 'merge' || Number(count) > 10_000) ? '' : await digest(made),
  peak,
  fromNothing,
  toEtag,
}));

/** UIDs and titles of all events in what was made, in an order of their own. */
async function digest(result: unknown): Promise<string> {
  const { default: ICAL } = await import('ical.js');
  const events: string[] = [];
  if (side === 'node-ical') {
    for (
      const item of Object.values(
        result as Record<string, { type: string; uid: string; summary: unknown }>,
      )
    ) {
      if (item.type === 'VEVENT') events.push(`${item.uid} ${String(item.summary)}`);
    }
  } else {
    const text = typeof result === 'string' ? result : Buffer.from(result as Uint8Array).toString();
    for (const component of new ICAL.Component(ICAL.parse(text)).getAllSubcomponents('vevent')) {
      const uid = String(component.getFirstPropertyValue('uid'));
      events.push(`${uid} ${String(component.getFirstPropertyValue('summary'))}`);
    }
  }
  return `${events.length} events, ${
    createHash('sha256').update(events.sort().join('\n')).digest('hex')
  }`;
}
