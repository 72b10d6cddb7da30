import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ask } from '../../peers/lib/http.ts';

/** One life of the service, from start to kill. */
export interface Life {
  startedAt: number;
  /** Milliseconds from the start of the process to its first answer of any kind. */
  answeredMs: number | undefined;
  /** Milliseconds until /readyz said 200. */
  readyMs: number | undefined;
  /** Bytes, every five seconds. */
  rss: number[];
  ended: 'killed' | 'running' | 'by itself';
}

export interface SoakService {
  url: string;
  lives: Life[];
  logFile: string;
  /** kill -9 and start again at once; resolves when it answers. */
  crash(): Promise<void>;
  stop(): Promise<number | null>;
}

/** The service as a process of its own, its output in a file, its memory watched. */
export async function startSoakService(
  config: string,
  port: number,
  folder: string,
): Promise<SoakService> {
  const url = `http://127.0.0.1:${port}`;
  const logFile = join(folder, 'service.log');
  const log = createWriteStream(logFile, { flags: 'a' });
  const lives: Life[] = [];
  let child: ChildProcess;

  async function begin(): Promise<void> {
    const life: Life = {
      startedAt: Date.now(),
      answeredMs: undefined,
      readyMs: undefined,
      rss: [],
      ended: 'running',
    };
    lives.push(life);
    const main = resolve('services/ics-proxy/main.ts');
    const mine = child = spawn(resolve('node_modules/.bin/node'), [main, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    mine.stdout!.pipe(log, { end: false });
    mine.stderr!.pipe(log, { end: false });
    mine.on('exit', () => {
      if (life.ended === 'running') life.ended = 'by itself';
    });
    for (const deadline = Date.now() + 60_000; life.readyMs === undefined;) {
      if (Date.now() > deadline || life.ended === 'by itself') {
        throw new Error(`Cannot start ics-proxy: see ${logFile}`);
      }
      try {
        const { status } = await ask(`${url}/readyz`, { timeoutMs: 2_000 });
        life.answeredMs ??= Date.now() - life.startedAt;
        if (status === 200) life.readyMs = Date.now() - life.startedAt;
      } catch {
        // not listening yet
      }
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  const sampler = setInterval(() => {
    const life = lives.at(-1);
    if (life?.ended !== 'running' || child.pid === undefined) return;
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
      if (kib) life.rss.push(Number(kib) * 1024);
    } catch {
      // gone between two lines
    }
  }, 5_000);

  await begin();
  return {
    url,
    lives,
    logFile,
    async crash() {
      lives.at(-1)!.ended = 'killed';
      const gone = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await gone;
      await begin();
    },
    async stop() {
      clearInterval(sampler);
      lives.at(-1)!.ended = 'killed';
      const code = new Promise<number | null>((done) => child.once('exit', done));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      const result = await code;
      clearTimeout(late);
      await new Promise<void>((done) => log.end(done));
      return result;
    },
  };
}
