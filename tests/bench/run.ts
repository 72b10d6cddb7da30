/**
 * `npm run bench` runs every bench, `npm run bench -- NAME` one; `--json` prints one line of JSON a
 * measurement on standard output; `--quick` tries the bench itself in a minute, its figures are
 * worth nothing. A full run writes its section of `RESULTS.md`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import type { Bench, Measurement } from './lib/measure.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, quick: { type: 'boolean' } },
});
const folder = new URL('.', import.meta.url).pathname;
const known = readdirSync(folder).filter((name) =>
  name.endsWith('.ts') && !['run.ts', 'soak.ts'].includes(name)
)
  .map((name) => name.slice(0, -3));
const results = new URL('RESULTS.md', import.meta.url);

for (const name of positionals.length ? positionals : known) {
  if (!known.includes(name)) {
    process.stderr.write(`bench: Cannot run ${name}: there are ${known.join(', ')}\n`);
    process.exit(2);
  }
  const rows: Measurement[] = [];
  const notes: string[] = [];
  const { bench } = await import(`./${name}.ts`) as { bench: Bench };
  await bench(
    (row: Measurement) => {
      rows.push(row);
      if (values.json) process.stdout.write(JSON.stringify(row) + '\n');
    },
    (text: string) => {
      notes.push(text);
      process.stderr.write(`${name}: ${text}\n`);
    },
    values.quick === true,
  );
  if (!values.quick) writeSection(name, rows, notes);
}
process.exit(0);

function writeSection(name: string, rows: Measurement[], notes: string[]): void {
  const machine = `${cpus().length} cores of ${cpus()[0]?.model.trim()}, ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
  const date = new Date().toISOString().slice(0, 10);
  const table = rows.map((r) =>
    `| ${r.case} | ${r.us} ${r.unit} | ` +
    (r.peer === null ? '| | |' : `${r.peer} | ${r.them} ${r.unit} | ${r.ratio} |`)
  );
  const section = [
    `## ${name}`,
    '',
    `${date}, ${machine}. Written by \`npm run bench -- ${name}\`.`,
    '',
    '| case | ours | beside | theirs | ratio |',
    '| --- | --- | --- | --- | --- |',
    ...table,
    '',
    ...notes.map((note) => `- ${note}`),
    '',
  ].join('\n');
  let text = '# Results of the benches\n\n';
  try {
    text = readFileSync(results, 'utf8');
  } catch {
    // The first run makes the file.
  }
  const parts = text.split(/(?=^## )/m).filter((part) => !part.startsWith(`## ${name}\n`));
  const sections = [...parts.slice(1), section].sort().map((part) => part.trimEnd() + '\n');
  writeFileSync(results, [parts[0]!.trimEnd() + '\n', ...sections].join('\n'));
}
