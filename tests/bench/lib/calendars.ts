/** Calendars made for measuring: the same bytes for the same arguments, on every machine. */
export interface CalendarSpec {
  /** Sources differ by their number and share no UID. */
  source: number;
  events: number;
  /** Octets an event has, about. */
  size?: number;
  /** A TZID that every source defines with rules of its own. */
  ownZone?: boolean;
  /** How many events, spread evenly, differ from those of the same spec without it. */
  changed?: number;
}

const WORDS =
  'open evening welding soldering printer laser workshop meeting members board cleaning day talk repair café ünïcode ⚡ lathe'
    .split(' ');

/** Mulberry32: a small generator with a fixed seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function makeCalendar(spec: CalendarSpec): Buffer {
  const { source, events, size = 730, ownZone = false, changed = 0 } = spec;
  const parts = [
    'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\n',
    zone('Europe/Berlin', 3),
  ];
  if (ownZone) parts.push(zone('Campus', 2 + source));
  const tzid = ownZone ? 'Campus' : 'Europe/Berlin';
  const step = changed > 0 ? Math.floor(events / changed) : 0;
  for (let i = 0; i < events; i++) {
    // A generator of its own for each, so that a changed event changes no other.
    const next = random(source * 1_000_003 + i);
    parts.push(makeEvent(source, i, size, tzid, next, i % step === step >> 1));
  }
  parts.push('END:VCALENDAR\r\n');
  return Buffer.from(parts.join(''));
}

function zone(tzid: string, month: number): string {
  const at = (kind: string, m: number, from: string, to: string) =>
    `BEGIN:${kind}\r\nDTSTART:19700${
      m > 9 ? 3 : m
    }01T020000\r\nTZOFFSETFROM:${from}\r\nTZOFFSETTO:${to}\r\n` +
    `RRULE:FREQ=YEARLY;BYMONTH=${m};BYDAY=-1SU\r\nEND:${kind}\r\n`;
  return `BEGIN:VTIMEZONE\r\nTZID:${tzid}\r\n${at('DAYLIGHT', month, '+0100', '+0200')}${
    at('STANDARD', 10, '+0200', '+0100')
  }END:VTIMEZONE\r\n`;
}

function makeEvent(
  source: number,
  number: number,
  size: number,
  tzid: string,
  next: () => number,
  changed: boolean,
): string {
  const word = () => WORDS[Math.floor(next() * WORDS.length)]!;
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${2022 + Math.floor(next() * 6)}${two(1 + Math.floor(next() * 12))}${
    two(1 + Math.floor(next() * 28))
  }`;
  const hour = Math.floor(next() * 20);
  const kind = next();
  const lines = [
    'BEGIN:VEVENT',
    `UID:${Math.floor(next() * 1e9).toString(36)}-${number}-${source}@calendar.example.org`,
    'DTSTAMP:20260901T120000Z',
    'CREATED:20260101T120000Z',
    'LAST-MODIFIED:20260801T120000Z',
  ];
  if (kind < 0.6) {
    lines.push(`DTSTART;TZID=${tzid}:${day}T${two(hour)}3000`);
    lines.push(`DTEND;TZID=${tzid}:${day}T${two(hour + 2)}0000`);
  } else if (kind < 0.9) {
    lines.push(`DTSTART:${day}T${two(hour)}3000Z`, `DTEND:${day}T${two(hour + 2)}0000Z`);
  } else lines.push(`DTSTART;VALUE=DATE:${day}`);
  if (next() < 0.1) lines.push('RRULE:FREQ=WEEKLY;BYDAY=TU,TH;UNTIL=20281231T000000Z');
  lines.push(`SUMMARY:${word()} ${word()} ${word()}${changed ? ' (moved)' : ''}`);
  lines.push(`LOCATION:${word()} room\\, floor ${Math.floor(next() * 5)}`, 'STATUS:CONFIRMED');
  lines.push('SEQUENCE:0', 'TRANSP:OPAQUE', `CATEGORIES:${word().toUpperCase()}`);
  if (next() < 0.4) {
    lines.push(`ORGANIZER;CN="${word()}, ${word()}":mailto:${word()}@example.org`);
    lines.push(`ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;CN=${word()}:mailto:a@example.org`);
  }
  let length = lines.reduce((sum, line) => sum + line.length + 2, 0) + 12;
  if (next() < 0.2) {
    lines.push(
      'BEGIN:VALARM',
      'ACTION:DISPLAY',
      'DESCRIPTION:soon',
      'TRIGGER:-PT15M',
      'END:VALARM',
    );
    length += 80;
  }
  let text = 'DESCRIPTION:';
  while (length + text.length < size) text += `${word()} `;
  return [...lines, text, 'END:VEVENT', ''].map(fold).join('\r\n');
}

/** Folds at 75 octets between characters. */
function fold(line: string): string {
  if (line.length <= 25 || Buffer.byteLength(line) <= 75) return line;
  let out = '';
  let octets = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (octets + size > 75) {
      out += '\r\n ';
      octets = 1;
    }
    out += character;
    octets += size;
  }
  return out;
}
