/** CustomResourceDefinitions from the modules that `versions.json` pins: what a cluster of ours knows. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../versions.json' with { type: 'json' };
import type { Kubernetes } from '../peers/kubernetes.ts';
import { cacheFolder } from '../peers/lib/cache.ts';
import { findProgram, runOk } from '../peers/lib/run.ts';

export type CrdName = keyof typeof versions.crds;
interface Pin {
  module: string;
  version: string;
  path: string;
  zipSha256?: string;
}
export const crdNames = Object.keys(versions.crds) as CrdName[];

/** The module's source, as it lies in the proxy. */
export function moduleOf(name: CrdName): Promise<string> {
  const pin: Pin = versions.crds[name];
  return pin.zipSha256 ? unzipped(pin) : downloaded(pin);
}

/** The CRD files of a module, downloaded through Go's module proxy where they are not in its cache. */
export async function crdFiles(name: CrdName): Promise<string[]> {
  const pin: Pin = versions.crds[name];
  const folder = join(await moduleOf(name), pin.path);
  return readdirSync(folder).filter((file) =>
    /\.yaml$/.test(file) && !/^(kustomization|.*_vap_)/.test(file)
  ).map((file) => join(folder, file)).filter((file) =>
    readFileSync(file, 'utf8').includes('kind: CustomResourceDefinition')
  );
}

async function downloaded(pin: Pin): Promise<string> {
  const cwd = join(cacheFolder(), 'crds');
  mkdirSync(cwd, { recursive: true });
  const args = ['mod', 'download', '-json', `${pin.module}@${pin.version}`];
  const env = { GOFLAGS: '-mod=mod', GOWORK: 'off', GO111MODULE: 'on' };
  const answer = JSON.parse(await runOk('go', args, { cwd, env, timeoutMs: 300_000 }));
  return answer.Dir;
}

/** For a module that a newer Go than ours was asked for: the proxy's zip, checked against its pin. */
async function unzipped(pin: Pin): Promise<string> {
  const folder = join(cacheFolder(), 'crds', pin.zipSha256!.slice(0, 16));
  const inside = join(folder, `${pin.module}@${pin.version}`);
  try {
    readdirSync(join(inside, pin.path));
    return inside;
  } catch {
    // not here yet
  }
  const proxy = (await runOk('go', ['env', 'GOPROXY'])).trim().split(/[,|]/)[0];
  const answer = await fetch(`${proxy}/${pin.module}/@v/${pin.version}.zip`, {
    signal: AbortSignal.timeout(120_000),
  });
  if (!answer.ok) throw new Error(`Cannot download ${pin.module}: HTTP ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (digest !== pin.zipSha256) throw new Error(`Cannot use ${pin.module}: its zip is ${digest}`);
  const parts = `${folder}.${process.pid}`;
  mkdirSync(parts, { recursive: true });
  writeFileSync(join(parts, 'module.zip'), bytes);
  await runOk('python3', ['-m', 'zipfile', '-e', join(parts, 'module.zip'), parts]);
  rmSync(join(parts, 'module.zip'));
  try {
    renameSync(parts, folder);
  } catch {
    rmSync(parts, { recursive: true, force: true }); // another run was faster
  }
  return inside;
}

/** Why CRDs cannot be had here; undefined when they can. */
export function crdsMissing(): string | undefined {
  return findProgram('go') ? undefined : 'go is not on PATH (https://go.dev/dl)';
}

/** Installs them and waits until the API serves them. */
export async function installCrds(cluster: Kubernetes, names: CrdName[] = crdNames): Promise<void> {
  const files = (await Promise.all(names.map(crdFiles))).flat();
  const args = files.flatMap((file) => ['-f', file]);
  await cluster.kubectl(['apply', '--server-side', ...args]);
  await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...args]);
}
