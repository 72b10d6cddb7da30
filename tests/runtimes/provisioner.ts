import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Smoke } from './smokes.ts';

let login: Server | undefined;
let token = '';
let sign: (subject: string) => Promise<string>;

/** A bearer token of a subject, by default the member who may claim; once `config` was called. */
export const memberToken = (subject = 'paying') => sign(subject);

/** A login service of one key, and a token of one member. */
async function startLogin(): Promise<string> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...await exportJWK(publicKey), kid: 'k', alg: 'ES256' };
  login = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((done) => login!.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${(login.address() as AddressInfo).port}`;
  sign = (subject) =>
    new SignJWT({ azp: 'cli' }).setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer(issuer).setSubject(subject).setAudience('provisioner').setExpirationTime('5m')
      .sign(privateKey);
  token = await memberToken();
  return issuer;
}

/** A paying member claims a tenant, and it is in git. */
export const provisioner: Smoke = {
  name: 'provisioner',
  async config({ folder, port, url }) {
    const issuer = await startLogin();
    await writeFile(
      join(folder, 'members.yaml'),
      JSON.stringify({ members: [{ iss: issuer, sub: 'paying' }] }),
    );
    await writeFile(
      join(folder, 'policy.yaml'),
      JSON.stringify({
        plans: {
          small: {
            title: 'Small',
            requestsCpu: '500m',
            requestsMemory: '1Gi',
            limitsCpu: '2',
            limitsMemory: '2Gi',
            storage: '5Gi',
            pods: 10,
          },
        },
        defaultPlan: 'small',
        repositories: ['https://codeberg.org'],
      }),
    );
    for (const name of ['client', 'sessions']) {
      await writeFile(join(folder, name), 's'.repeat(64), { mode: 0o600 });
    }
    return JSON.stringify({
      listen: { port },
      publicUrl: url,
      policyFile: 'policy.yaml',
      state: join(folder, 'state'),
      api: { issuer, jwksUrl: `${issuer}/jwks`, clients: ['cli'] },
      portal: {
        issuer,
        clientId: 'portal',
        clientSecretFile: 'client',
        sessionSecretFile: 'sessions',
      },
      store: { kind: 'bare-git', repositoryDir: join(folder, 'tenants.git') },
      membership: { kind: 'static', membersFile: 'members.yaml' },
      export: { archiveDir: join(folder, 'archives') },
    });
  },
  async check({ url }) {
    const claim = (headers: Record<string, string>) =>
      fetch(`${url}/api/v1/tenants`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{"name":"garden","repository":{"url":"https://codeberg.org/member/garden"}}',
      });
    try {
      if ((await claim({})).status !== 401) throw new Error('a stranger could claim');
      const made = await claim({ authorization: `Bearer ${token}` });
      if (made.status !== 201) {
        throw new Error(`the claim answered ${made.status}: ${await made.text()}`);
      }
      const status = await (await fetch(`${url}/api/v1/tenants/garden`, {
        headers: { authorization: `Bearer ${token}` },
      })).json();
      if (!/^Committed: [0-9a-f]{12}$/.test(status.steps[1].text)) {
        throw new Error('it is not in git');
      }
      const page = await fetch(url, { headers: { accept: 'text/html' } });
      if (!(await page.text()).includes('Log in and begin')) throw new Error('no landing page');
    } finally {
      login?.closeAllConnections();
      login?.close();
    }
  },
};
