/**
 * `node infra/check.ts [FILE]`: which raw file disagrees with the site's facts. Exit 1 when one does. Without an argument it takes
 * site.yaml, and before there is one site.example.yaml.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe } from '@hackspace/kit/errors.ts';
import { disagreements } from './agreement.ts';
import { readClaims } from './read.ts';
import { siteFile } from './site.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const file = process.argv[2] ?? siteFile(root);
try {
  const claims = await readClaims(file, root);
  const lines = disagreements(claims);
  for (const line of lines) process.stdout.write(`${line}\n`);
  if (lines.length > 0) process.exitCode = 1;
  else process.stdout.write(`${claims.length} statements about the site agree\n`);
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exitCode = 2;
}
