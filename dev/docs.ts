/** `npm run docs`: writes what the code knows better than its authors into the docs. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { configSchema as icsProxy } from '../services/ics-proxy/config.ts';
import { configSchema as provisioner } from '../services/provisioner/config.ts';
import { policySchema } from '../services/provisioner/tenant/policy.ts';
import { schema as unsealer } from '../services/unsealer/config.ts';
import { rowsOf, tableOf, withTable } from './config-table.ts';

/** Document below docs/config to the schema of its table. */
const tables: Record<string, z.ZodType> = {
  'ics-proxy': icsProxy,
  'provisioner': provisioner,
  'provisioner-policy': policySchema,
  'unsealer': unsealer,
};

export interface Page {
  path: string;
  now: string;
  /** As it has to be. */
  wanted: string;
}

export function pages(): Page[] {
  return Object.entries(tables).map(([name, schema]) => {
    const path = fileURLToPath(new URL(`../docs/config/${name}.md`, import.meta.url));
    const now = readFileSync(path, 'utf8');
    return { path, now, wanted: withTable(now, tableOf(rowsOf(schema))) };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, now, wanted } of pages()) {
    if (now === wanted) continue;
    writeFileSync(path, wanted);
    process.stdout.write(`${path}\n`);
  }
}
