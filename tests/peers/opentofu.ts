/** OpenTofu and Terraform with the real Proxmox provider, offline: a mirror on disk. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import { goBuild } from './lib/go.ts';
import { here } from './lib/here.ts';
import { builtPeer, systemPeer } from './lib/peer.ts';
import { findProgram, type Ran, run, runOk, type RunOptions } from './lib/run.ts';
import { openSandbox } from './lib/sandbox.ts';

const tofuBuild = goBuild({
  name: 'opentofu',
  folder: here(import.meta, 'opentofu/tofu'),
  package: 'github.com/opentofu/opentofu/cmd/tofu',
  binary: 'tofu',
  defines: { 'github.com/opentofu/opentofu/version.dev': 'no' },
});

const providerVersion = versions.tools['terraform-provider-proxmox'];

const providerBuild = goBuild({
  name: 'terraform-provider-proxmox',
  folder: here(import.meta, 'opentofu/proxmox'),
  package: 'github.com/bpg/terraform-provider-proxmox',
  binary: 'terraform-provider-proxmox',
});

export const opentofu = builtPeer({
  name: 'opentofu',
  version: versions.tools.opentofu,
  had: `built from the Go module proxy, with bpg/proxmox ${providerVersion}`,
  builds: [tofuBuild, providerBuild],
});

/** Cannot be built from the Go module proxy. */
export const terraform = systemPeer({
  name: 'terraform',
  had: 'what is on PATH, with the provider that OpenTofu has',
  command: 'the package of HashiCorp: https://developer.hashicorp.com/terraform/install',
  find: () => findProgram('terraform'),
});

export interface Tofu extends AsyncDisposable {
  /** Path of tofu, or of the program given. */
  readonly path: string;
  readonly providerVersion: string;
  /** A writable copy of a folder of configuration: what init writes does not land in the repository. */
  copy(folder: string): string;
  run(folder: string, args: string[], options?: RunOptions): Promise<Ran>;
  ok(folder: string, args: string[], options?: RunOptions): Promise<string>;
}

/** `program`: another that reads the same files, `terraform`. No command of it reaches the network. */
export async function startTofu({ program }: { program?: string } = {}): Promise<Tofu> {
  const [tofuFolder, providerFolder] = [tofuBuild.folder(), providerBuild.folder()];
  if (!tofuFolder || !providerFolder) {
    throw new Error(`Cannot start OpenTofu: ${opentofu.missing()}; ${opentofu.command}`);
  }
  const sandbox = await openSandbox('tofu');
  const binary = join(providerFolder, 'bin', 'terraform-provider-proxmox');
  const os = process.platform;
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  for (const host of ['registry.opentofu.org', 'registry.terraform.io']) {
    const path = ['mirror', host, 'bpg/proxmox', providerVersion, `${os}_${arch}`];
    const folder = join(sandbox.folder, ...path);
    mkdirSync(folder, { recursive: true });
    symlinkSync(binary, join(folder, `terraform-provider-proxmox_v${providerVersion}`));
  }
  const config = join(sandbox.folder, 'cli.tfrc');
  const mirror = JSON.stringify(join(sandbox.folder, 'mirror'));
  writeFileSync(
    config,
    `disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = ${mirror}\n  }\n}\n`,
  );
  const path = program ?? join(tofuFolder, 'bin', 'tofu');
  const env = { TF_CLI_CONFIG_FILE: config, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' };
  const within = (folder: string, options: RunOptions): RunOptions => ({
    ...options,
    cwd: folder,
    env: { ...env, ...options.env },
  });
  return {
    path,
    providerVersion,
    copy(folder) {
      const to = join(sandbox.folder, basename(folder));
      cpSync(folder, to, { recursive: true });
      return to;
    },
    run: (folder, args, options = {}) => run(path, args, within(folder, options)),
    ok: (folder, args, options = {}) => runOk(path, args, within(folder, options)),
    [Symbol.asyncDispose]: () => sandbox.end(),
  };
}
