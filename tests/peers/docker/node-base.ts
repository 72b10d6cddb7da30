/**
 * An image with Node and npm, made here of the machine's own programs and the libraries they load, for
 * machines that reach no image registry. It is a stand-in for the official Node image: no apt, no certificates
 * but the machine's, and as new as the machine's C library.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findProgram, run, runOk } from '../lib/run.ts';
import { tmpdir } from 'node:os';

const programs = ['sh', 'env', 'rm', 'mkdir', 'ls', 'id', 'find'];
const certificates = '/etc/ssl/certs/ca-certificates.crt';

/** npm's own folder, wherever its launcher leads. */
function npmFolder(): string {
  const launcher = findProgram('npm');
  if (!launcher) throw new Error('Cannot make a Node image: npm is not on PATH');
  return dirname(dirname(realpathSync(launcher)));
}

/** Copies a program to `target` and what ldd says it loads to the same paths as here. */
async function place(root: string, source: string, target: string): Promise<void> {
  mkdirSync(dirname(join(root, target)), { recursive: true });
  copyFileSync(realpathSync(source), join(root, target));
  const { stdout } = await run('ldd', [realpathSync(source)]);
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    if (existsSync(join(root, library!))) continue;
    mkdirSync(dirname(join(root, library!)), { recursive: true });
    copyFileSync(realpathSync(library!), join(root, library!));
  }
}

/** Makes the image `name` in the engine that `client` speaks to. */
export async function importNodeBase(
  name: string,
  client: (...args: string[]) => Promise<string>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'hackspace-node-base-'));
  const archive = `${root}.tar`;
  try {
    for (const path of ['tmp', 'etc/ssl/certs', 'proc', 'sys', 'dev', 'root', 'usr/local/lib']) {
      mkdirSync(join(root, path), { recursive: true });
    }
    await place(root, process.execPath, 'usr/local/bin/node');
    for (const program of programs) await place(root, findProgram(program)!, `bin/${program}`);
    mkdirSync(join(root, 'usr/bin'));
    symlinkSync('/bin/env', join(root, 'usr/bin/env'));
    cpSync(npmFolder(), join(root, 'usr/local/lib/npm'), { recursive: true });
    symlinkSync('/usr/local/lib/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
    if (existsSync(certificates)) copyFileSync(certificates, join(root, certificates));
    await runOk('tar', ['-C', root, '-cf', archive, '.']);
    const changes = [
      'ENV PATH=/usr/local/bin:/usr/bin:/bin',
      `ENV npm_config_cafile=${certificates}`,
    ].flatMap((change) => ['--change', change]);
    await client('import', ...changes, archive, name);
  } finally {
    rmSync(root, { recursive: true, force: true });
    rmSync(archive, { force: true });
  }
}
