import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { needs } from '../../tests/peers/lib/needs.ts';
import { type OpenBao, startOpenBao } from '../../tests/peers/openbao.ts';
import { makeHelper, until } from './testing.ts';

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

function cli(args: string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file('cli.ts'), ...args]);
    let [out, err] = ['', ''];
    child.stdout.on('data', (part) => out += part);
    child.stderr.on('data', (part) => err += part);
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

needs('openbao')('the programs themselves', () => {
  let bao: OpenBao;
  let config: string;
  let folder: string;
  const children: ChildProcess[] = [];

  async function start(): Promise<{ child: ChildProcess; url: string; lines: string[] }> {
    const child = spawn(process.execPath, [file('main.ts'), '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const lines: string[] = [];
    createInterface(child.stdout!).on('line', (line) => lines.push(line));
    await until('listening', () => lines.some((line) => line.includes('"listening"')), 30_000);
    const url = JSON.parse(lines.find((line) => line.includes('"listening"'))!).url;
    return { child, url, lines };
  }
  const end = (child: ChildProcess, signal: NodeJS.Signals) =>
    new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill(signal);
    });

  beforeAll(async () => {
    bao = await startOpenBao();
    const world = {
      ca: bao.ca!,
      clusterId: (await bao.node.sealStatus()).cluster_id,
      threshold: 3,
      keys: bao.keys,
      nodes: [{ id: 'bao-0', url: bao.url, san: 'bao-0.test' }],
    };
    const made = await makeHelper(world, { holds: [0, 1, 2] });
    folder = made.folder;
    config = join(folder, 'config.yaml');
    writeFileSync(config, stringify(made.raw));
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await bao?.stop();
  });

  test('enroll takes a share from stdin alone, and what it wrote opens', async () => {
    const target = join(mkdtempSync(join(tmpdir(), 'enroll-')), 'new.jwe');
    const args = ['enroll', '--config', config, '--cluster', 'vault', '--out', target];
    const ran = await cli(args, bao.keysBase64[3] + '\n');
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toMatch(/3 of 5, fingerprint [0-9a-f]{16}/);
    expect(statSync(target).mode & 0o777).toBe(0o600);
    const all = ran.out + readFileSync(target, 'utf8');
    for (const key of [bao.keys[3]!, bao.keysBase64[3]!]) expect(all).not.toContain(key);
    // Not over a share that is there, not what is no share, and the refusal does not quote it.
    expect((await cli(args, bao.keys[3])).err).toContain('it is there already');
    const typed = await cli([...args, '--force'], 'hunter2hunter2');
    expect(typed.code).toBe(5);
    expect(typed.err).toContain('Cannot read share');
    expect(typed.err).not.toContain('hunter2');
    // A slip of the hand: the share as an argument. It is refused without being repeated.
    for (const slip of [[bao.keys[3]!], [`--share=${bao.keys[3]}`]]) {
      const { code, err, out } = await cli([...args, ...slip]);
      expect(code).toBe(5);
      expect(err).toContain('shares come by standard input alone');
      expect(err + out).not.toContain(bao.keys[3]!.slice(0, 8));
    }
  });

  test('check prints the config and no secret', async () => {
    const ran = await cli(['check', '--config', config]);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('# cluster vault: 3 share(s)');
    expect(ran.out).not.toContain('operator-token-of-the-test');
  });

  test('status, hold and lift, by their exit codes; a hold outlives kill -9', async () => {
    const first = await start();
    const at = ['--config', config, '--url', first.url];
    await until('open', async () => (await cli(['status', ...at])).code === 0, 30_000);
    const held = await cli(['hold', ...at, '--who', 'ana', '--why', 'audit']);
    expect(held.out).toContain('"durable":true');
    expect((await cli(['status', ...at])).code).toBe(2);
    await end(first.child, 'SIGKILL');
    expect((await cli(['status', ...at])).code).toBe(4);
    await bao.restart();
    const second = await start();
    const there = ['--config', config, '--url', second.url];
    const seen = await cli(['status', ...there]);
    expect(seen.code).toBe(2);
    expect(seen.out).toMatch(/on hold: ana \(token\): audit/);
    expect((await bao.node.sealStatus()).sealed).toBe(true);
    expect((await cli(['lift', ...there])).code).toBe(0);
    await until('open', async () => !(await bao.node.sealStatus()).sealed);
    await end(second.child, 'SIGTERM');
  });

  test(
    'killed at eight moments around a restart: the next start opens it, nothing is left held',
    async () => {
      for (let i = 0; i < 8; i++) {
        const helper = await start();
        await bao.node.stop('SIGKILL');
        const started = bao.node.start();
        await new Promise((resolve) => setTimeout(resolve, i * 60));
        await end(helper.child, 'SIGKILL');
        await started;
      }
      const helper = await start();
      await until('open', async () => !(await bao.node.sealStatus()).sealed);
      const status = await (await fetch(`${helper.url}/status`)).json();
      expect(status).toMatchObject({ held: false, disclosed: [] });
      const text = helper.lines.join('\n');
      for (const key of [...bao.keys, ...bao.keysBase64]) expect(text).not.toContain(key);
      await end(helper.child, 'SIGTERM');
    },
    240_000,
  );
});
