/** A path beside a module: `here(import.meta, 'openbao')`. */
import { fileURLToPath } from 'node:url';

export function here(meta: ImportMeta, path: string): string {
  return fileURLToPath(new URL(path, meta.url));
}
