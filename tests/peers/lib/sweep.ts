/** Pid files, and ending what a killed run left behind. Touches only what is written down here. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { removeContainers } from './engine.ts';
import { removeFolder } from './folder.ts';
import { isAlive, owners, type ProcessId, waitUntilGone } from './owner.ts';
import { stateFolder } from './state.ts';

interface PidFile {
  folder: string;
  /** Swept as soon as one of them is dead. */
  owners: ProcessId[];
  children: ProcessId[];
  /** The engine that may hold containers labelled with the folder. */
  engine?: string;
}

const pidFolder = () => join(stateFolder(), 'pids');
const fileOf = (folder: string) => join(pidFolder(), `${basename(folder)}.json`);

/** Writes down a sandbox and its processes, atomically. */
export function record(sandbox: Omit<PidFile, 'owners'>): void {
  mkdirSync(pidFolder(), { recursive: true });
  const file = fileOf(sandbox.folder);
  const content: PidFile = { ...sandbox, owners: owners() };
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(content));
  renameSync(`${file}.${process.pid}`, file);
}

export function forget(folder: string): void {
  rmSync(fileOf(folder), { force: true });
}

export interface Swept {
  folders: string[];
  pids: number[];
}

/**
 * Ends the processes of runs that are dead and removes their folders. A process counts as ours only when
 * pid and start time are those written down.
 */
export async function sweep(): Promise<Swept> {
  const swept: Swept = { folders: [], pids: [] };
  if (!existsSync(pidFolder())) return swept;
  const files = readdirSync(pidFolder()).filter((name) => name.endsWith('.json'))
    .map((name) => join(pidFolder(), name))
    .map((file) => ({ file, left: read(file) }));
  // Containers before the engines they are in.
  files.sort((a, b) => Number(!a.left?.engine) - Number(!b.left?.engine));
  for (const { file, left } of files) {
    if (!left || left.owners.every(isAlive)) continue;
    if (left.engine) removeContainers(left.engine, left.folder);
    for (const child of left.children.filter(isAlive)) {
      await endProcess(child);
      swept.pids.push(child.pid);
    }
    // Only ever a folder below ours, whatever the file says.
    const run = join(stateFolder(), 'run') + '/';
    if (resolve(left.folder).startsWith(run)) {
      if (!removeFolder(left.folder)) continue; // the next sweep tries again
      swept.folders.push(left.folder);
    }
    rmSync(file, { force: true });
  }
  sweepLogs();
  return swept;
}

async function endProcess(child: ProcessId): Promise<void> {
  const signals = child.gentle ? ['SIGTERM', 'SIGKILL'] as const : ['SIGKILL'] as const;
  for (const signal of signals) {
    try {
      process.kill(-child.pid, signal);
    } catch {
      process.kill(child.pid, signal);
    }
    if (await waitUntilGone(child, 10_000)) return;
  }
}

function read(file: string): PidFile | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PidFile;
  } catch {
    return undefined; // another sweep took it meanwhile
  }
}

/** Logs of failed runs stay for a day. */
function sweepLogs(): void {
  const logs = join(stateFolder(), 'logs');
  if (!existsSync(logs)) return;
  for (const name of readdirSync(logs)) {
    const path = join(logs, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 24 * 3600_000) rmSync(path, { recursive: true, force: true });
  }
}
