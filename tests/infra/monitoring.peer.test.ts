import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needs } from '../peers/lib/needs.ts';
import { findProgram, run } from '../peers/lib/run.ts';
import { ROOT } from './documents.ts';

needs('promtool')('Prometheus’ own judgement of monitoring/', () => {
  const folder = join(ROOT, 'monitoring');
  const promtool = (...args: string[]) => run(findProgram('promtool')!, args, { cwd: folder });

  test('it takes the rules', async () => {
    const { code, stdout, stderr } = await promtool('check', 'rules', 'rules.yaml');
    expect(stderr).toBe('');
    expect(stdout).toMatch(/SUCCESS: \d+ rules found/);
    expect(code).toBe(0);
  });

  test('they wake somebody when they must, and only then', async () => {
    const { code, stdout, stderr } = await promtool('test', 'rules', 'rules.test.yaml');
    expect(`${stdout}${stderr}`).toContain('SUCCESS');
    expect(code).toBe(0);
  });

  test('it can read every query of the dashboard', async () => {
    const { panels } = JSON.parse(readFileSync(join(folder, 'dashboard.json'), 'utf8'));
    const queries: string[] = panels
      .flatMap((panel: { targets?: { expr: string }[] }) => panel.targets ?? [])
      .map(({ expr }: { expr: string }) => expr.replaceAll('$__rate_interval', '5m'));
    const scratch = mkdtempSync(join(tmpdir(), 'hackspace-promtool-'));
    try {
      const check = async (exprs: string[]) => {
        const rules = exprs.map((expr, i) => ({ record: `panel:query:${i}`, expr }));
        const file = join(scratch, 'panels.yaml');
        writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
        return await promtool('check', 'rules', file);
      };
      expect(await check(queries)).toMatchObject({ code: 0, stderr: '' });
      expect((await check(['sum by (rate(x)'])).code).not.toBe(0);
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});
