/** schemathesis: asks a running service what its OpenAPI promises, and what it does not. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { buildInto, built, recipeHash } from './lib/cache.ts';
import { here } from './lib/here.ts';
import { type Build, builtPeer } from './lib/peer.ts';
import { type Ran, run, runOk } from './lib/run.ts';

const requirements = here(import.meta, 'schemathesis/requirements.txt');
const version = versions.tools.schemathesis;
// The last number changes when `make` does.
const hash = recipeHash(undefined, [readFileSync(requirements, 'utf8'), 1]);

const build: Build = {
  tools: ['python3'],
  key: `schemathesis-${hash}`,
  folder: () => built('schemathesis', hash),
  make: ({ progress, signal }) =>
    buildInto('schemathesis', hash, async (out) => {
      const options = { timeoutMs: 900_000, ...(signal ? { signal } : {}) };
      progress('a Python environment');
      await runOk('python3', ['-m', 'venv', out], options);
      progress('its packages from PyPI');
      // The folder moves when it is finished: only `python -m` still finds what is in it.
      await runOk(join(out, 'bin/python'), [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'],
        ...['--no-deps', '--only-binary', ':all:', '--requirement', requirements],
      ], options);
    }),
};

export const schemathesisPeer = builtPeer({
  name: 'schemathesis',
  version,
  had: 'PyPI, into a Python environment of its own (Python 3.10 or newer)',
  builds: [build],
});

export interface SchemathesisOptions {
  /** Base URL of the service; its `/openapi.json` is what is held against it. */
  url: string;
  /** A folder for its reports. */
  folder: string;
  headers?: Record<string, string>;
  /** Checks that mean nothing for an operation, by its path. */
  without?: Record<string, string[]>;
  args?: string[];
}

/** One run, bounded in cases and time; what it found is on standard output, exit 1 when it found anything. */
export function schemathesis(options: SchemathesisOptions): Promise<Ran> {
  const folder = build.folder();
  if (!folder) {
    const { command } = schemathesisPeer;
    throw new Error(`Cannot run schemathesis: ${schemathesisPeer.missing()}; ${command}`);
  }
  mkdirSync(options.folder, { recursive: true });
  const config = Object.entries(options.without ?? {}).flatMap(([path, checks]) => [
    '[[operations]]',
    `include-path = ${JSON.stringify(path)}`,
    ...checks.map((check) => `checks.${check}.enabled = false`),
  ]);
  writeFileSync(join(options.folder, 'schemathesis.toml'), config.join('\n'));
  const start = 'import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())';
  return run(join(folder, 'bin/python'), [
    ...['-c', start, 'run', `${options.url}/openapi.json`],
    ...['--max-examples', '5', '--seed', '1', '--no-shrink', '--continue-on-failure'],
    ...['--request-timeout', '10', '--max-redirects', '0', '--generation-database', 'none'],
    ...['--suppress-health-check', 'all', '--warnings', 'off', '--no-color'],
    ...Object.entries(options.headers ?? {}).flatMap(([k, v]) => ['--header', `${k}: ${v}`]),
    ...(options.args ?? []),
  ], { cwd: options.folder, timeoutMs: 240_000 });
}
