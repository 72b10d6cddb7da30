/** Machine configurations from patches in git and secrets outside it: a thin wrapper over talosctl. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '@hackspace/kit/errors.ts';
import { parse, stringify } from 'yaml';
import type { Site } from '../infra/site.ts';
import type { Talosctl } from './talosctl.ts';

const roles = ['controlplane', 'worker'] as const;
const cluster = 'member-prod';

export interface RenderOptions {
  site: Site;
  /** The folder that holds patches/ and nodes/. */
  folder: string;
  /** The text of a talosctl secrets file. */
  secrets: string;
  /** Where NODE.yaml and talosconfig go, readable by their owner alone. Not inside a git work tree. */
  out: string;
  talosctl: Talosctl;
}

/** The nodes rendered, in order. Each has passed `talosctl validate --strict`; none is written when one does not. */
export async function render(options: RenderOptions): Promise<string[]> {
  const { site, folder, talosctl } = options;
  const out = resolve(options.out);
  refuseInsideGit(out);
  const { vip, talos, kubernetes } = site[cluster];
  return await withPrivateFolder(async (scratch) => {
    const secrets = join(scratch, 'secrets.yaml');
    await writeFile(secrets, options.secrets, { mode: 0o600 });
    const patches = [
      ...(await patchArguments('--config-patch', join(folder, 'patches/all'))),
      ...(await patchArguments(
        '--config-patch-control-plane',
        join(folder, 'patches/controlplane'),
      )),
      ...(await patchArguments('--config-patch-worker', join(folder, 'patches/worker'))),
    ];
    await talosctl([
      ...['gen', 'config', cluster, `https://${vip}:6443`, '--with-secrets', secrets],
      ...['--talos-version', talos, '--kubernetes-version', kubernetes],
      ...['--additional-sans', `${cluster}.${site.domain}`],
      ...['--with-docs=false', '--with-examples=false', '--output', scratch, '--force'],
      ...patches,
    ], `render ${cluster}`);
    const rendered = new Map<string, string>();
    for (const role of roles) {
      for (const file of await yamlFiles(join(folder, 'nodes', role))) {
        const name = file.replace(/\.yaml$/, '');
        const target = join(scratch, `node-${file}`);
        const patch = `@${join(folder, 'nodes', role, file)}`;
        const base = join(scratch, `${role}.yaml`);
        await talosctl(
          ['machineconfig', 'patch', base, '--patch', patch, '--output', target],
          `patch ${name}`,
        );
        await talosctl(
          ['validate', '--config', target, '--mode', 'metal', '--strict'],
          `validate ${name}`,
        );
        rendered.set(`${name}.yaml`, await readFile(target, 'utf8'));
      }
    }
    const controlPlanes = Object.values(site[cluster].nodes)
      .filter(({ role }) => role === 'controlplane').map(({ address }) => address);
    rendered.set(
      'talosconfig',
      withEndpoints(await readFile(join(scratch, 'talosconfig'), 'utf8'), controlPlanes),
    );
    await mkdir(out, { recursive: true, mode: 0o700 });
    for (const [name, text] of rendered) {
      await writeFile(join(out, name), text, { mode: 0o600 });
      await chmod(join(out, name), 0o600);
    }
    return [...rendered.keys()].filter((name) => name !== 'talosconfig').map((name) =>
      name.slice(0, -5)
    );
  });
}

/** A new cluster's secrets, as text: they are in a private folder for as long as talosctl takes. */
export function newSecrets(talosctl: Talosctl, talos: string): Promise<string> {
  return withPrivateFolder(async (scratch) => {
    const file = join(scratch, 'secrets.yaml');
    await talosctl(
      ['gen', 'secrets', '--talos-version', talos, '--output-file', file],
      'make secrets',
    );
    return await readFile(file, 'utf8');
  });
}

/** Throws `invalid` when a path is in a git work tree: what is written there is one `git add .` from being public. */
export function refuseInsideGit(path: string): void {
  for (let folder = resolve(path);; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) {
      throw new AppError(
        'invalid',
        `Cannot write secrets to ${path}: it is inside the git work tree ${folder}`,
      );
    }
    if (folder === dirname(folder)) return;
  }
}

/** Runs with a folder that only its owner can enter, in memory where the system has such a place, gone afterwards. */
async function withPrivateFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const memory = process.env.XDG_RUNTIME_DIR ?? '/dev/shm';
  const folder = await mkdtemp(join(existsSync(memory) ? memory : tmpdir(), 'talos-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function patchArguments(flag: string, folder: string): Promise<string[]> {
  return (await yamlFiles(folder)).flatMap((file) => [flag, `@${join(folder, file)}`]);
}

async function yamlFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort();
}

function withEndpoints(talosconfig: string, endpoints: string[]): string {
  const config = parse(talosconfig);
  config.contexts[cluster].endpoints = endpoints;
  return stringify(config);
}
