import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  idOf,
  type KeycloakFacade,
  PEOPLE,
  startKeycloakFacade,
} from '../../dev/keycloak-facade.ts';
import { type GitRepository, type GitServer, startGit } from '../../tests/peers/git.ts';
import { here } from '../../tests/peers/lib/here.ts';
import { ask } from '../../tests/peers/lib/http.ts';
import { needs } from '../../tests/peers/lib/needs.ts';
import { run } from '../../tests/peers/lib/run.ts';
import { openSandbox, type Sandbox } from '../../tests/peers/lib/sandbox.ts';
import { waitFor } from '../../tests/peers/lib/wait.ts';
import { type Nginx, startNginx } from '../../tests/peers/nginx.ts';
import { type Redis, startRedis } from '../../tests/peers/redis.ts';
import { memberToken } from '../../tests/runtimes/provisioner.ts';
import { smokes } from '../../tests/runtimes/smokes.ts';
import { type RunningService, startService } from '../../tests/services.ts';
import { createBrowser } from './auth/browser.ts';
import type { TenantRecord } from './tenant/record.ts';

/** Where the notices arrive that would be letters: to the admin, as whoever left the list has no address. */
async function postbox() {
  const got: string[] = [];
  const server = createServer(async (request, response) => {
    got.push(JSON.parse(await text(request)).text);
    response.end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    got,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => server.close(),
  };
}

const MEMBERS = 100;
const NAMES = 50;

needs('nginx', 'redis', 'git')('two provisioners on one tenants repo and one Redis', () => {
  let sandbox: Sandbox;
  let redis: Redis;
  let git: GitServer;
  let repository: GitRepository;
  let nginx: Nginx;
  let keycloak: KeycloakFacade;
  let letters: Awaited<ReturnType<typeof postbox>>;
  const replicas: RunningService[] = [];

  beforeAll(async () => {
    sandbox = await openSandbox('replicas');
    redis = await startRedis();
    git = await startGit();
    repository = await git.createRepository('tenants');
    const ports = [await sandbox.port(), await sandbox.port()];
    // Sticky, as the portal wants it: by what a browser says of itself, as here all have one address.
    nginx = await startNginx({
      http: `upstream back {
        hash $http_user_agent$http_x_spread consistent;
        ${ports.map((port) => `server 127.0.0.1:${port} max_fails=0;`).join(' ')}
      }`,
      server: `location / {
        proxy_pass http://back;
        proxy_set_header Host $http_host;
        proxy_next_upstream error timeout non_idempotent;
      }`,
    });
    keycloak = await startKeycloakFacade({
      port: 0,
      people: PEOPLE,
      clients: [{
        id: 'portal',
        secret: 's'.repeat(64),
        redirectUris: [`${nginx.url}/auth/callback`],
        postLogoutRedirectUris: [`${nginx.url}/`],
      }],
    });
    const smoke = smokes.find(({ name }) => name === 'provisioner')!;
    const config = JSON.parse(
      await smoke.config({ folder: sandbox.folder, port: 0, url: nginx.url }),
    );
    const iss = config.api.issuer;
    const members = Array.from({ length: MEMBERS }, (_, i) => ({ iss, sub: `member-${i}` }));
    const paying = { iss: keycloak.issuer, sub: idOf('paying') };
    writeFileSync(
      join(sandbox.folder, 'members.yaml'),
      JSON.stringify({ members: [...members, paying] }),
    );
    letters = await postbox();
    writeFileSync(join(sandbox.folder, 'webhook'), 'k'.repeat(40), { mode: 0o600 });
    const policyFile = join(sandbox.folder, 'policy.yaml');
    const policy = JSON.parse(readFileSync(policyFile, 'utf8'));
    writeFileSync(policyFile, JSON.stringify({ ...policy, lifecycle: { answers: 2 } }));
    for (const port of ports) {
      const own = {
        ...config,
        listen: { port },
        state: redis.url,
        // Both look as often as that, each by its own clock.
        sweep: { every: '2s', breaker: { share: 1 } },
        notify: { webhook: { url: letters.url, secretFile: 'webhook' } },
        portal: { ...config.portal, issuer: keycloak.issuer },
        store: {
          kind: 'git-remote',
          url: repository.url,
          repositoryDir: join(sandbox.folder, `tenants-${port}.git`),
        },
      };
      replicas.push(await startService(sandbox, 'provisioner', port, JSON.stringify(own)));
    }
  });
  afterAll(async () => {
    await nginx?.stop();
    await sandbox?.end();
    await keycloak?.stop();
    await git?.stop();
    await redis?.stop();
    letters?.close();
  });

  test('100 claims at once for 50 names: each name has one owner, who was told so', async () => {
    const body = (name: string) => ({ name, repository: { url: 'https://codeberg.org/member/x' } });
    const answers = await Promise.all(Array.from({ length: MEMBERS }, async (_, i) => {
      const sub = `member-${i}`;
      const name = `space-${i % NAMES}`;
      const { status } = await ask(`${nginx.url}/api/v1/tenants`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await memberToken(sub)}`,
          'x-spread': String(i),
        },
        body: body(name),
        timeoutMs: 60_000,
      });
      return { sub, name, status };
    }));
    const owners = new Map<string, string>();
    for (const { sub, name, status } of answers) {
      expect([201, 409], `${sub} ${name}`).toContain(status);
      if (status !== 201) continue;
      expect(owners.get(name), name).toBeUndefined();
      owners.set(name, sub);
    }
    expect(owners.size).toBe(NAMES);
    // The repository says the same.
    const paths = (await repository.git('ls-tree', '-r', '--name-only', 'main')).trim().split('\n');
    const records = paths.filter((path) => /\/tenant\.json$/.test(path));
    expect(records).toHaveLength(NAMES);
    for (const path of records) {
      const record = JSON.parse(await repository.git('show', `main:${path}`)) as TenantRecord;
      expect(record.owner.sub, record.name).toBe(owners.get(record.name));
    }
    await repository.git('fsck', '--strict');
    const cli = here(import.meta, 'cli.ts');
    const file = join(sandbox.folder, `provisioner-${replicas[0]!.port}.yaml`);
    const { stdout } = await run(process.execPath, [cli, 'verify', '--config', file]);
    expect(stdout).toContain('every tenant is what the policy says');
    // Both took part.
    for (const { url } of replicas) {
      const metrics = (await ask(`${url}/metrics`)).text;
      expect(metrics).toMatch(/provisioner_writes_total\{kind="claim"\} [1-9]/);
    }
  });

  test('ten members lapse while both sweep: each is told once', async () => {
    const file = join(sandbox.folder, 'members.yaml');
    const { members } = JSON.parse(readFileSync(file, 'utf8'));
    const paths = (await repository.git('ls-tree', '-r', '--name-only', 'main')).trim().split('\n');
    const records = await Promise.all(
      paths.filter((path) => /\/tenant\.json$/.test(path)).map(async (path) =>
        JSON.parse(await repository.git('show', `main:${path}`)) as TenantRecord
      ),
    );
    const gone = records.slice(0, 10);
    const subs = new Set(gone.map(({ owner }) => owner.sub));
    const left = members.filter(({ sub }: { sub: string }) => !subs.has(sub));
    writeFileSync(file, JSON.stringify({ members: left }));
    await waitFor('the letters', () => letters.got.length >= 10, { ms: 60_000 });
    await new Promise((done) => setTimeout(done, 6000));
    expect(letters.got.sort()).toEqual(
      gone.map(({ name }) => `${name} is grace; its member has no address`).sort(),
    );
    for (const { process: child } of replicas) {
      expect(readFileSync(child.log, 'utf8')).not.toMatch(/sweep (failed|fault)/);
    }
  }, 90_000);

  test('a session is one on both; it outlives the kill of its replica, and its end is an end', async () => {
    const browser = createBrowser();
    const form = await browser.go(`${nginx.url}/spaces`);
    expect(form.text).toContain('stands in for Keycloak');
    const page = await browser.post(form.url, { username: 'paying' });
    expect(page.url).toBe(`${nginx.url}/spaces`);
    const cookies = [...browser.jar(nginx.url)].map(([k, v]) => `${k}=${v}`).join('; ');
    const { host } = new URL(nginx.url);
    const see = async ({ url }: RunningService) =>
      (await ask(`${url}/spaces`, { headers: { host, cookie: cookies, accept: 'text/html' } }))
        .status;
    expect(await Promise.all(replicas.map(see))).toEqual([200, 200]);

    // Whichever it was that the front had chosen, the other takes over.
    for (const replica of replicas) {
      await replica.process.kill();
      expect((await browser.go(`${nginx.url}/spaces`)).url).toBe(`${nginx.url}/spaces`);
      await replica.process.start();
    }
    expect(await Promise.all(replicas.map(see))).toEqual([200, 200]);

    await browser.post(`${nginx.url}/logout`, {}, false);
    // A login is asked for now, on either.
    expect(await Promise.all(replicas.map(see))).toEqual([303, 303]);
    for (const { process: child } of replicas) {
      expect(readFileSync(child.log, 'utf8')).not.toMatch(/eyJ|session=/);
    }
  });
});
