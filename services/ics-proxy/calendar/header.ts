import type { Writer } from './bytes.ts';
import { Writer as Bytes } from './bytes.ts';
import { hash } from 'node:crypto';
import { parseCalendar, type ParsedCalendar } from './components.ts';
import { escapeText, writeLine } from './lines.ts';
import type { MergeOptions, MergeSource } from './merge.ts';
import { msToLocal } from './values.ts';

const PRODID = '-//hackspace//ics-proxy//EN';
const HOUR = 3_600_000;

/** BEGIN:VCALENDAR and the feed's own properties. Nothing of any upstream is in them. */
export function writeHeader(out: Writer, options: MergeOptions): void {
  const { name, description, color, refresh = HOUR } = options.feed;
  const minutes = `PT${Math.max(1, Math.round(refresh / 60_000))}M`;
  for (const line of ['BEGIN:VCALENDAR', 'VERSION:2.0', `PRODID:${PRODID}`]) writeLine(out, line);
  writeLine(out, 'CALSCALE:GREGORIAN');
  writeLine(out, `NAME:${escapeText(name)}`);
  writeLine(out, `X-WR-CALNAME:${escapeText(name)}`);
  if (description !== undefined) {
    writeLine(out, `DESCRIPTION:${escapeText(description)}`);
    writeLine(out, `X-WR-CALDESC:${escapeText(description)}`);
  }
  if (color !== undefined) writeLine(out, `COLOR:${color}`);
  writeLine(out, `REFRESH-INTERVAL;VALUE=DURATION:${minutes}`);
  writeLine(out, `X-PUBLISHED-TTL:${minutes}`);
}

export function writeFooter(out: Writer): void {
  writeLine(out, 'END:VCALENDAR');
}

/** Stands in an empty feed: a VCALENDAR needs a component (RFC 5545 §3.6), and none shows for this. */
export function writeEmpty(out: Writer): void {
  const zone = ['BEGIN:VTIMEZONE', 'TZID:Etc/UTC', 'BEGIN:STANDARD', 'DTSTART:19700101T000000'];
  zone.push('TZOFFSETFROM:+0000', 'TZOFFSETTO:+0000', 'END:STANDARD', 'END:VTIMEZONE');
  for (const line of zone) writeLine(out, line);
}

/** An event today for each source that has not answered for a while. */
export function staleNotice(
  sources: readonly MergeSource[],
  options: MergeOptions,
): ParsedCalendar | undefined {
  const stale = sources.filter((source) => source.stale !== undefined);
  if (stale.length === 0) return undefined;
  return calendarOf(
    stale.map(({ id, stale }) => ({
      key: `stale\n${options.feed.id}\n${id}`,
      stamp: stale!.since,
      summary: `⚠ Not up to date: ${id}`,
      description: `The calendar ${id} could last be read on ${msToDay(stale!.since)}. ` +
        'Its events are shown as they were then.',
    })),
    options.now,
  );
}

/** An event today that says what the feed had to leave out. */
export function budgetNotice(
  steps: readonly { what: string; count: number }[],
  options: MergeOptions,
): ParsedCalendar {
  const list = steps.map(({ what, count }) => `${count} ${what}`).join(', ');
  return calendarOf([{
    key: `budget\n${options.feed.id}`,
    stamp: startOfDay(options.now),
    summary: '⚠ This calendar is incomplete',
    description: `It would be larger than its readers take. Left out: ${list}.`,
  }], options.now);
}

function calendarOf(
  notices: { key: string; stamp: number; summary: string; description: string }[],
  now: number,
): ParsedCalendar {
  const out = new Bytes();
  writeLine(out, 'BEGIN:VCALENDAR');
  for (const { key, stamp, summary, description } of notices) {
    writeLine(out, 'BEGIN:VEVENT');
    writeLine(out, `UID:${hash('sha256', key).slice(0, 32)}@notice.hackspace`);
    writeLine(out, `DTSTAMP:${msToLocal(stamp)}Z`);
    writeLine(out, `DTSTART;VALUE=DATE:${msToLocal(now).slice(0, 8)}`);
    writeLine(out, `SUMMARY:${escapeText(summary)}`);
    writeLine(out, `DESCRIPTION:${escapeText(description)}`);
    writeLine(out, 'TRANSP:TRANSPARENT');
    writeLine(out, 'END:VEVENT');
  }
  writeLine(out, 'END:VCALENDAR');
  return parseCalendar(out.view());
}

function startOfDay(ms: number): number {
  return ms - ms % 86_400_000;
}

function msToDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
