/** Synapse, the Matrix homeserver, from the Python package index, at the version that manifests/core pins. */
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { buildInto, built, recipeHash } from './lib/cache.ts';
import { statusOf } from './lib/http.ts';
import { type Build, type BuildOptions, builtPeer } from './lib/peer.ts';
import { runOk } from './lib/run.ts';
import type { Child, Sandbox } from './lib/sandbox.ts';

const version = versions.images.synapse.split(':v')[1]!;
const packages = [`matrix-synapse[oidc]==${version}`, 'psycopg2-binary==2.9.13'];
// The last number changes when `make` does.
const hash = recipeHash(undefined, [packages, 1]);

export const synapseBuild: Build = {
  tools: ['python3'],
  key: `synapse-${hash}`,
  folder: () => built('synapse', hash),
  make: (options) => buildInto('synapse', hash, (out) => make(out, options)),
};

export const synapse = builtPeer({
  name: 'synapse',
  version,
  had: 'Python packages, run with the Python of the system (3.10 or newer, with pip)',
  builds: [synapseBuild],
});

async function make(out: string, { progress, signal }: BuildOptions): Promise<void> {
  progress('fetching the packages');
  const flags = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
  await runOk('python3', ['-m', 'pip', 'install', ...flags, '--target', out, ...packages], {
    timeoutMs: 600_000,
    ...(signal ? { signal } : {}),
  });
}

/** A module of its packages, run by Python: `synapse._scripts.generate_signing_key`. */
export function runSynapse(module: string, args: string[] = []): Promise<string> {
  return runOk('python3', ['-m', module, ...args], { env: { PYTHONPATH: synapseBuild.folder()! } });
}

/** The server with this configuration, ready at `port`. */
export function startSynapse(
  sandbox: Sandbox,
  config: string,
  port: number,
  env: Record<string, string> = {},
): Promise<Child> {
  const args = ['-m', 'synapse.app.homeserver', '-c', config];
  return sandbox.spawn('synapse', 'python3', args, {
    cwd: join(config, '..'),
    env: { ...env, PYTHONPATH: synapseBuild.folder()! },
    ready: () =>
      statusOf(`http://127.0.0.1:${port}/health`).then((status) => status === 200, () => false),
    readyMs: 120_000,
  });
}
