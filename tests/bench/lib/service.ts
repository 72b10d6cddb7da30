import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '@hackspace/kit/guard.ts';

const MAIN = 'services/ics-proxy/main.ts';
export const ADMIN = 'bench-admin-token';

export interface Running {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** The service as its own process, on the config as given, listening on a port of its choice. */
export async function startService(
  folder: string,
  config: object,
  env: Record<string, string> = {},
): Promise<Running> {
  await writeFile(join(folder, 'admin'), ADMIN);
  const file = join(folder, 'config.yaml');
  const full = { publicUrl: 'http://cal.example', admin: { tokenFile: 'admin' }, ...config };
  await writeFile(file, JSON.stringify({ listen: { port: 0 }, state: 'state', ...full }));
  const child = spawn(process.execPath, [MAIN, '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const exit = new Promise((done) => child.once('exit', done));
  const url = await new Promise<string>((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const found = /"url":"(http:[^"]+)"/.exec(output)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  });
  return {
    url,
    pid: child.pid!,
    async stop() {
      child.kill('SIGTERM');
      await exit;
    },
  };
}

/** A token straight into the state, as the service keeps it. */
export async function seedToken(folder: string, feed: string): Promise<string> {
  const token = randomBytes(32).toString('hex');
  await mkdir(join(folder, 'state/tokens'), { recursive: true });
  const record = { feed, label: 'bench', view: 'full', created: Date.now() };
  await writeFile(join(folder, 'state/tokens', sha256(token)), JSON.stringify(record));
  return token;
}

export async function until200(url: string, patience = 60_000): Promise<void> {
  for (const deadline = Date.now() + patience;;) {
    const status = await fetch(url).then(async (r) => (await r.arrayBuffer(), r.status), () => 0);
    if (status === 200) return;
    if (Date.now() > deadline) throw new Error(`no 200 within ${patience} ms`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** Milliseconds of CPU that a process has used; at most 10 ms too few. */
export async function cpuOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** MB that are resident now, and the most there ever were. */
export async function memory(pid: number): Promise<{ now: number; most: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const of = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)![1]) / 1024;
  return { now: of('VmRSS'), most: of('VmHWM') };
}
