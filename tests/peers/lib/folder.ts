/** Removing a sandbox's folder, whatever a killed engine left mounted in it. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';

/** Mount points below `folder`, innermost first; none where the system keeps no such list. */
function mountsBelow(folder: string): string[] {
  try {
    const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
    const unescape = (path: string) =>
      path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    return lines.map((line) => unescape(line.split(' ')[1] ?? ''))
      .filter((path) => path.startsWith(`${folder}/`)).reverse();
  } catch {
    return [];
  }
}

/**
 * Takes away what is mounted below the folder, then the folder. False, with a line on standard error,
 * when something still holds it: a leftover must not keep other runs from starting.
 */
export function removeFolder(folder: string): boolean {
  for (const path of mountsBelow(folder)) spawnSync('umount', ['-l', path], { stdio: 'ignore' });
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    return true;
  } catch (error) {
    process.stderr.write(`[peers] cannot remove ${folder}: ${(error as Error).message}\n`);
    return false;
  }
}
