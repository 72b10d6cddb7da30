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
import { dockerHost, removeContainers } from './engine.ts';
import { isAlive, owners, type ProcessId, waitUntilGone } from './owner.ts';
import { stateFolder } from './state.ts';

interface PidFile {
  folder: string;
  /** Swept as soon as one of them is dead. */
  owners: ProcessId[];
  children: ProcessId[];
  containers: string[];
  /** The engine the containers are in. */
  engine?: string;
}

const pidFolder = () => join(stateFolder(), 'pids');
const fileOf = (folder: string) => join(pidFolder(), `${basename(folder)}.json`);

/** Writes down a sandbox and its processes, atomically. */
export function record(folder: string, children: ProcessId[], containers: string[] = []): void {
  mkdirSync(pidFolder(), { recursive: true });
  const file = fileOf(folder);
  const engine = containers.length > 0 ? dockerHost() : undefined;
  const content: PidFile = { folder, owners: owners(), children, containers };
  if (engine) content.engine = engine;
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
  for (const name of readdirSync(pidFolder())) {
    if (!name.endsWith('.json')) continue;
    const file = join(pidFolder(), name);
    const left = read(file);
    if (!left || left.owners.every(isAlive)) continue;
    removeContainers(left.engine, left.containers);
    for (const child of left.children.filter(isAlive)) {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        process.kill(child.pid, 'SIGKILL');
      }
      await waitUntilGone(child, 5_000);
      swept.pids.push(child.pid);
    }
    // Only ever a folder below ours, whatever the file says.
    const run = join(stateFolder(), 'run') + '/';
    if (resolve(left.folder).startsWith(run)) {
      rmSync(left.folder, { recursive: true, force: true, maxRetries: 5 });
      swept.folders.push(left.folder);
    }
    rmSync(file, { force: true });
  }
  sweepLogs();
  return swept;
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
