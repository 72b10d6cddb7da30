import { setupLogging } from '@hackspace/kit/log.ts';
import { Secret } from '@hackspace/kit/secret.ts';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { bearerAuth } from './auth/bearer.ts';
import { unsealer } from './neighbours.ts';
import { OWNER } from './tenant/fixtures.ts';
import { input, type World, world } from './testing.ts';

let w: World;
const lines: string[] = [];
beforeAll(() =>
  setupLogging({ service: 'provisioner', level: 'debug', write: (l) => lines.push(l) })
);
beforeEach(async () => w = await world());
afterEach(() => w.close());

function call(method: string, path: string, who: string | undefined, body?: unknown, headers = {}) {
  return w.app.request(path, {
    method,
    headers: {
      ...(who ? { authorization: `Bearer ${who}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

test('preview, claim, look, change, stop, start, delete: the whole life by HTTP', async () => {
  const shown = await call('POST', '/api/v1/tenants?preview=1', 'paying', input('garden'));
  expect(shown.status).toBe(200);
  const { preview, files } = await shown.json();
  expect(files).toHaveLength(12);
  expect((await w.store.snapshot()).revision).toBeUndefined();

  const made = await call('POST', '/api/v1/tenants', 'paying', {
    ...input('garden'),
    agreed: preview,
  });
  expect(made.status).toBe(201);
  expect((await made.json()).commit).toMatch(/^[0-9a-f]{40}$/);
  expect((await call('POST', '/api/v1/tenants', 'paying', input('garden'))).status).toBe(200);

  const status = await (await call('GET', '/api/v1/tenants/garden', 'paying')).json();
  expect(status.steps.map((s: { key: string; state: string }) => `${s.key} ${s.state}`)).toEqual([
    'membership done',
    'committed done',
    'fetched unknown',
    'applied unknown',
    'healthy unknown',
  ]);
  const { name: _, ...change } = input('garden', { plan: 'large' });
  expect((await call('PUT', '/api/v1/tenants/garden', 'paying', change)).status).toBe(200);
  expect((await call('POST', '/api/v1/tenants/garden/suspend', 'paying')).status).toBe(200);
  expect((await call('POST', '/api/v1/tenants/garden/resume', 'paying')).status).toBe(200);
  const audit = await (await call('GET', '/api/v1/tenants/garden/audit', 'paying')).json();
  expect(audit.commits.map((c: { subject: string }) => c.subject)).toEqual([
    'tenants: start garden',
    'tenants: stop garden',
    'tenants: update garden',
    'tenants: claim garden',
  ]);
  const archive = await call('GET', '/api/v1/tenants/garden/export', 'paying');
  expect(new Uint8Array(await archive.arrayBuffer()).slice(0, 2)).toEqual(
    new Uint8Array([31, 139]),
  );
  expect((await call('DELETE', '/api/v1/tenants/garden?confirm=gardem', 'paying')).status).toBe(
    400,
  );
  expect((await call('DELETE', '/api/v1/tenants/garden?confirm=garden', 'paying')).status).toBe(
    202,
  );
});

test('every fault of an input comes back with its path, in words', async () => {
  const answer = await call('POST', '/api/v1/tenants', 'paying', { name: 'kube-x', role: 'admin' });
  expect(answer.status).toBe(400);
  const problem = await answer.json();
  expect(problem.faults.map((f: { path: string }) => f.path).sort()).toEqual([
    'name',
    'repository',
    'role',
  ]);
  for (const body of ['[]', 'null', '"x"', '{', '']) {
    const bad = await w.app.request('/api/v1/tenants', {
      method: 'POST',
      headers: { authorization: 'Bearer paying', 'content-type': 'application/json' },
      body,
    });
    expect(bad.status, body).toBe(400);
  }
  const large = await call('POST', '/api/v1/tenants', 'paying', { name: 'x'.repeat(100_000) });
  expect(large.status).toBe(400);
});

test('without a token nothing is told, and strangers’ tenants are not there', async () => {
  await call('POST', '/api/v1/tenants', 'paying', input('garden'));
  const routes: [string, string][] = [
    ['GET', '/api/v1/tenants/garden'],
    ['POST', '/api/v1/tenants/garden/suspend'],
    ['DELETE', '/api/v1/tenants/garden?confirm=garden'],
    ['GET', '/api/v1/tenants/garden/audit'],
    ['GET', '/api/v1/tenants/garden/export'],
    ['GET', '/api/v1/tenants/garden/kubeconfig'],
    ['POST', '/api/v1/tenants/garden/feed'],
  ];
  for (const [method, path] of routes) {
    expect((await call(method, path, undefined)).status, path).toBe(401);
    const stranger = await call(method, path, 'mallory');
    expect(stranger.status, path).toBe(404);
    const nothing = await call(method, path.replaceAll('garden', 'nothing'), 'mallory');
    expect((await nothing.json()).detail).toBe((await stranger.json()).detail);
  }
  for (const path of ['/api/v1/admin/tenants', '/api/v1/admin/sweep']) {
    expect((await call('GET', path, 'paying')).status).toBe(403);
  }
});

test('an administrator lists, searches and sweeps', async () => {
  for (const name of ['one', 'two', 'three']) {
    await call('POST', '/api/v1/tenants', name, input(name));
  }
  const page = await (await call('GET', '/api/v1/admin/tenants?limit=2', 'admin')).json();
  expect(page).toMatchObject({
    total: 3,
    next: 'three',
    tenants: [{ name: 'one' }, { name: 'three' }],
  });
  const rest = await (await call('GET', '/api/v1/admin/tenants?limit=2&after=three', 'admin'))
    .json();
  expect(rest.tenants.map((t: { name: string }) => t.name)).toEqual(['two']);
  const sweep = await (await call('POST', '/api/v1/admin/sweep', 'admin', {})).json();
  expect(sweep).toMatchObject({ tenants: 3, answers: { yes: 3 }, breaker: { open: false } });
  expect((await (await call('GET', '/api/v1/admin/sweep', 'admin')).json()).last.at).toBe(sweep.at);
});

test('the same Idempotency-Key: one commit, the same answer; another request: refused', async () => {
  const key = { 'idempotency-key': 'key-0123456789' };
  const all = await Promise.all(
    [1, 2, 3].map(() => call('POST', '/api/v1/tenants', 'paying', input('garden'), key)),
  );
  expect(all.map((r) => r.status)).toEqual([201, 201, 201]);
  expect(new Set(await Promise.all(all.map((r) => r.text()))).size).toBe(1);
  expect((await call('POST', '/api/v1/tenants', 'paying', input('other'), key)).status).toBe(409);
  expect((await call('POST', '/api/v1/tenants', 'mallory', input('mine'), key)).status).toBe(201);
  expect(await w.store.log('tenants/garden', 9)).toHaveLength(1);
});

test('writes of one member are limited, others are not touched', async () => {
  await w.close();
  w = await world({ api: { rateLimit: { points: 3, per: '1m' } } });
  for (let i = 0; i < 3; i++) {
    await call('POST', '/api/v1/tenants?preview=1', 'paying', input('garden'));
  }
  const limited = await call('POST', '/api/v1/tenants', 'paying', input('garden'));
  expect(limited.status).toBe(429);
  expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await call('POST', '/api/v1/tenants', 'mallory', input('garden'))).status).toBe(201);
});

test('POST /trigger claims, then wakes what is claimed', async () => {
  let woken = 0;
  w.ports.wake = () => void woken++;
  expect((await call('POST', '/trigger', 'paying')).status).toBe(404);
  expect(await (await call('POST', '/trigger', 'paying', input('garden'))).json()).toEqual({
    triggered: ['garden'],
  });
  expect((await call('POST', '/trigger', 'paying')).status).toBe(202);
  expect(woken).toBe(1);
});

test('kubeconfig logs in by kubelogin, names the namespace and holds no secret', async () => {
  await call('POST', '/api/v1/tenants', 'paying', input('garden'));
  expect((await call('GET', '/api/v1/tenants/garden/kubeconfig', 'paying')).status).toBe(404);
  w.ports.kubeconfig = {
    server: 'https://api.member-prod.example:6443',
    ca: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    cluster: 'member-prod',
    issuer: OWNER.iss,
    clientId: 'kubernetes',
  };
  const text = await (await call('GET', '/api/v1/tenants/garden/kubeconfig', 'paying')).text();
  const config = parse(text);
  expect(config.contexts[0].context).toEqual({
    cluster: 'member-prod',
    user: 'member-prod-garden',
    namespace: 'tenant-garden',
  });
  expect(config.users[0].user.exec).toMatchObject({
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'kubectl',
  });
  expect(text).not.toMatch(/secret|token:|password|client-key/i);
});

test('the feed link comes from ics-proxy and the vault’s state from the unsealer', async () => {
  await call('POST', '/api/v1/tenants', 'paying', input('garden', { wants: { calendar: true } }));
  w.ports.feedToken = async (label) => ({
    id: label,
    url: 'https://io.example/proxy/space.ics?token=abc',
  });
  const feed = await call('POST', '/api/v1/tenants/garden/feed', 'paying');
  expect(await feed.json()).toEqual({ url: 'https://io.example/proxy/space.ics?token=abc' });
  w.ports.vault = unsealer({ url: 'http://127.0.0.1:9', token: new Secret('x') });
  expect(await (await call('GET', '/api/v1/vault', 'paying')).json()).toEqual({ vault: 'unknown' });
});

test('the OpenAPI document has every route with an example, and says who may', async () => {
  const document = await (await w.app.request('/openapi.json')).json();
  expect(document.openapi).toBe('3.1.0');
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining(['/api/v1/tenants', '/api/v1/tenants/{name}/kubeconfig', '/trigger']),
  );
  const ours = Object.entries(document.paths).filter(([path]) => /^\/(api|trigger)/.test(path))
    .map(([, item]) => item);
  for (const item of ours as Record<string, { security?: unknown }>[]) {
    for (const operation of Object.values(item)) expect(operation.security).toBeTruthy();
  }
  expect(JSON.stringify(document)).toContain('"example":"garden"');
});

test('a space that cannot ask who pays is ready, and says so', async () => {
  expect((await w.app.request('/readyz')).status).toBe(200);
  w.membership.broken = true;
  const answer = await w.app.request('/readyz');
  expect(await answer.json()).toEqual({ ready: true, reasons: ['Internal error'] });
});

let issuer: Server;
let url: string;
let sign: (claims: Record<string, unknown>, header?: Record<string, unknown>) => Promise<string>;
let foreign: typeof sign;
beforeAll(async () => {
  const [own, other] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
  const jwk = { ...await exportJWK(own.publicKey), kid: 'k1', alg: 'ES256', use: 'sig' };
  issuer = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(
      request.url!.endsWith('openid-configuration')
        ? { issuer: url, jwks_uri: `${url}/jwks` }
        : { keys: [jwk] },
    ));
  });
  await new Promise<void>((done) => issuer.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  const signer = (key: CryptoKey): typeof sign => (claims, header = {}) =>
    new SignJWT({ iss: url, sub: 'u1', aud: 'provisioner', azp: 'cli', exp: 4e9, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(key);
  sign = signer(own.privateKey);
  foreign = signer(other.privateKey);
});
afterAll(() => {
  issuer.closeAllConnections();
  issuer.close();
});

test('escape 9: a token with a missing, empty or other claim is nobody’s', async () => {
  const authenticate = bearerAuth({
    issuer: url,
    audience: 'provisioner',
    clients: ['cli'],
    algorithms: ['ES256'],
    adminScope: 'provisioner:admin',
  });
  expect(await authenticate(await sign({ name: 'Paying Member' }))).toMatchObject({
    subject: { iss: url, sub: 'u1' },
    name: 'Paying Member',
    admin: false,
  });
  expect((await authenticate(await sign({ scope: 'openid provisioner:admin' }))).admin).toBe(true);
  const forged = (await sign({})).split('.');
  const none = `${btoa('{"alg":"none"}').replaceAll('=', '')}.${forged[1]}.`;
  const bad: string[] = [
    await sign({ sub: undefined }),
    await sign({ sub: '' }),
    await sign({ sub: ' ' }),
    await sign({ sub: ['u1'] }),
    await sign({ iss: 'https://other.example' }),
    await sign({ iss: undefined }),
    await sign({ aud: 'another' }),
    await sign({ aud: undefined }),
    await sign({ azp: 'another' }),
    await sign({ azp: undefined }),
    await sign({ exp: undefined }),
    await sign({ exp: 1 }),
    await sign({ nbf: 4e9 }),
    await foreign({}),
    await sign({}, { kid: 'other' }),
    none,
    `${forged[0]}.${btoa('{"sub":"admin"}')}.${forged[2]}`,
    'x',
    'a.b.c',
  ];
  for (const token of bad) {
    await expect(authenticate(token), token).rejects.toMatchObject({ code: 'unauthenticated' });
  }
  const down = bearerAuth({
    issuer: 'http://127.0.0.1:9',
    audience: 'provisioner',
    clients: ['cli'],
    algorithms: ['ES256'],
    adminScope: 'a',
  });
  await expect(down(await sign({}))).rejects.toMatchObject({ code: 'unavailable' });
});

afterAll(() => {
  const log = lines.join('\n');
  expect(lines.length).toBeGreaterThan(50);
  expect(log).not.toMatch(/eyJ|Bearer [^\[]|token=[^[]|@hackspace\.example|password/i);
});
