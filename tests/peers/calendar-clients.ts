/** Programs that subscribe to calendars or read them, as their distributions ship them. */
import { existsSync } from 'node:fs';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';

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
