import { createHash } from 'node:crypto';
import ICAL from 'ical.js';
import nodeIcal from 'node-ical';
import { parseCalendar } from '../../../services/ics-proxy/calendar/components.ts';
import { merge } from '../../../services/ics-proxy/calendar/merge.ts';
import { makeCalendar } from './calendars.ts';

/** One case of one side, in a process of its own: `merge-case.ts CASE SIDE EVENTS`; JSON on stdout. */
const [name = 'merge', side = 'us', count = '4100'] = process.argv.slice(2);
const edited = name === 'busy' || name === 'full-edited';
const sources = [0, 1, 2, 3, 4].map((source) =>
  makeCalendar({ source, events: Number(count), ownZone: edited })
);
const octets = sources.reduce((sum, bytes) => sum + bytes.length, 0);

const options = {
  feed: { id: 'bench', name: 'Bench' },
  view: name === 'busy' ? 'busy' as const : 'full' as const,
  budgetBytes: Infinity,
  now: 0,
};
const policy = edited ? { prefix: '[s] ', private: 'show' as const } : { private: 'show' as const };
const parse = (bytes: Buffer, i: number) => ({
  id: `s${i}`,
  calendar: parseCalendar(bytes),
  policy,
});

function ours(): Uint8Array {
  return merge(sources.map(parse), options).bytes;
}

/** What a merger made with ical.js does: parse, put all components into one, write it. */
function withIcal(): string {
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

function measure(runs: number, work: () => unknown, prepare: () => void = () => {}): void {
  times = [];
  for (let i = 0; i < runs; i++) {
    prepare();
    (globalThis as { gc?: () => void }).gc?.();
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
  measure(3, () => Object.assign({}, ...sources.map((b) => nodeIcal.sync.parseICS(b.toString()))));
} else if (name === 're-merge') {
  measure(runs, ours);
  fromNothing = median(1);
  const kept = sources.map(parse);
  merge(kept, options);
  const changed = makeCalendar({ source: 4, events: Number(count), changed: 50 });
  // The change is taken back and made again, each time by bytes nobody has seen yet.
  let turn = 0;
  measure(runs, () => {
    kept[4] = parse(Buffer.from(turn++ % 2 === 0 ? changed : sources[4]!), 4);
    return merge(kept, options).bytes;
  });
} else measure(runs, ours);

process.stdout.write(JSON.stringify({
  wall: median(0),
  cpu: median(1),
  octets,
  events: digest(made),
  peak: process.resourceUsage().maxRSS * 1024,
  fromNothing,
}));

/** UIDs and titles of all events in what was made, in an order of their own. */
function digest(result: unknown): string {
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
