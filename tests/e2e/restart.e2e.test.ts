import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startGit } from '../peers/git.ts';
import { type Answer, ask } from '../peers/lib/http.ts';
import { needs } from '../peers/lib/needs.ts';
import { openSandbox, type Sandbox } from '../peers/lib/sandbox.ts';
import { waitFor } from '../peers/lib/wait.ts';
import { startNginx } from '../peers/nginx.ts';
import { startRedis } from '../peers/redis.ts';
import { memberToken } from '../runtimes/provisioner.ts';
import { smokes } from '../runtimes/smokes.ts';
import { type ServiceName, startService } from '../services.ts';

// A new process takes over from one that is told to stop, under load, behind a front that never tries
// again. As in Kubernetes the signal comes first, and the front learns of it a moment later.

const NOTICED = 700;
const DRAIN = 2000;

type Config = Record<string, unknown>;
/** One request of the load, or a rejection. */
type Call = (n: number) => Promise<Pick<Answer, 'status' | 'text'>>;

interface World {
  name: ServiceName;
  /** For one of the two processes. */
  config(port: number): Config;
  calls: (front: string) => Call[];
}

interface Outcome {
  answered: number;
  failures: string[];
  /** Answers of both, once the front had turned to the new one. */
  afterwards: number;
  stoppingMs: number;
  log: string;
  readyz: { status: number; text: string } | undefined;
}

