import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ICAL from 'ical.js';
import nodeIcal from 'node-ical';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  DEBIAN_PYTHON,
  readByPython,
  startVdirsyncer,
} from '../../tests/peers/calendar-clients.ts';
import { needs } from '../../tests/peers/lib/needs.ts';
import { calendar, createWorld, event, type World } from './testing/world.ts';

/** Programs that people subscribe with pull a feed over HTTP, and see the same events at the same times. */
const run = promisify(execFile);
const ZONE = 'Europe/Berlin';
const FROM = '2026-12-01';
const UNTIL = '2026-12-31';

const berlin = (dst: string) =>
  ['BEGIN:VTIMEZONE', 'TZID:Local', 'BEGIN:STANDARD', 'DTSTART:19701025T030000']
    .concat(['TZOFFSETFROM:+0200', `TZOFFSETTO:${dst}`, 'END:STANDARD', 'END:VTIMEZONE'])
    .join('\r\n');
const UPSTREAMS = {
  'feed/a': calendar(
    berlin('+0100'),
    event('weekly@a', [
      'DTSTART;TZID=Europe/Berlin:20261103T190000',
      'DTEND;TZID=Europe/Berlin:20261103T220000',
      'RRULE:FREQ=WEEKLY;BYDAY=TU',
      'EXDATE;TZID=Europe/Berlin:20261208T190000',
      'SUMMARY:Open evening with a name so long that it has to be folded somewhere 🛠 in the middle of it',
    ]),
    event('weekly@a', [
      'RECURRENCE-ID;TZID=Europe/Berlin:20261222T190000',
      'DTSTART;TZID=Europe/Berlin:20261222T170000',
      'DTEND;TZID=Europe/Berlin:20261222T230000',
      'SUMMARY:The long one',
    ]),
    event('allday@a', [
      'DTSTART;VALUE=DATE:20261226',
      'DTEND;VALUE=DATE:20261230',
      'SUMMARY:Congress',
      'LOCATION:Hamburg\\, Messe\\; hall 1',
    ]),
    event('custom@a', [
      'DTSTART;TZID=Local:20261210T100000',
      'DTEND;TZID=Local:20261210T110000',
      'SUMMARY:Custom zone of a',
    ]),
  ),
  'feed/b': calendar(
    berlin('+0300'),
    event('weekly@a', [
      'DTSTART:20261211T180000Z',
      'DTEND:20261211T190000Z',
      'SUMMARY:Another event with the same UID',
    ]),
    event('custom@b', [
      'DTSTART;TZID=Local:20261210T100000',
      'DTEND;TZID=Local:20261210T110000',
      'SUMMARY:Same zone name\\, other rules',
    ]),
    event('windows@b', [
      'DTSTART;TZID=Pacific Standard Time:20261202T180000',
      'DTEND;TZID=Pacific Standard Time:20261202T200000',
      'SUMMARY:From Outlook',
    ]),
    event('broken@b', ['DTSTART:tomorrow', 'SUMMARY:Nothing of this may be seen']),
  ),
};

/** What happens from FROM to UNTIL: worked out by hand, local time of Berlin (all-day: dates). */
const EXPECTED = [
  '2026-12-01 19:00|2026-12-01 22:00|Open evening with a name so long that it has to be folded somewhere 🛠 in the middle of it',
  '2026-12-03 03:00|2026-12-03 05:00|From Outlook',
  '2026-12-10 08:00|2026-12-10 09:00|Same zone name, other rules',
  '2026-12-10 10:00|2026-12-10 11:00|Custom zone of a',
  '2026-12-11 19:00|2026-12-11 20:00|Another event with the same UID',
  '2026-12-15 19:00|2026-12-15 22:00|Open evening with a name so long that it has to be folded somewhere 🛠 in the middle of it',
  '2026-12-22 17:00|2026-12-22 23:00|The long one',
  '2026-12-26|2026-12-29|Congress',
  '2026-12-29 19:00|2026-12-29 22:00|Open evening with a name so long that it has to be folded somewhere 🛠 in the middle of it',
];
/** Masters and overrides as summaries, sorted. */
const COMPONENTS = [...new Set(EXPECTED.map((line) => line.split('|')[2]!))].sort();

