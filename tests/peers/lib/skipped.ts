/** What a run skipped, collected across its worker processes. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stateFolder } from './state.ts';

export interface Skipped {
  title: string;
  name: string;
  missing: string;
  command: string;
}

/** `HACKSPACE_PEERS_RUN` is set by the global setup and inherited by the workers. */
export function skippedFile(): string {
  const folder = join(stateFolder(), 'skipped');
  mkdirSync(folder, { recursive: true });
  return join(folder, `${process.env.HACKSPACE_PEERS_RUN ?? 'none'}.jsonl`);
}

export function noteSkipped(skipped: Skipped): void {
  if (process.env.HACKSPACE_PEERS_RUN) {
    appendFileSync(skippedFile(), `${JSON.stringify(skipped)}\n`);
  }
}
