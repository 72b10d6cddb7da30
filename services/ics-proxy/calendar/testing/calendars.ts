import { parseCalendar } from '../components.ts';
import { merge, type MergeOptions, type MergeResult, type MergeSource } from '../merge.ts';
import type { SourcePolicy } from '../policy.ts';

/** Helpers of the tests in this folder: calendars written by hand, feeds of them, feeds as text. */

export function calendar(...components: string[]): string {
  return `BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test\r\n${
    components.join('')
  }END:VCALENDAR\r\n`;
}

export function event(uid: string, ...lines: string[]): string {
  const own = ['BEGIN:VEVENT', `UID:${uid}`, 'DTSTAMP:20260101T000000Z'];
  if (!lines.some((line) => /^dtstart/i.test(line))) own.push('DTSTART:20261124T190000Z');
  return [...own, ...lines, 'END:VEVENT', ''].join('\r\n');
}

export const NOW = Date.UTC(2026, 10, 23, 12);

export function options(more: Partial<MergeOptions> = {}): MergeOptions {
  return { feed: { id: 'all', name: 'All' }, view: 'full', now: NOW, ...more };
}

export function source(id: string, text: string | Uint8Array, policy: SourcePolicy): MergeSource {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return { id, calendar: parseCalendar(bytes), policy };
}

/** A feed of sources by id, none with a policy but that private events are shown. */
export function feed(
  sources: Record<string, string>,
  more: Partial<MergeOptions> = {},
  policy: SourcePolicy = { private: 'show' },
): MergeResult {
  return merge(
    Object.entries(sources).map(([id, text]) => source(id, text, policy)),
    options(more),
  );
}

export function text(result: { bytes: Uint8Array }): string {
  return new TextDecoder().decode(result.bytes);
}
