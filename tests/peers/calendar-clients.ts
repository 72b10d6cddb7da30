/** Programs that subscribe to calendars or read them, as their distributions ship them. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemPeer } from './lib/peer.ts';
import { findProgram, type Ran, run, runOk } from './lib/run.ts';

/** The Python that Debian's own modules belong to. */
export const DEBIAN_PYTHON = '/usr/bin/python3';
const MODULES = '/usr/lib/python3/dist-packages';

export const khal = systemPeer({
  name: 'khal',
  had: 'Debian packages khal and vdirsyncer',
  command: 'apt-get install khal vdirsyncer',
  find: () => findProgram('khal') && findProgram('vdirsyncer'),
});

export const pythonIcalendar = systemPeer({
  name: 'python-icalendar',
  had: 'Debian package python3-icalendar',
  command: 'apt-get install python3-icalendar',
  find: () => existsSync(DEBIAN_PYTHON) && existsSync(`${MODULES}/icalendar`),
});

export const libical = systemPeer({
  name: 'libical',
  had: 'Debian package libical3, through GObject introspection',
  command: 'apt-get install gir1.2-ical-3.0 python3-gi',
  find: () =>
    existsSync(`${MODULES}/gi`) &&
    ['x86_64', 'aarch64'].some((cpu) =>
      existsSync(`/usr/lib/${cpu}-linux-gnu/girepository-1.0/ICalGLib-3.0.typelib`)
    ),
});

/** vdirsyncer with one pair: a feed over HTTP, and a folder of one file a UID. */
export interface Vdirsyncer {
  /** Where the files come to lie. */
  calendar: string;
  sync(): Promise<Ran>;
}

/** `remote`: the lines of its http storage, `url = "…"` and credentials. */
export async function startVdirsyncer(home: string, remote: string): Promise<Vdirsyncer> {
  const calendar = join(home, 'calendar');
  mkdirSync(calendar, { recursive: true });
  writeFileSync(
    join(home, 'vdirsyncer'),
    `[general]
status_path = "${home}/status"
[pair feed]
a = "remote"
b = "local"
collections = null
conflict_resolution = "a wins"
[storage remote]
type = "http"
${remote}
[storage local]
type = "filesystem"
path = "${calendar}"
fileext = ".ics"
`,
    { mode: 0o600 },
  );
  const env = { HOME: home, VDIRSYNCER_CONFIG: join(home, 'vdirsyncer') };
  await runOk('vdirsyncer', ['discover'], { env });
  return {
    calendar,
    async sync() {
      const ran = await run('vdirsyncer', ['sync'], { env });
      if (ran.code !== 0) throw new Error(`Cannot sync: vdirsyncer said ${ran.stderr}`);
      return ran;
    },
  };
}

/** What python-icalendar finds in one or more calendars: summary and start of each VEVENT, in UTC. */
export async function readByPython(ics: string): Promise<[summary: string, start: string][]> {
  const script = `
import icalendar, json, sys, datetime, warnings
warnings.simplefilter('ignore')
roots = icalendar.Calendar.from_ical(sys.stdin.buffer.read(), multiple=True)
out = []
for e in (event for root in roots for event in root.walk('VEVENT')):
    start = e['DTSTART'].dt
    if isinstance(start, datetime.datetime): start = start.astimezone(datetime.timezone.utc)
    out.append([str(e['SUMMARY']), start.isoformat()])
print(json.dumps(out))`;
  return JSON.parse(await runOk(DEBIAN_PYTHON, ['-c', script], { stdin: ics }));
}
