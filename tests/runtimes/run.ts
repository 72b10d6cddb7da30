// One smoke body, three launchers: every service starts on Node, Deno and Bun, answers its surface, does
// its own small job, and stops on SIGTERM with exit 0. `--json FILE` keeps the counts for CI.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { reservePort } from '../peers/lib/ports.ts';
import { type Smoke, smokes } from './smokes.ts';

const bin = (name: string) => resolve('node_modules/.bin', name);
const launchers: Record<string, string[]> = {
  node: [bin('node')],
  deno: [deno(), 'run', '--allow-all', '--quiet'],
  bun: [bin('bun'), '--bun'],
};

/** The program itself: the package's own launcher would keep the signals. */
function deno(): string {
  const folder = 'node_modules/@deno';
  const found = existsSync(folder)
    ? readdirSync(folder).map((name) => resolve(folder, name, 'deno')).find(existsSync)
    : undefined;
  return found ?? bin('deno');
}

async function until(url: string, running: () => boolean): Promise<Response> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline && running();) {
    try {
      return await fetch(url, { signal: AbortSignal.timeout(2000) });
    } catch {
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  throw new Error(`no answer from ${url}`);
}

/** Runs one service on one runtime; throws with the reason and the service's last output. */
async function smoke(runtime: string, service: Smoke): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'hackspace-smoke-'));
  const { port } = await reservePort();
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, 'config.yaml');
  await writeFile(config, await service.config({ folder, port, url }));
  const [command, ...args] = launchers[runtime]!;
  const started = performance.now();
  const child = spawn(
    command!,
    [...args, `services/${service.name}/main.ts`, '--config', config],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => output = (output + chunk).slice(-4000));
  }
  const exit = new Promise<string>((done) =>
    child.on('exit', (code, signal) => done(signal ?? String(code)))
  );
  try {
    const health = await until(`${url}/healthz`, () => child.exitCode === null);
    const took = performance.now() - started;
    if (health.status !== 200) throw new Error(`/healthz answered ${health.status}`);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    if (!metrics.includes('# TYPE')) throw new Error('/metrics is not in Prometheus’ format');
    const openapi = await (await fetch(`${url}/openapi.json`)).json();
    if (!openapi.openapi?.startsWith('3.1')) throw new Error('/openapi.json is not OpenAPI 3.1');
    await service.check({ folder, port, url, runtime });
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    const code = await exit;
    clearTimeout(late);
    if (code !== '0') throw new Error(`SIGTERM ended it with ${code} instead of 0`);
    return took;
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${(error as Error).message}\n${output}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs a suite that is a program of its own on one runtime; throws with what it said when it fails. */
async function suite(runtime: string, file: string): Promise<string> {
  const [command, ...args] = launchers[runtime]!;
  const child = spawn(resolve('node_modules/.bin', command!), [...args, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 180_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => output = (output + chunk).slice(-4000));
  }
  const code = await new Promise((done) => child.on('close', done));
  if (code !== 0) throw new Error(`exit ${code}\n${output}`);
  return output.trim().split('\n').at(-1)!;
}

const { values } = parseArgs({ options: { json: { type: 'string' } } });
let passed = 0, failed = 0;
for (const service of smokes) {
  if (!existsSync(`services/${service.name}/main.ts`)) continue;
  for (const runtime of Object.keys(launchers)) {
    try {
      const ms = await smoke(runtime, service);
      passed++;
      process.stdout.write(
        `ok   ${service.name} on ${runtime}, first answer ${ms.toFixed(0)} ms\n`,
      );
    } catch (error) {
      failed++;
      process.stdout.write(`FAIL ${service.name} on ${runtime}: ${(error as Error).message}\n`);
    }
  }
}
for (const { name, alike } of [{ name: 'sources', alike: false }, { name: 'pages', alike: true }]) {
  let first: string | undefined;
  for (const runtime of Object.keys(launchers)) {
    try {
      const said = await suite(runtime, `tests/runtimes/${name}.ts`);
      first ??= said;
      if (alike && said !== first) throw new Error(`“${said}”, but elsewhere “${first}”`);
      passed++;
      process.stdout.write(`ok   suite ${name} on ${runtime}, ${said}\n`);
    } catch (error) {
      failed++;
      process.stdout.write(`FAIL suite ${name} on ${runtime}: ${(error as Error).message}\n`);
    }
  }
}
if (values.json) {
  const report = { numPassedTests: passed, numFailedTests: failed, numPendingTests: 0 };
  await writeFile(values.json, JSON.stringify(report));
}
process.exit(failed > 0 || passed === 0 ? 1 : 0);
