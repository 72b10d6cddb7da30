import { findIana } from 'windows-iana';

/** A name that `Intl` knows, at most so long; anything longer is no time zone's. */
const MAX_NAME = 64;

/** Is this an IANA time zone to this runtime? */
export function zoneExists(name: string): boolean {
  return formatter(name) !== undefined;
}

const formatters = new Map<string, Intl.DateTimeFormat | undefined>();
/** Names asked for are input: what is remembered of them is bounded. */
const MAX_CACHED = 2000;

/** A formatter whose output ends in the zone's offset, `GMT+02:00`; undefined for an unknown zone. */
export function formatter(name: string): Intl.DateTimeFormat | undefined {
  if (name.length > MAX_NAME || !/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return undefined;
  if (formatters.has(name)) return formatters.get(name);
  let format: Intl.DateTimeFormat | undefined;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  } catch {
    format = undefined;
  }
  if (formatters.size >= MAX_CACHED) formatters.clear();
  formatters.set(name, format);
  return format;
}

/**
 * The IANA zone a TZID means: by its own name, as a Windows name (CLDR), or as the tail of a path such
 * as `/mozilla.org/20050126_1/Europe/Berlin`. Undefined when it names no zone: Outlook's "Customized
 * Time Zone" means nothing to anyone without its definition.
 */
export function toIana(tzid: string): string | undefined {
  const name = tzid.trim();
  if (name.length > 200) return undefined;
  if (zoneExists(name)) return name;
  const windows = findIana(name)[0];
  if (windows !== undefined && zoneExists(windows)) return windows;
  const parts = name.split('/');
  for (const count of [3, 2]) {
    const tail = parts.slice(-count).join('/');
    if (parts.length > count && zoneExists(tail)) return tail;
  }
  return undefined;
}

/** A parameter value, quoted where RFC 5545 §3.2 wants it. Quotes and controls must not occur. */
export function quoteParam(value: string): string {
  return /[:;,]/.test(value) ? `"${value}"` : value;
}
