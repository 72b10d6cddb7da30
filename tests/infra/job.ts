/** The container of a CronJob, run here: its own command and environment, its mounts as folders. */
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { findProgram, type Ran, run, runOk } from '../peers/lib/run.ts';
import { ROOT } from './documents.ts';

export interface JobOptions {
  /** Folder or file for each mountPath but /tmp. */
  mounts: Record<string, string>;
  /** Over the manifest's own. */
  env?: Record<string, string>;
  /** Folders of the programs that are in the image beside the shell's. */
  programs: string[];
  /** An empty folder, for /tmp and the shell's programs. */
  scratch: string;
}

// deno-lint-ignore no-explicit-any -- a manifest
export function containerOf(path: string, cronJob: string): any {
  const found = parseAllDocuments(readFileSync(join(ROOT, path), 'utf8')).map((d) => d.toJS())
    .find((d) => d.kind === 'CronJob' && d.metadata.name === cronJob);
  return found.spec.jobTemplate.spec.template.spec.containers[0];
}

/** Any exit code is a result. Throws when a mount has no folder. */
export async function runCronJob(path: string, cronJob: string, options: JobOptions): Promise<Ran> {
  const { env, programs, scratch } = options;
  const container = containerOf(path, cronJob);
  const tmp = join(scratch, 'tmp');
  mkdirSync(tmp, { recursive: true });
  const mounts: Record<string, string> = { '/tmp': tmp, ...options.mounts };
  const [, flags, script] = container.command;
  const paths: string[] = container.volumeMounts.map((m: { mountPath: string }) => m.mountPath);
  const missing = paths.filter((path) => !mounts[path]);
  if (missing.length > 0) throw new Error(`Cannot run ${cronJob}: no folder for ${missing}`);
  // Each as a word of its own, all at once: a folder's name may hold a mount's.
  const place = new RegExp(`(?<![\\w/.}])(${paths.join('|')})(?=[/"\\s]|$)`, 'gm');
  const placed = (text: string) => text.replace(place, (mount) => mounts[mount]!);
  const named = Object.fromEntries(
    container.env.map((each: { name: string; value: string }) => [each.name, placed(each.value)]),
  );
  const PATH = [...programs, await shellOf(scratch), process.env.PATH].join(delimiter);
  // Not busybox' own shell: it would take its own tar, whatever PATH says.
  return await run(findProgram('sh')!, [flags, placed(script)], {
    env: { ...named, ...env, PATH },
  });
}

/**
 * The images' tools are busybox' (Alpine), so here too where it is at hand; but for tar, since Debian's busybox
 * has one without -T and -X.
 */
async function shellOf(scratch: string): Promise<string> {
  const folder = join(scratch, 'bin');
  const busybox = findProgram('busybox');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  if (!busybox) return folder;
  await runOk(busybox, ['--install', '-s', folder]);
  rmSync(join(folder, 'tar'), { force: true });
  symlinkSync(findProgram('tar')!, join(folder, 'tar'));
  return folder;
}
