/** Keycloak's own distribution from Maven Central, made ready: built, and our realm imported. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import versions from '../../../versions.json' with { type: 'json' };
import { buildInto, built, recipeHash } from '../lib/cache.ts';
import { here } from '../lib/here.ts';
import type { Build, BuildOptions } from '../lib/peer.ts';
import { runOk } from '../lib/run.ts';
import { openSandbox } from '../lib/sandbox.ts';
import { startServer } from './server.ts';

const version = versions.tools.keycloak;
const sha256 = '27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f';
const realm = here(import.meta, 'realm.json');
// The last number changes when `make` does.
const hash = recipeHash(undefined, [version, sha256, readFileSync(realm, 'utf8'), 1]);

export const keycloakBuild: Build = {
  tools: ['java', 'mvn', 'unzip'],
  key: `keycloak-${hash}`,
  folder: () => built('keycloak', hash),
  make: (options) => buildInto('keycloak', hash, (out) => make(out, options)),
};

async function make(out: string, { progress, signal }: BuildOptions): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'hackspace-keycloak-'));
  try {
    progress('fetching the distribution, 177 MB');
    const zip = await fetchZip(scratch, signal);
    progress('unpacking');
    await runOk('unzip', ['-q', zip, '-d', scratch], { timeoutMs: 300_000 });
    await runOk('mv', [join(scratch, `keycloak-${version}`), join(out, 'home')]);
    const home = join(out, 'home');
    chmodSync(join(home, 'bin/kc.sh'), 0o755);
    progress('kc.sh build');
    const options = signal ? { signal } : {};
    await runOk('nice', [
      ...['-n', '10', join(home, 'bin/kc.sh'), 'build'],
      ...['--db=dev-file', '--health-enabled=true'],
    ], { timeoutMs: 600_000, ...options });
    progress('importing the realm');
    mkdirSync(join(home, 'data/import'), { recursive: true });
    copyFileSync(realm, join(home, 'data/import/realm.json'));
    await using sandbox = await openSandbox('keycloak-build');
    const { child } = await startServer(sandbox, home, ['--import-realm']);
    await child.stop('SIGTERM', 30_000); // the database is written on the way out
    rmSync(join(home, 'data/import'), { recursive: true });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Through Maven, as it is set up on this machine: mirrors, proxies. */
async function fetchZip(scratch: string, signal?: AbortSignal): Promise<string> {
  const path = join(scratch, `keycloak-quarkus-dist-${version}.zip`);
  await runOk('mvn', [
    ...['-q', '-B', 'dependency:copy', `-DoutputDirectory=${scratch}`],
    `-Dartifact=org.keycloak:keycloak-quarkus-dist:${version}:zip`,
  ], { cwd: scratch, timeoutMs: 900_000, ...(signal ? { signal } : {}) });
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest);
  const found = digest.digest('hex');
  if (found !== sha256) throw new Error(`Cannot use the Keycloak fetched: its sha256 is ${found}`);
  return path;
}
