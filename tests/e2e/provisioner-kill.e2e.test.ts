// kill -9 of the provisioner and of every git it runs, at random points under 50 claims at once.
// HACKSPACE_KILLS sets how many points (default 20).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { bareGit } from '../../services/provisioner/store/bare-git.ts';
import { openStore } from '../../services/provisioner/store/queue.ts';
import { loadPolicy } from '../../services/provisioner/config.ts';
import { readTenants } from '../../services/provisioner/tenants.ts';
import { verify } from '../../services/provisioner/verify.ts';

const KILLS = Number(process.env.HACKSPACE_KILLS ?? 20);
const MEMBERS = 50;

async function issuer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...await exportJWK(publicKey), kid: 'k', alg: 'ES256' };
  let url = '';
  const server = createServer((request, response) => {
    const keys = { keys: [jwk] };
    const discovery = { issuer: url, jwks_uri: `${url}/jwks` };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/jwks' ? keys : discovery));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    token: (sub: string) =>
      new SignJWT({ sub, azp: 'cli' }).setProtectedHeader({ alg: 'ES256', kid: 'k' }).setIssuer(url)
        .setAudience('provisioner').setExpirationTime('1h').sign(privateKey),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Starts the service as a group of its own and tells where it listens. */
async function start(config: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [
    resolve('services/provisioner/main.ts'),
    '--config',
    config,
  ], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stderr!.on('data', (chunk) => output += chunk);
  const url = await new Promise<string>((done, fail) => {
    child.stdout!.on('data', (chunk) => {
      output += chunk;
      const found = /"message":"listening".*"url":"([^"]+)"/.exec(output);
      if (found) done(found[1]!);
    });
    child.on('exit', () => fail(new Error(`the service ended: ${output.slice(-2000)}`)));
  });
  return { child, url };
}

const ended = (child: ChildProcess) => new Promise<void>((done) => child.on('exit', () => done()));

test(
  `kill -9 at ${KILLS} points under ${MEMBERS} claims: whole or not at all, every 2xx in git`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hackspace-kill-'));
    const login = await issuer();
    const members = join(folder, 'members.yaml');
    const policyFile = join(folder, 'policy.yaml');
    const repository = join(folder, 'tenants.git');
    writeFileSync(
      policyFile,
      JSON.stringify({
        plans: {
          small: {
            title: 'Small',
            requestsCpu: 1,
            requestsMemory: '1Gi',
            limitsCpu: 2,
            limitsMemory: '2Gi',
            storage: '5Gi',
            pods: 10,
          },
        },
        defaultPlan: 'small',
        repositories: ['https://codeberg.org'],
      }),
    );
    const config = join(folder, 'config.yaml');
    writeFileSync(
      config,
      JSON.stringify({
        listen: { port: 0 },
        publicUrl: 'https://io.hackspace.example',
        policyFile,
        state: join(folder, 'state'),
        api: { issuer: login.url, clients: ['cli'] },
        store: { kind: 'bare-git', repositoryDir: repository },
        membership: { kind: 'static', membersFile: members },
        export: { archiveDir: join(folder, 'archives') },
      }),
    );
    const policy = await loadPolicy(policyFile);
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', repository, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });

    const promised = new Map<string, { commit: string; sub: string }>();
    let span = 400; // how long a round lasts when it is not killed; learnt from the first
    let midway = 0;
    try {
      for (let round = 0; round < KILLS; round++) {
        const subs = Array.from({ length: MEMBERS }, (_, i) => `r${round}-m${i}`);
        writeFileSync(
          members,
          JSON.stringify({ members: subs.map((sub) => ({ iss: login.url, sub })) }),
        );
        const tokens = await Promise.all(subs.map(login.token));
        const { child, url } = await start(config);
        const gone = ended(child);
        const begun = performance.now();
        const claims = subs.map(async (sub, i) => {
          const name = `t${sub.replace('-', '')}`;
          try {
            const answer = await fetch(`${url}/api/v1/tenants`, {
              method: 'POST',
              headers: { authorization: `Bearer ${tokens[i]}`, 'content-type': 'application/json' },
              body: JSON.stringify({ name, repository: { url: `https://codeberg.org/m/${name}` } }),
            });
            const body = await answer.json();
            if (answer.status === 201) promised.set(name, { commit: body.commit, sub });
            return answer.status;
          } catch {
            return 0; // cut off: it may have landed or not
          }
        });
        if (round > 0) {
          await new Promise((done) => setTimeout(done, Math.random() * span));
          process.kill(-child.pid!, 'SIGKILL');
        }
        const statuses = await Promise.all(claims);
        if (round === 0) {
          span = (performance.now() - begun) * 1.1;
          process.kill(-child.pid!, 'SIGKILL');
          expect(statuses).toEqual(Array(MEMBERS).fill(201));
        }
        if (statuses.some((s) => s === 0)) midway++;
        await gone;
      }
      expect(git('fsck', '--strict', '--no-dangling')).toBe('');
      const store = openStore(
        await bareGit({ dir: repository, branch: 'main', committer: { name: 'x', email: 'x@x' } }),
      );
      const snapshot = await store.snapshot();
      expect(await verify(snapshot, policy)).toEqual([]);
      const there = new Map((await readTenants(snapshot)).map((record) => [record.name, record]));
      const reachable = new Set(git('rev-list', 'main').trim().split('\n'));
      for (const [name, { commit, sub }] of promised) {
        expect(there.get(name)?.owner.sub, name).toBe(sub);
        expect(reachable.has(commit), name).toBe(true);
      }
      // one commit each: none doubled
      expect(git('rev-list', '--count', 'main').trim()).toBe(String(there.size));
      process.stdout.write(
        `kill -9: ${KILLS} points, ${midway} of them in the middle; ${promised.size} answers 201, ` +
          `${there.size} tenants in git, all whole\n`,
      );
      expect(midway).toBeGreaterThan(0);
      await store.close();
    } finally {
      login.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
  3_600_000,
);
