import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { openbao, startOpenBao } from '../tests/peers/openbao.ts';
import { type Part, startPart } from './part.ts';
import type { Place } from './place.ts';

export interface Vault {
  parts: Part[];
  unsealer: string;
  /** What stands where OpenBao would; undefined when it is the real one. */
  standIn: string | undefined;
  /** Restarts the vault, sealed, and tells how long it stayed so. */
  restart(): Promise<string>;
}

/**
 * OpenBao with an unsealer beside it that opens it after each restart. The real server where
 * `npm run peers -- openbao` has built it; otherwise nothing, and the front page says so. The vault
 * itself is new at each start.
 */
export async function startVault(
  place: Place,
  log: (line: string) => void,
): Promise<Vault | undefined> {
  if (openbao.missing()) return undefined;
  const bao = await startOpenBao({ shares: 3, threshold: 2 });
  const vault: Part = { name: 'openbao', url: bao.url, stop: () => bao.stop() };
  try {
    const { cluster_id: clusterId } = await bao.node.sealStatus();
    const url = `http://127.0.0.1:${place.ports.unsealer}`;
    const shareFiles = [1, 2].map((n) => resolve(place.file('unsealer', `share-${n}.jwe`)));
    const config = place.write(
      place.file('unsealer.yaml'),
      JSON.stringify(
        {
          listen: { port: place.ports.unsealer },
          state: resolve(place.file('unsealer', 'state')),
          singleBox: 'one process may open the vault alone',
          callers: {
            wake: { tokenFile: resolve(place.secret('unsealer-wake')) },
            operators: { tokenFile: resolve(place.secret('unsealer-operator')) },
          },
          clusters: {
            core: {
              nodes: [{ id: 'bao-0', url: bao.url, san: 'bao-0.test' }],
              caFile: bao.caFile,
              threshold: 2,
              shares: 3,
              clusterId,
              shareFiles,
              keyFile: resolve(place.secret('unsealer-kek')),
            },
          },
        },
        null,
        2,
      ),
    );
    // A hold that an earlier vault left behind, and its shares, are of no use to this one.
    rmSync(place.file('unsealer', 'state'), { recursive: true, force: true });
    for (const [i, file] of shareFiles.entries()) {
      rmSync(file, { force: true });
      await enroll(config, file, bao.keys[i]!);
    }
    const unsealer = await startPart({
      name: 'unsealer',
      args: ['services/unsealer/main.ts', '--config', config],
      url,
      readyPath: '/healthz',
      log,
    });
    return {
      parts: [vault, unsealer],
      unsealer: url,
      standIn: undefined,
      async restart() {
        await bao.restart();
        const from = performance.now();
        while ((await bao.node.sealStatus()).sealed) {
          if (performance.now() - from > 20_000) {
            return 'The vault was restarted and is still sealed.';
          }
          await new Promise((done) => setTimeout(done, 10));
        }
        const ms = Math.round(performance.now() - from);
        return `The vault was restarted, sealed, and open again ${ms} ms after it first answered.`;
      },
    };
  } catch (error) {
    await bao.stop();
    throw error;
  }
}

/** The share goes in by standard input, as an operator would do it. */
function enroll(config: string, out: string, share: string): Promise<void> {
  const args = ['services/unsealer/cli.ts', 'enroll', '--config', config, '--cluster', 'core'];
  const child = spawn(process.execPath, [...args, '--out', out], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => said += chunk);
  child.stdin.end(share);
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('exit', (code) => code === 0 ? done() : fail(new Error(said.trim())));
  });
}
