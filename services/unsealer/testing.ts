/** For tests and benches: a helper's config with enrolled share files, against any cluster. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, schema } from './config.ts';
import { parseShare, sealShare } from './shares.ts';

export interface World {
  /** PEM. */
  ca: string;
  clusterId: string;
  threshold: number;
  /** All shares, hex. */
  keys: readonly string[];
  nodes: { id: string; url: string; san: string; spki?: string }[];
}

export interface HelperOptions {
  /** Which shares it holds, by index. */
  holds: number[];
  /** Laid over the config's root. */
  config?: Record<string, unknown>;
  /** Laid over the cluster. */
  cluster?: Record<string, unknown>;
}

/** Writes the files of one helper into a folder of its own and returns its checked config. */
export async function makeHelper(
  world: World,
  options: HelperOptions,
): Promise<{ config: Config; folder: string; raw: Record<string, unknown> }> {
  const folder = mkdtempSync(join(tmpdir(), 'unsealer-'));
  const at = (name: string) => join(folder, name);
  writeFileSync(at('ca.crt'), world.ca);
  writeFileSync(at('key'), randomBytes(32), { mode: 0o600 });
  writeFileSync(at('token'), 'operator-token-of-the-test\n', { mode: 0o600 });
  const pins = {
    clusterId: world.clusterId,
    threshold: world.threshold,
    shares: world.keys.length,
  };
  const shareFiles: string[] = [];
  for (const index of options.holds) {
    const share = parseShare(new TextEncoder().encode(world.keys[index]), pins.shares);
    const file = at(`share-${index}.jwe`);
    writeFileSync(file, await sealShare(share, pins, { keyFile: at('key') }));
    shareFiles.push(file);
  }
  const raw = {
    listen: { port: 0 },
    state: at('state'),
    helper: `helper-${options.holds.join('')}`,
    callers: { wake: { tokenFile: at('token') }, operators: { tokenFile: at('token') } },
    ...(options.holds.length >= world.threshold
      ? { singleBox: 'one process may open the vault alone' }
      : {}),
    clusters: {
      vault: {
        nodes: world.nodes,
        caFile: at('ca.crt'),
        ...pins,
        shareFiles,
        keyFile: at('key'),
        ...options.cluster,
      },
    },
    ...options.config,
  };
  return { config: schema.parse(raw), folder, raw };
}

/** Polls until `done` is true; throws what was waited for after `ms`. */
export async function until(
  what: string,
  done: () => boolean | Promise<boolean>,
  ms = 15_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!await done()) {
    if (performance.now() > end) throw new Error(`Gave up waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