async function takeOver(sandbox: Sandbox, world: World, front: Front, drain: number) {
  const start = async () => {
    const port = await sandbox.port();
    const config = { ...world.config(port), listen: { port, drain: `${drain}ms` } };
    return await startService(sandbox, world.name, port, JSON.stringify(config));
  };
  const old = await start();
  await front.turnTo(old.port);

  const outcome: Outcome = {
    answered: 0,
    failures: [],
    afterwards: 0,
    stoppingMs: 0,
    log: '',
    readyz: undefined,
  };
  let running = true;
  let turned = false;
  let n = 0;
  const calls = world.calls(front.url);
  const worker = async (call: Call) => {
    while (running && n < 20_000) {
      const { status, text } = await call(n++).catch((error) => ({ status: 0, text: `${error}` }));
      if (status >= 200 && status < 300) {
        outcome.answered++;
        if (turned) outcome.afterwards++;
      } else {
        outcome.failures.push(`${status} ${text.slice(0, 300)}`);
        await pause(20);
      }
    }
  };
  const load = Promise.all([...calls, ...calls].map(worker));
  let fresh;
  try {
    await pause(500);
    fresh = await start();
    process.kill(old.process.pid, 'SIGTERM');
    const told = performance.now();
    if (drain > 0) {
      await waitFor('/readyz to say no', async () => {
        outcome.readyz = await ask(`${old.url}/readyz`);
        return outcome.readyz.status === 503;
      }, { ms: drain, everyMs: 10 });
    }
    await pause(NOTICED);
    await front.turnTo(fresh.port);
    turned = true;
    await waitFor('the old process to end', () => !old.process.running(), { ms: 15_000 });
    outcome.stoppingMs = performance.now() - told;
    await pause(500);
  } finally {
    running = false;
    await load;
  }
  outcome.log = readFileSync(old.process.log, 'utf8');
  await fresh.process.stop('SIGTERM', 10_000);
  return outcome;
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

interface Front extends AsyncDisposable {
  url: string;
  turnTo(port: number): Promise<void>;
}

/** nginx with kept connections to one upstream, and no second try for anything. */
async function startFront(sandbox: Sandbox): Promise<Front> {
  const file = join(sandbox.folder, 'upstream.conf');
  const write = (port: number) =>
    writeFileSync(file, `upstream back { server 127.0.0.1:${port}; keepalive 16; }\n`);
  write(1);
  const nginx = await startNginx({
    http: `include ${file};`,
    server: `location / {
      proxy_pass http://back;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_next_upstream off;
    }`,
  });
  return {
    url: nginx.url,
    async turnTo(port) {
      write(port);
      process.kill(nginx.process.pid, 'SIGHUP');
      // Until nginx' worker of before has gone, it takes every other connection.
      let inARow = 0;
      await waitFor('nginx to have turned', async () => {
        inARow = (await ask(`${nginx.url}/healthz`)).status === 200 ? inARow + 1 : 0;
        return inARow === 20;
      }, { everyMs: 10 });
    },
    [Symbol.asyncDispose]: () => nginx.stop(),
  };
}

async function smokeConfig(name: string, folder: string, url: string): Promise<Config> {
  const smoke = smokes.find((each) => each.name === name)!;
  return JSON.parse(await smoke.config({ folder, port: 0, url }));
}

const call = (url: string, options: Parameters<typeof ask>[1] = {}): Call => () =>
  ask(url, options);

needs('nginx', 'redis')('a restart under load', () => {
  /** Everything was answered; the old process said no to new work, finished, and went in time. */
  function expectNothingLost(outcome: Outcome): void {
    process.stderr.write(
      `[restart] ${outcome.answered} answered, ${outcome.failures.length} failed, ` +
        `${outcome.afterwards} after the turn, gone ${
          outcome.stoppingMs.toFixed(0)
        } ms after SIGTERM\n`,
    );
    expect(outcome.failures).toEqual([]);
    expect(outcome.answered).toBeGreaterThan(50);
    expect(outcome.afterwards).toBeGreaterThan(5);
    expect(outcome.readyz).toMatchObject({
      status: 503,
      text: expect.stringContaining('stopping'),
    });
    expect(outcome.stoppingMs).toBeLessThan(10_000);
    // Logged just before exit(0); a forced end says nothing.
    expect(outcome.log).toContain('"message":"stopped"');
  }

  async function icsProxyWorld(sandbox: Sandbox, front: Front, redis: string): Promise<World> {
    const admin = { authorization: `Bearer ${'a'.repeat(64)}` };
    const slow = createServer((_, response) => {
      setTimeout(() => {
        response.end(readFileSync(join(sandbox.folder, 'a.ics')));
      }, 800);
    });
    await new Promise<void>((done) => slow.listen(0, '127.0.0.1', done));
    sandbox.onEnd(() => slow.close());
    const config = await smokeConfig('ics-proxy', sandbox.folder, front.url);
    const { port } = slow.address() as AddressInfo;
    const source = { id: 'a', url: `http://127.0.0.1:${port}/a.ics`, allowPrivate: true };
    let feed = '';
    return {
      name: 'ics-proxy',
      config: () => ({
        ...config,
        state: { url: redis, prefix: 'restart' },
        feeds: { space: { name: 'Space', sources: [source] } },
      }),
      calls: (url) => [
        async () => {
          if (feed === '') {
            const options = { method: 'POST', headers: admin, body: { label: 'load' } };
            feed = (await ask(`${url}/api/feeds/space/tokens`, options)).json().url;
          }
          const answer = await ask(feed);
          // Before its one source has been fetched for the first time a feed says 503.
          const first = answer.status === 503 && answer.text.includes('first time');
          return first ? { status: 200, text: '' } : answer;
        },
        call(`${url}/api/feeds`, { headers: admin }),
        // In flight for the better part of a second, whenever the signal comes.
        call(`${url}/api/feeds/space/refresh`, { method: 'POST', headers: admin }),
      ],
    };
  }

  test('ics-proxy: no request is lost', async () => {
    await using sandbox = await openSandbox('restart');
    await using redis = await startRedis();
    await using front = await startFront(sandbox);
    const world = await icsProxyWorld(sandbox, front, redis.url);
    expectNothingLost(await takeOver(sandbox, world, front, DRAIN));
  });

  test('without a drain some are: the test can fail', async () => {
    await using sandbox = await openSandbox('restart');
    await using redis = await startRedis();
    await using front = await startFront(sandbox);
    const world = await icsProxyWorld(sandbox, front, redis.url);
    const { failures } = await takeOver(sandbox, world, front, 0);
    expect(failures.length).toBeGreaterThan(0);
  });

  test('provisioner: no request is lost, and every claim that was answered is in git', async () => {
    await using sandbox = await openSandbox('restart');
    await using redis = await startRedis();
    await using git = await startGit();
    await using front = await startFront(sandbox);
    const repository = await git.createRepository('tenants');
    const config = await smokeConfig('provisioner', sandbox.folder, front.url);
    writeFileSync(
      join(sandbox.folder, 'policy.yaml'),
      JSON.stringify({
        ...JSON.parse(readFileSync(join(sandbox.folder, 'policy.yaml'), 'utf8')),
        tenantsPerMember: 100,
      }),
    );
    const headers = { authorization: `Bearer ${await memberToken()}` };
    const claimed: string[] = [];
    const world: World = {
      name: 'provisioner',
      config: (port) => ({
        ...config,
        state: { url: redis.url, prefix: 'restart' },
        api: { ...config.api as Config, rateLimit: { points: 100_000 } },
        store: {
          kind: 'git-remote',
          url: repository.url,
          repositoryDir: join(sandbox.folder, `tenants-${port}.git`),
        },
      }),
      calls: (url) => [
        call(`${url}/api/v1/tenants`, { headers }),
        async (n) => {
          // A member may have a hundred.
          await pause(200);
          const name = `load-${n}`;
          const body = { name, repository: { url: 'https://codeberg.org/member/garden' } };
          const answer = await ask(`${url}/api/v1/tenants`, {
            method: 'POST',
            headers,
            body,
            timeoutMs: 30_000,
          });
          if (answer.status === 201) claimed.push(name);
          return answer;
        },
      ],
    };
    expectNothingLost(await takeOver(sandbox, world, front, DRAIN));
    const files = (await repository.git('ls-tree', '-r', '--name-only', 'main')).split('\n');
    expect(claimed.length).toBeGreaterThan(2);
    for (const name of claimed) expect(files.join('\n')).toContain(`/${name}/`);
  });

  test('unsealer: no request is lost', async () => {
    await using sandbox = await openSandbox('restart');
    await using front = await startFront(sandbox);
    const config = await smokeConfig('unsealer', sandbox.folder, front.url);
    const headers = { authorization: `Bearer ${'w'.repeat(64)}` };
    const world: World = {
      name: 'unsealer',
      config: (port) => ({ ...config, state: join(sandbox.folder, `state-${port}`) }),
      calls: (url) => [
        call(`${url}/status`),
        call(`${url}/unseal`, { method: 'POST', headers }),
      ],
    };
    expectNothingLost(await takeOver(sandbox, world, front, DRAIN));
  });
});
