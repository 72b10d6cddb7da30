import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { HOSTILE } from '../../services/ics-proxy/calendar/testing/hostile.ts';
import { type Bench, type Measurement, round } from './lib/measure.ts';

type Emit = (row: Omit<Measurement, 'bench'>) => void;

/**
 * Hostile input, each in a process of its own at a quarter of the attack and at the whole: linear time
 * is a ratio of about 4 (them: the quarter; us: the whole), bounded memory the peak beside it.
 */
export const bench: Bench = async (report, note, quick) => {
  const emit: Emit = (row) =>
    report({
      bench: 'hostile',
      ...row,
      us: round(row.us),
      them: row.them === null ? null : round(row.them),
      ratio: row.ratio === null ? null : round(row.ratio),
    });
  for (const { name } of HOSTILE) {
    const quarter = run(name, quick ? 0.01 : 0.25);
    const whole = run(name, quick ? 0.04 : 1);
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
  note(`load of the machine while measuring: ${loadavg()[0]!.toFixed(1)}`);
  await Promise.resolve();
};

function run(name: string, size: number): { cpu: number; octets: number; peak: number } {
  const child = spawnSync(
    process.execPath,
    [fileURLToPath(new URL('./lib/hostile-case.ts', import.meta.url)), name, String(size)],
    { encoding: 'utf8', timeout: 600_000 },
  );
  if (child.status !== 0) throw new Error(`Cannot measure ${name}: ${child.stderr.slice(-500)}`);
  return JSON.parse(child.stdout);
}
