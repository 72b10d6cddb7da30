// The provisioner as a process, its members in the real Keycloak, the tenants repo in a real Gitea: from
// the claim by a token of Keycloak's through a lapse, a return and another lapse to the tombstone. Then
// the whole log of the process is read for what must not be in it.
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { idOf } from '../../dev/keycloak-facade.ts';
import { type Gitea, startGitea } from '../../tests/peers/gitea.ts';
import { clients, type Keycloak, passwordOf, startKeycloak } from '../../tests/peers/keycloak.ts';
import { fillLogin } from '../../tests/peers/keycloak/login.ts';
import { ask } from '../../tests/peers/lib/http.ts';
import { needs } from '../../tests/peers/lib/needs.ts';
import { run } from '../../tests/peers/lib/run.ts';
import { openSandbox, type Sandbox } from '../../tests/peers/lib/sandbox.ts';
import { waitFor } from '../../tests/peers/lib/wait.ts';
import { type Smtp, startSmtp } from '../../tests/peers/smtp.ts';
import { type RunningService, startService } from '../../tests/services.ts';
import { createBrowser } from './auth/browser.ts';

const CLI = fileURLToPath(new URL('cli.ts', import.meta.url));

needs('keycloak', 'gitea', 'smtp')('members of a real Keycloak, from the claim to the end', () => {
  let sandbox: Sandbox;
  let keycloak: Keycloak;
  let gitea: Gitea;
  let letters: Smtp;
  let service: RunningService;
  let repository: { owner: string; name: string };
  /** Whatever no log may hold. */
  const secrets: string[] = [];

  beforeAll(async () => {
    sandbox = await openSandbox('members');
    const login = { username: 'hub', password: randomBytes(16).toString('hex') };
    [keycloak, gitea, letters] = await Promise.all([
      startKeycloak(),
      startGitea(),
      startSmtp({ login }),
    ]);
    const bot = await gitea.createUser('provisioner-bot');
    repository = await gitea.createRepository('tenants', [bot]);
    await letTokensIn();
    const file = (name: string, secret: string) => {
      secrets.push(secret);
      writeFileSync(join(sandbox.folder, name), secret, { mode: 0o600 });
      return name;
    };
    const plan = { title: 'Small', storage: '5Gi', pods: 10, limitsCpu: '2', limitsMemory: '2Gi' };
    const policy = {
      plans: { small: { ...plan, requestsCpu: '1', requestsMemory: '1Gi' } },
      defaultPlan: 'small',
      repositories: ['https://codeberg.org'],
      lifecycle: { answers: 2, grace: '1s', suspended: '1s', exported: '1s', drain: '1s' },
    };
    writeFileSync(join(sandbox.folder, 'policy.yaml'), JSON.stringify(policy));
    const port = await sandbox.port();
    const issuer = keycloak.issuer;
    const config = {
      listen: { port },
      publicUrl: `http://127.0.0.1:${port}`,
      policyFile: 'policy.yaml',
      state: join(sandbox.folder, 'state'),
      api: { issuer, clients: [clients.login.id] },
      portal: {
        issuer,
        clientId: clients.login.id,
        clientSecretFile: file('login', clients.login.secret),
        sessionSecretFile: file('sessions', randomBytes(32).toString('hex')),
      },
      store: {
        ...{ kind: 'forgejo', url: gitea.url, owner: repository.owner, repo: repository.name },
        tokenFile: file('forge', bot.token),
      },
      membership: {
        ...{
          kind: 'keycloak',
          url: keycloak.url,
          realm: keycloak.realm,
          knownMember: idOf('admin'),
        },
        clientId: clients.lookup.id,
        clientSecretFile: file('lookup', clients.lookup.secret),
        paying: { groupPath: '/paying-members' },
      },
      sweep: { every: '1s', breaker: { share: 1 } },
      notify: {
        smtp: {
          ...{ host: '127.0.0.1', port: letters.port, security: 'none', user: login.username },
          ...{ from: 'hub@hackspace.example', admin: 'board@hackspace.example' },
          passwordFile: file('mail', login.password),
        },
      },
      export: { archiveDir: join(sandbox.folder, 'archives') },
    };
    service = await startService(sandbox, 'provisioner', port, JSON.stringify(config));
  });
  afterAll(async () => {
    await sandbox?.end();
    await Promise.all([keycloak?.stop(), gitea?.stop(), letters?.stop()]);
  });

  /** A mapper as a hackspace would add it: access tokens are for the provisioner. */
  async function letTokensIn() {
    const [client] = (await keycloak.admin(`/clients?clientId=${clients.login.id}`)).json();
    const mapper = {
      name: 'audience',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-audience-mapper',
      config: { 'included.custom.audience': 'provisioner', 'access.token.claim': 'true' },
    };
    const path = `/clients/${client.id}/protocol-mappers/models`;
    const { status } = await keycloak.admin(path, { method: 'POST', body: mapper });
    expect(status).toBe(201);
  }

  /** An access token as a program of the member's would get it: code flow with PKCE. */
  async function tokenOf(name: string): Promise<string> {
    const back = `${service.url}/auth/callback`;
    const verifier = randomBytes(32).toString('base64url');
    const at = `${keycloak.issuer}/protocol/openid-connect`;
    const { id, secret } = clients.login;
    const query = new URLSearchParams({
      ...{ client_id: id, redirect_uri: back, response_type: 'code', scope: 'openid', state: 's' },
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    const login = await fillLogin(`${at}/auth?${query}`, name, passwordOf(name));
    const code = login.back?.searchParams.get('code');
    if (!code) throw new Error(`Cannot log ${name} in: ${login.text.slice(0, 300)}`);
    const form = new URLSearchParams({
      ...{ grant_type: 'authorization_code', code, redirect_uri: back, code_verifier: verifier },
      ...{ client_id: id, client_secret: secret },
    });
    const answer = await fetch(`${at}/token`, { method: 'POST', body: form });
    const { access_token, refresh_token } = await answer.json() as Record<string, string>;
    secrets.push(code, access_token!, refresh_token!);
    return access_token!;
  }

  async function claim(name: string, who: string) {
    const repository = { url: `https://codeberg.org/members/${name}` };
    return await ask(`${service.url}/api/v1/tenants`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await tokenOf(who)}` },
      body: { name, repository },
      timeoutMs: 30_000,
    });
  }

  interface Commit {
    sha: string;
    commit: { message: string; author: { email: string } };
  }
  const commits = (): Promise<Commit[]> =>
    gitea.call(`/repos/${repository.owner}/${repository.name}/commits?limit=50&stat=false`);
  /** The states that the garden has come to, in order. */
  const states = async () =>
    (await commits()).flatMap(({ commit }) =>
      /^tenants: garden is (\w+)/.exec(commit.message)?.[1] ?? []
    ).reverse();
  async function until(state: string, count = 1) {
    let seen: string[] = [];
    await waitFor(`the garden to be ${state}`, async () => {
      seen = await states();
      return seen.filter((each) => each === state).length >= count;
    }, { ms: 60_000, everyMs: 300, explain: () => seen.join() });
  }
  async function cli(...args: string[]) {
    const file = join(sandbox.folder, `provisioner-${service.port}.yaml`);
    const { code, stdout, stderr } = await run(process.execPath, [CLI, ...args, '--config', file]);
    return { code, out: stdout.trim().split('\n'), err: stderr };
  }

  test('who pays claims by a token of Keycloak’s; who does not is told so', async () => {
    const made = await claim('garden', 'paying');
    expect([made.status, made.json().commit], made.text).toEqual([201, (await commits())[0]!.sha]);
    expect((await claim('radio', 'admin')).status).toBe(201);
    const refused = await claim('attic', 'lapsed');
    expect([refused.status, refused.json().detail]).toEqual([
      403,
      'Cannot do this for you: your membership is not paid',
    ]);
    const taken = await claim('garden', 'admin');
    expect(taken.status).toBe(409);
    await expect(tokenOf('disabled')).rejects.toThrow(/disabled/i);
    const stranger = await keycloak.clientToken(clients.lookup);
    secrets.push(stranger);
    const answer = await ask(`${service.url}/api/v1/tenants`, {
      headers: { authorization: `Bearer ${stranger}` },
    });
    expect(answer.status).toBe(401);
  });

  test('a browser sees the same space', async () => {
    const browser = createBrowser();
    const form = await browser.go(`${service.url}/spaces`);
    const action = /<form[^>]*\saction="([^"]+)"/.exec(form.text)![1]!.replaceAll('&amp;', '&');
    const page = await browser.post(action, {
      username: 'paying',
      password: passwordOf('paying'),
      credentialId: '',
    });
    expect([page.url, page.text]).toEqual([
      `${service.url}/spaces`,
      expect.stringContaining('garden'),
    ]);
    const cookies = [...browser.jar(service.url).values()].filter((value) => value.length >= 16);
    expect(cookies.length).toBeGreaterThan(0);
    secrets.push(...cookies);
  });

  test('check --live is let in everywhere, a dry run writes nothing', async () => {
    const check = await cli('check', '--live');
    const [{ sha }] = await commits() as [Commit];
    expect(check.out.filter((line) => /^(ok|FAILED)/.test(line))).toEqual([
      `ok      tenants repo: ${sha}`,
      'ok      membership: answers rightly',
      'ok      state: writable',
      'ok      archives: writable',
      'ok      login: says where its keys are',
      'ok      mail: lets us in',
    ]);
    expect([check.code, check.err]).toEqual([0, '']);
    const sweep = await cli('sweep', '--dry-run');
    expect([sweep.code, sweep.out]).toEqual([0, ['2 tenants: 2 paying, 0 not, 0 unknown']]);
    expect((await commits())[0]!.sha).toBe(sha);
  });

  test('lapsed, paid again, lapsed to the end: each step a commit and a letter, the archive is kept', async () => {
    const begun = performance.now();
    await keycloak.leaveGroup('paying', 'paying-members');
    await until('grace');
    await keycloak.joinGroup('paying', 'paying-members');
    await until('active');
    await keycloak.leaveGroup('paying', 'paying-members');
    await until('deleted');
    const down = ['grace', 'suspended', 'exported', 'draining', 'deleted'];
    const seen = await states();
    const back = seen.indexOf('active');
    expect(seen.slice(back)).toEqual(['active', ...down]);
    // It may have gone a step further before it was seen to pay again.
    expect(down.slice(0, back)).toEqual(seen.slice(0, back));
    await waitFor('the last letter', () => letters.mails.length >= seen.length);
    expect(letters.mails.map(({ to }) => to.join())).toEqual(
      seen.map(() => 'paying@hackspace.example'),
    );
    expect(readdirSync(join(sandbox.folder, 'archives'))).toHaveLength(back > 2 ? 2 : 1);
    const verify = await cli('verify');
    expect([verify.code, verify.out]).toEqual([0, ['every tenant is what the policy says']]);
    const ms = Math.round(performance.now() - begun);
    process.stdout.write(`${seen.length} steps, as many letters: ${ms} ms\n`);
  });

  test('Keycloak gone: unknown, and the neighbour stays as it is', async () => {
    const before = (await commits())[0]!.sha;
    await keycloak.process.stop();
    const dry = await cli('sweep', '--dry-run');
    expect([dry.code, dry.out]).toEqual([0, ['1 tenants: 0 paying, 0 not, 1 unknown']]);
    expect((await commits())[0]!.sha).toBe(before);
  });

  test('the log of all that holds no token, cookie, secret or e-mail address; git holds none either', async () => {
    const log = readFileSync(service.process.log, 'utf8');
    expect(log).toContain('"to":"deleted"');
    expect(log.match(/"tenant stepped"/g)).toHaveLength((await states()).length);
    expect(secrets.length).toBeGreaterThan(15);
    expect(secrets.filter((secret) => log.includes(secret))).toEqual([]);
    expect(log).not.toMatch(/eyJ[\w-]{10}|[Bb]earer [\w-]|[Ss]et-[Cc]ookie|code=/);
    expect(log.match(/[\w.+-]+@[\w-]+\.[\w.-]+/g) ?? []).toEqual([]);
    const written = JSON.stringify((await commits()).map(({ commit }) => commit.message));
    expect(written).not.toContain('@');
    const authors = (await commits()).map(({ commit }) => commit.author.email);
    expect(authors.filter((email) => /@hackspace\.example$/.test(email))).toEqual([]);
    expect(authors).toContain(`${idOf('paying')}@members.noreply.127.0.0.1`);
  });
});
