/** One Keycloak process from a built home folder. */
import { join } from 'node:path';
import { statusOf } from '../lib/http.ts';
import type { Child, Sandbox } from '../lib/sandbox.ts';

export const bootstrapAdmin = { username: 'bootstrap', password: 'bootstrap-test-password' };

export interface Server {
  url: string;
  child: Child;
}

/** Waits for readiness on the management port; the log's "Listening" comes many seconds before. */
export async function startServer(
  sandbox: Sandbox,
  home: string,
  args: string[] = [],
): Promise<Server> {
  const [port, management] = [await sandbox.port(), await sandbox.port()];
  const url = `http://127.0.0.1:${port}`;
  const child = await sandbox.spawn('keycloak', join(home, 'bin/kc.sh'), [
    ...['start', '--optimized', '--http-enabled=true', '--http-host=127.0.0.1'],
    '--cache=local', // else it listens on an address that is not loopback, for its cluster
    ...[`--http-port=${port}`, `--http-management-port=${management}`, `--hostname=${url}`],
    ...args,
  ], {
    cwd: sandbox.folder,
    env: {
      KC_BOOTSTRAP_ADMIN_USERNAME: bootstrapAdmin.username,
      KC_BOOTSTRAP_ADMIN_PASSWORD: bootstrapAdmin.password,
      // Quick to start rather than quick at its best.
      JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
    },
    ready: () => statusOf(`http://127.0.0.1:${management}/health/ready`).then((s) => s === 200),
    readyMs: 180_000,
  });
  return { url, child };
}