let w: World;
let folder: string;
let base: string;
let token: string;
let text: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ics-clients-'));
  w = await createWorld({
    feeds: `
  feed:
    name: Feed
    zone: ${ZONE}
    sources:
      - {id: a, url: 'file:a.ics'}
      - {id: b, url: 'file:b.ics'}
`,
    upstreams: UPSTREAMS,
  });
  base = await w.listen();
  token = await w.token('feed');
  const response = await fetch(`${base}/proxy/feed.ics?token=${token}`);
  expect(response.status).toBe(200);
  text = await response.text();
});
afterAll(async () => {
  await w?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const local = new Intl.DateTimeFormat('sv-SE', {
  timeZone: ZONE,
  dateStyle: 'short',
  timeStyle: 'short',
});
/** As EXPECTED has it; the end of what lasts whole days is its last day. */
function line(start: Date, end: Date, allDay: boolean, summary: string): string {
  if (!allDay) return `${local.format(start)}|${local.format(end)}|${summary}`;
  const last = new Date(end.getTime() - 1);
  return `${local.format(start).slice(0, 10)}|${local.format(last).slice(0, 10)}|${summary}`;
}

test('our own agenda agrees', async () => {
  const url = `${base}/proxy/feed.json?token=${token}&zone=${ZONE}&from=${FROM}`;
  const { occurrences } = await (await fetch(url)).json();
  const lines = occurrences.map((
    o: { start: number; end: number; allDay: boolean; summary: string },
  ) => line(new Date(o.start), new Date(o.end), o.allDay, o.summary));
  expect(lines).toEqual(EXPECTED);
});

describe('libraries', () => {
  test('ical.js agrees on every occurrence', () => {
    const root = new ICAL.Component(ICAL.parse(text));
    for (const zone of root.getAllSubcomponents('vtimezone')) {
      ICAL.TimezoneService.register(new ICAL.Timezone(zone));
    }
    const from = ICAL.Time.fromDateTimeString(`${FROM}T00:00:00`);
    const lines: string[] = [];
    const masters = root.getAllSubcomponents('vevent')
      .filter((c) => !c.hasProperty('recurrence-id'));
    for (const component of masters) {
      const master = new ICAL.Event(component);
      const iterator = master.iterator();
      for (let next = iterator.next(), i = 0; next && i < 100; next = iterator.next(), i++) {
        const { startDate, endDate, item } = master.getOccurrenceDetails(next);
        const start = startDate.isDate
          ? berlinMidnight(startDate.toString())
          : startDate.toJSDate();
        const end = endDate.isDate ? berlinMidnight(endDate.toString()) : endDate.toJSDate();
        if (start >= new Date(`${UNTIL}T00:00:00Z`)) break;
        if (startDate.compare(from) >= 0) {
          lines.push(line(start, end, startDate.isDate, item.summary));
        }
      }
    }
    expect(lines.sort()).toEqual(EXPECTED);
  });

  test('node-ical agrees on every component', () => {
    const parsed = nodeIcal.sync.parseICS(text) as Record<string, unknown>;
    const summaries: string[] = [];
    type Item = { type?: string; summary?: string; recurrences?: Record<string, Item> };
    for (const item of Object.values(parsed) as Item[]) {
      if (item?.type !== 'VEVENT') continue;
      summaries.push(item.summary!);
      for (const override of Object.values(item.recurrences ?? {})) {
        summaries.push(override.summary!);
      }
    }
    expect([...new Set(summaries)].sort()).toEqual(COMPONENTS);
  });
});

needs('python-icalendar')('python-icalendar', () => {
  test('agrees on every component and its start', async () => {
    const found = await readByPython(text);
    expect(found.map(([summary]) => summary).sort()).toEqual(COMPONENTS);
    const starts = Object.fromEntries(found);
    expect(starts['Custom zone of a']).toBe('2026-12-10T09:00:00+00:00');
    expect(starts['Same zone name, other rules']).toBe('2026-12-10T07:00:00+00:00');
    expect(starts['From Outlook']).toBe('2026-12-03T02:00:00+00:00');
    expect(starts.Congress).toBe('2026-12-26');
  });
});

needs('libical')('libical', () => {
  test('finds no error and every component', async () => {
    const script = `
import gi, json, sys
gi.require_version('ICalGLib', '3.0')
from gi.repository import ICalGLib as I
root = I.Component.new_from_string(sys.stdin.buffer.read().decode())
kind = I.ComponentKind.VEVENT_COMPONENT
out, each = [], root.get_first_component(kind)
while each is not None:
    out.append(each.get_summary())
    each = root.get_next_component(kind)
print(json.dumps({'errors': root.count_errors(), 'summaries': out}))`;
    const { errors, summaries } = JSON.parse(await python(script, text));
    expect(errors).toBe(0);
    expect(summaries.sort()).toEqual(COMPONENTS);
  });
});

needs('khal')('vdirsyncer and khal', () => {
  test.each(['query', 'basic'])('pull the feed by %s and agree on every occurrence', async (by) => {
    const home = join(folder, by);
    const remote = by === 'query'
      ? `url = "${base}/proxy/feed.ics?token=${token}"`
      : `url = "${base}/proxy/feed.ics"\nusername = "me"\npassword = "${token}"`;
    const vdirsyncer = await startVdirsyncer(home, remote);
    const format = '%Y-%m-%d %H:%M';
    await writeFile(
      join(home, 'khal'),
      `[calendars]
[[feed]]
path = ${home}/calendar
[locale]
local_timezone = ${ZONE}
default_timezone = ${ZONE}
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = ${format}
longdatetimeformat = ${format}
[default]
default_calendar = feed
[sqlite]
path = ${home}/khal.db
`,
    );
    await vdirsyncer.sync();
    // One file a UID: the override stays with its master.
    expect(await readdir(vdirsyncer.calendar)).toHaveLength(COMPONENTS.length - 1);
    const { stdout, stderr } = await run('khal', [
      '-c',
      join(home, 'khal'),
      'list',
      '--day-format',
      '',
      '--format',
      '{start-long}|{end-long}|{title}',
      FROM,
      '30d',
    ], { env: { ...process.env, HOME: home } });
    expect(stderr).not.toMatch(/warning|error/i);
    // What lasts several days is listed on each of them.
    const lines = new Set(stdout.split('\n').filter((l) => l.includes('|')).map((l) => l.trim()));
    expect([...lines].sort()).toEqual(EXPECTED);
    // The second time nothing has changed, and nothing is written.
    expect((await vdirsyncer.sync()).stderr).not.toMatch(/Copying|Deleting/);
  });
});

function berlinMidnight(date: string): Date {
  return new Date(`${date}T00:00:00+01:00`);
}

function python(script: string, input: string): Promise<string> {
  const child = run(DEBIAN_PYTHON, ['-c', script]);
  child.child.stdin!.end(input);
  return child.then(({ stdout }) => stdout);
}
