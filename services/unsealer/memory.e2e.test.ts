import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { needs } from '../../tests/peers/lib/needs.ts';
import { type OpenBao, startOpenBao } from '../../tests/peers/openbao.ts';
import { spellings } from './impostor.ts';
import { scanMemory } from './memory.ts';
import { makeHelper, until } from './testing.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const names = [
  'raw',
  'hex',
  'hex, UTF-16',
  'base64',
  'base64, UTF-16',
  'base64url',
  'base64url, UTF-16',
  'HEX',
  'HEX, UTF-16',
];

if (!existsSync('/proc/self/mem')) throw new Error('This suite needs Linux: /proc/PID/mem');

needs('openbao')('memory of a running helper', () => {
  let bao: OpenBao;
  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao?.stop());

  test('the scan finds a share that a process keeps', async () => {
    const share = Buffer.from(bao.keys[0]!, 'hex');
    const code = `const k = Buffer.from(process.env.SHARE, 'hex'); delete process.env.SHARE;
      console.log('ready'); setInterval(() => k.length, 1000)`;
    const child = spawn(process.execPath, ['-e', code], {
      env: { SHARE: bao.keys[0]! },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => createInterface(child.stdout).once('line', resolve));
    expect(scanMemory(child.pid!, spellings(share))[0]).toBeGreaterThan(0);
    child.kill('SIGKILL');
  });

  test('after ten unseals no share is left, in any spelling', async () => {
    const world = {
      ca: bao.ca!,
      clusterId: (await bao.node.sealStatus()).cluster_id,
      threshold: 3,
      keys: bao.keys,
      nodes: [{ id: 'bao-0', url: bao.url, san: 'bao-0.test' }],
    };
    const { folder, raw } = await makeHelper(world, { holds: [0, 1, 2] });
    const file = join(folder, 'config.yaml');
    writeFileSync(file, stringify(raw));
    const child = spawn(process.execPath, [main, '--config', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    createInterface(child.stdout).on('line', (line) => lines.push(line));
    try {
      await until('listening', () => lines.some((line) => line.includes('listening')));
      for (let i = 0; i < 10; i++) {
        await bao.restart(0, i % 2 ? 'SIGTERM' : 'SIGKILL');
        await until('open', async () => !(await bao.node.sealStatus()).sealed);
      }
      // The server is open a moment before the helper's last line has come through the pipe.
      await until(
        'thirty shares in the log',
        () => lines.filter((line) => line.includes('share sent')).length >= 30,
      );
      const needles = [0, 1, 2].flatMap((i) => spellings(Buffer.from(bao.keys[i]!, 'hex')));
      const counts = scanMemory(child.pid!, needles);
      // The scan sees this process: the cluster id is in its config and in each answer.
      expect(scanMemory(child.pid!, [Buffer.from(world.clusterId)])[0]).toBeGreaterThan(0);
      const found = counts.flatMap((n, i) =>
        n ? [`share ${Math.floor(i / 9)} ${names[i % 9]}: ${n}`] : []
      );
      expect(found).toEqual([]);
      const text = lines.join('\n');
      for (const needle of needles) expect(text.includes(needle.toString('latin1'))).toBe(false);
    } finally {
      child.kill('SIGTERM');
      const code = await new Promise((resolve) => child.once('exit', resolve));
      expect(code).toBe(0);
    }
  });
});
