import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One calendar of a folder of real files, which are never part of this repository. */
export interface CorpusFile {
  name: string;
  bytes: Uint8Array;
}

/** The folder: `HACKSPACE_CORPUS`, else `shared/corpus/ics` beside the repository. */
export function corpusFolder(): string | undefined {
  const given = process.env.HACKSPACE_CORPUS;
  if (given !== undefined && given !== '') return given;
  const beside = fileURLToPath(new URL('../../../../../shared/corpus/ics', import.meta.url));
  return existsSync(beside) ? beside : undefined;
}

export function corpusFiles(folder: string): CorpusFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.toLowerCase().endsWith('.ics'))
    .map((entry) => join(entry.parentPath, entry.name)).sort()
    .map((path) => ({ name: relative(folder, path), bytes: readFileSync(path) }));
}
