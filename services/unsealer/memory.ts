/** For tests: looks for bytes in another process's memory, on Linux. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** How often each needle occurs in the readable memory of the process. */
export function scanMemory(pid: number, needles: readonly Uint8Array[]): number[] {
  const counts = needles.map(() => 0);
  const longest = Math.max(...needles.map((needle) => needle.length));
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const step = 8 * 1024 * 1024;
  const buffer = Buffer.alloc(step + longest);
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const found = line.match(/^([0-9a-f]+)-([0-9a-f]+) r/);
      if (!found || /\[(vvar|vsyscall|vdso)/.test(line)) continue;
      const [from, to] = [BigInt(`0x${found[1]}`), BigInt(`0x${found[2]}`)];
      for (let at = from; at < to; at += BigInt(step)) {
        const want = Number(to - at < BigInt(buffer.length) ? to - at : BigInt(buffer.length));
        let size: number;
        try {
          size = readSync(memory, buffer, 0, want, at);
        } catch {
          break;
        }
        const part = buffer.subarray(0, size);
        for (const [i, needle] of needles.entries()) {
          for (let hit = part.indexOf(needle); hit >= 0; hit = part.indexOf(needle, hit + 1)) {
            // What begins in the overlap is counted with the next step.
            if (hit < step) counts[i]!++;
          }
        }
      }
    }
  } finally {
    closeSync(memory);
  }
  return counts;
}
