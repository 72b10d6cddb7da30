/** Manifests as TypeScript literals, so that `tsc` compares each with its kind's published type. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, ROOT } from './documents.ts';

const packages: [RegExp, string][] = [
  [/\.toolkit\.fluxcd\.io\//, '@kubernetes-models/flux-cd/'],
  [/external-secrets\.io\//, '@kubernetes-models/external-secrets/'],
  [/^(v1$|apps\/|batch\/|policy\/|[a-z.]+\.k8s\.io\/)/, 'kubernetes-models/'],
];

/** One module of them all; kinds for which no type is published are counted out. */
export function typeModule(documents: Document[]): { text: string; typed: number } {
  const imports = new Map<string, string>();
  const lines: string[] = [];
  for (const document of documents) {
    const { apiVersion, kind } = document;
    const found = packages.find(([pattern]) => pattern.test(apiVersion));
    const module = found && `${found[1]}${apiVersion}/${kind}`;
    if (!module || !existsSync(join(ROOT, 'node_modules', `${module}.d.ts`))) continue;
    if (!imports.has(module)) imports.set(module, `T${imports.size}`);
    lines.push(
      `export const m${lines.length}: ${imports.get(module)} = ${JSON.stringify(document)};`,
    );
  }
  const heads = [...imports].map(([module, name]) => {
    const kind = module.split('/').at(-1)!;
    return `import type { I${kind} as ${name} } from '${module}';`;
  });
  return { text: [...heads, ...lines].join('\n') + '\n', typed: lines.length };
}
