import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { HOSTILE } from '../../services/ics-proxy/calendar/testing/hostile.ts';
import type { Emit } from './run.ts';

/**
 * Hostile input, each in a process of its own at a quarter of the attack and at the whole: linear time
 * is a ratio of about 4 (them: the quarter; us: the whole), bounded memory the peak beside it.
 */
export async function bench(emit: Emit): Promise<void> {
  for (const { name } of HOSTILE) {
    const quarter = run(name, 0.25);
    const whole = run(name, 1);
    emit({
      case: `${name}: ${(whole.octets / 1e6).toFixed(1)} MB, CPU`,
      us: whole.cpu,
      peer: 'a quarter of it',
      them: quarter.cpu,
      unit: 'ms',
      ratio: whole.cpu / quarter.cpu,
    });
    emit({
      case: `${name}: peak memory above the empty process`,
      us: whole.peak / 1e6,
      peer: 'the input',
      them: whole.octets / 1e6,
      unit: 'MB',
      ratio: whole.peak / whole.octets,
    });
  }
  await Promise.resolve();
}

function run(name: string, size: number): { cpu: number; octets: number; peak: number } {
  const child = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'hostile-case.ts'), name, String(size)],
    { encoding: 'utf8', timeout: 600_000 },
  );
  if (child.status !== 0) throw new Error(`Cannot measure ${name}: ${child.stderr.slice(-500)}`);
  return JSON.parse(child.stdout);
}
