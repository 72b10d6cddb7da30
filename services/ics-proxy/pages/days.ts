/** Calendar days as `YYYY-MM-DD`, in a named zone. Instants are epoch milliseconds. */

const DAY = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

function parts(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    if (formats.size > 500) formats.clear();
    formats.set(zone, format);
  }
  return format;
}

/** The wall clock of an instant, as if it were UTC. */
function wall(at: number, zone: string): number {
  const p = Object.fromEntries(parts(zone).formatToParts(at).map((x) => [x.type, Number(x.value)]));
  return Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!);
}

export function dayOf(at: number, zone: string): string {
  return new Date(wall(at, zone)).toISOString().slice(0, 10);
}

/** `20:00` in the zone. */
export function timeOf(at: number, zone: string): string {
  return new Date(wall(at, zone)).toISOString().slice(11, 16);
}

/** A real day between 1970 and 2999. Untrusted input. */
export function isDay(text: string): boolean {
  if (!/^(19[7-9]\d|2\d{3})-\d\d-\d\d$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}

export function addDays(day: string, count: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + count * DAY).toISOString().slice(0, 10);
}

/** The day's first instant, also where midnight is skipped by a change of the clock. */
export function startOfDay(day: string, zone: string): number {
  const midnight = Date.parse(`${day}T00:00:00Z`);
  let at = midnight;
  for (let i = 0; i < 3; i++) at += midnight - wall(at, zone);
  // Midnight that does not exist: the guesses fall before the gap; go on to the day's first minute.
  while (dayOf(at, zone) < day) at += 15 * 60_000;
  while (dayOf(at - 1, zone) === day && wall(at - 1, zone) >= midnight) at -= 15 * 60_000;
  return at;
}

/** `Monday 23 November`, with the year where it is not this one. */
export function dayTitle(day: string, today: string): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'UTC',
    weekday: 'long',
    day: 'numeric',
    month: 'long',
  });
  // Whether a comma follows the weekday differs from one runtime's data to the next.
  const title = format.format(Date.parse(`${day}T00:00:00Z`)).replace(',', '');
  const year = day.slice(0, 4);
  return year === today.slice(0, 4) ? title : `${title} ${year}`;
}
