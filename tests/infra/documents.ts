/** Every Kubernetes document of the folders that a hackspace copies. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { here } from '../peers/lib/here.ts';

export const ROOT = here(import.meta, '../..');

// deno-lint-ignore no-explicit-any -- manifests are of any kind
export type Document = any;
export interface Entry {
  /** Path from the root of the repository. */
  path: string;
  document: Document;
}

export function filesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/node_modules/.test(entry.parentPath))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))).sort();
}

/** Kubernetes documents; `kustomization.yaml` lists and other YAML are left out. */
export function documentsOf(folder: string): Entry[] {
  return filesOf(folder).filter((path) => /\.yaml(\.txt)?$/.test(path)).flatMap((path) =>
    parseAllDocuments(readFileSync(join(ROOT, path), 'utf8')).flatMap((parsed) => {
      if (parsed.errors.length > 0) throw new Error(`Cannot read ${path}: ${parsed.errors[0]}`);
      const document = parsed.toJS();
      if (!document?.kind || /^kustomize\.config\.k8s\.io/.test(document.apiVersion)) return [];
      return [{ path, document }];
    })
  );
}
