/** Of a whole run: sweeps what killed runs left, and says at the end which suites were skipped. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { type Skipped, skippedFile } from './lib/skipped.ts';
import { sweep } from './lib/sweep.ts';

export async function setup(): Promise<void> {
  process.env.HACKSPACE_PEERS_RUN ??= String(process.pid);
  const { pids, folders } = await sweep();
  if (pids.length + folders.length > 0) {
    process.stderr.write(
      `[peers] swept what a killed run left: ${pids.length} processes, ${folders.length} folders\n`,
    );
  }
}

export function teardown(): void {
  const file = skippedFile();
  if (!existsSync(file)) return;
  const skipped = readFileSync(file, 'utf8').trim().split('\n').map((line) =>
    JSON.parse(line) as Skipped
  );
  rmSync(file);
  const lines = skipped.map(({ title, name, command }) =>
    `  ${name.padEnd(16)} ${title}\n${' '.repeat(19)}${command}`
  );
  process.stderr.write(
    `\n[peers] ${skipped.length} SUITES WERE SKIPPED, for want of these peers:\n${
      lines.join('\n')
    }\n`,
  );
}
