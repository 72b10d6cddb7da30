import { merge } from '../calendar/merge.ts';
import type { MergeSource } from '../calendar/merge.ts';
import { readSources } from './render.ts';

/**
 * What merging these files would change, and why: lines for a person, one a finding, `FILE:LINE:` first
 * where there is a line. Throws AppError `invalid` for a file it cannot read.
 */
export async function explainFiles(files: readonly string[], now: number): Promise<string[]> {
  const sources = await readSources(files);
  const result = merge(sources, {
    feed: { id: 'explain', name: 'Calendar' },
    view: 'full',
    budgetBytes: Infinity,
    now,
  });
  const { report } = result;
  const lines = sources.flatMap((source) => describeSource(source));
  const show = (text: string) => JSON.stringify(text);
  for (const { source, reason, line, bytes } of report.quarantined) {
    const at = line > 0 ? `${source}:${line}` : source;
    const first = new TextDecoder().decode(bytes).split('\r\n', 2).join(' ').slice(0, 100);
    lines.push(`${at}: quarantined: ${reason} (${show(first)})`);
  }
  for (const { source, uid, recurrenceId, reason } of report.dropped) {
    const which = recurrenceId === '' ? '' : ` at ${recurrenceId.replace(/\|$/, '')}`;
    lines.push(`${source}: dropped: ${show(uid)}${which} ${reason}`);
  }
  for (const { source, uid, of } of report.duplicates) {
    lines.push(`${source}: dropped: ${show(uid)} is in ${of === source ? 'it twice' : of} already`);
  }
  for (const { source, uid, to } of report.renamedUids) {
    lines.push(
      `${source}: renamed: UID ${show(uid)} stands for another event too, now ${show(to)}`,
    );
  }
  for (const { source, tzid, to } of report.renamedTzids) {
    lines.push(`${source}: renamed: TZID ${show(tzid)} has other rules elsewhere, now ${show(to)}`);
  }
  for (const { source, tzid, zone } of report.synthesisedTzids) {
    lines.push(`${source}: added: VTIMEZONE for TZID ${show(tzid)}, which it lacks, from ${zone}`);
  }
  lines.push(...report.warnings);
  const hidden = Object.entries(report.counts)
    .map(([list, count]) => [list, count - listed(report, list)] as const)
    .filter(([, count]) => count > 0);
  for (const [list, count] of hidden) lines.push(`and ${count} more in ${list}`);
  lines.push(`feed: ${result.components} components, ${result.bytes.length} octets`);
  return lines;
}

function listed(report: object, list: string): number {
  return (report as Record<string, unknown[]>)[list]?.length ?? 0;
}

function describeSource({ id, calendar }: MergeSource): string[] {
  const { components, zones, mends, quarantinedCount, calendars } = calendar;
  const lines = [
    `${id}: ${components.length} components and ${zones.length} VTIMEZONEs in ${calendars} ` +
    `VCALENDARs, ${quarantinedCount} parts quarantined`,
  ];
  if (calendar.header.METHOD !== undefined) {
    lines.push(`${id}: dropped: METHOD, which a published feed has none of`);
  }
  if (mends.folding > 0) {
    lines.push(`${id}: mended: line break or fold of ${mends.folding} lines`);
  }
  if (mends.controls > 0) {
    lines.push(`${id}: mended: control characters left out of ${mends.controls} lines`);
  }
  if (mends.encoding > 0) {
    lines.push(`${id}: mended: ${mends.encoding} lines are not UTF-8, read as windows-1252`);
  }
  return lines;
}
