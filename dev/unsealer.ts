import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { runOk } from '../tests/peers/lib/run.ts';
import { type Part, startPart } from './part.ts';
import type { Place } from './place.ts';
import type { Vault } from './vault.ts';

/** The unsealer beside the vault, alone on its box: it holds both shares that open a node. */
export async function startUnsealer(
  place: Place,
  vault: Vault,
  log: (line: string) => void,
  bridges: Record<string, unknown> = {},
): Promise<Part> {
  const url = `http://127.0.0.1:${place.ports.unsealer}`;
  const shareFiles = [1, 2].map((n) => resolve(place.file('unsealer', `share-${n}.jwe`)));
  const config = place.config('unsealer.yaml', {
    listen: { port: place.ports.unsealer },
    state: resolve(place.file('unsealer', 'state')),
    singleBox: 'one process may open the vault alone',
    callers: {
      wake: { tokenFile: resolve(place.secret('unsealer-wake')) },
      operators: { tokenFile: resolve(place.secret('unsealer-operator')) },
    },
    clusters: {
      core: {
        nodes: vault.nodes.map(({ id, url, san }) => ({ id, url, san })),
        caFile: vault.caFile,
        threshold: 2,
        shares: 3,
        clusterId: vault.clusterId,
        shareFiles,
        keyFile: resolve(place.secret('unsealer-kek')),
      },
    },
    bridges,
  });
  // A hold that an earlier vault left behind, and its shares, are of no use to this one.
  rmSync(place.file('unsealer', 'state'), { recursive: true, force: true });
  for (const [i, file] of shareFiles.entries()) {
    rmSync(file, { force: true });
    // By standard input, as an operator would do it.
    const args = ['enroll', '--config', config, '--cluster', 'core', '--out', file];
    await runOk(process.execPath, ['services/unsealer/cli.ts', ...args], { stdin: vault.keys[i]! });
  }
  return await startPart({
    name: 'unsealer',
    args: ['services/unsealer/main.ts', '--config', config],
    url,
    readyPath: '/healthz',
    log,
  });
}
