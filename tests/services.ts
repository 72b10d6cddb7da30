/** The services as processes, from main.ts, for tests that need more than one or a fresh one. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { here } from './peers/lib/here.ts';
import { statusOf } from './peers/lib/http.ts';
import type { Child, Sandbox } from './peers/lib/sandbox.ts';

export type ServiceName = 'ics-proxy' | 'provisioner' | 'unsealer';

export interface RunningService {
  readonly url: string;
  readonly port: number;
  readonly process: Child;
}

/** Starts one on `port` with this config; ready when `/readyz` says so, or `/healthz` where asked. */
export async function startService(
  sandbox: Sandbox,
  name: ServiceName,
  port: number,
  config: string,
  ready: '/readyz' | '/healthz' = '/readyz',
): Promise<RunningService> {
  const file = join(sandbox.folder, `${name}-${port}.yaml`);
  writeFileSync(file, config);
  const url = `http://127.0.0.1:${port}`;
  const main = here(import.meta, `../services/${name}/main.ts`);
  const process_ = await sandbox.spawn(
    `${name}-${port}`,
    process.execPath,
    [main, '--config', file],
    { ready: async () => await statusOf(url + ready) === 200, cwd: sandbox.folder },
  );
  return { url, port, process: process_ };
}
