/** Logs outlive their sandbox, so that a failed test can be read after; those of a green run are removed. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startOf } from './owner.ts';
import { stateFolder } from './state.ts';
import { tail } from './wait.ts';

/** This process's folder of logs. */
export function logFolder(): string {
  const folder = join(
    stateFolder(),
    'logs',
    `${process.pid}-${startOf(process.pid)?.replace(/\W+/g, '')}`,
  );
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The end of each log, and where they are kept. */
export function lastLogs(lines: number): string {
  const folder = logFolder();
  const parts = readdirSync(folder).map((name) =>
    `--- ${name}\n${tail(join(folder, name), lines)}`
  );
  return parts.length === 0
    ? ''
    : `${parts.join('\n')}\n--- logs of the peers are kept in ${folder}\n`;
}

export function dropLogs(): void {
  const folder = logFolder();
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
}
