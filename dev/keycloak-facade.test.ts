import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  GROUP,
  idOf,
  type KeycloakFacade,
  PEOPLE,
  startKeycloakFacade,
} from './keycloak-facade.ts';

let keycloak: KeycloakFacade;
beforeAll(async () => {
  keycloak = await startKeycloakFacade({
    port: 0,
    people: PEOPLE,
    clients: [
      { id: 'portal', secret: 'portal-secret', redirectUris: ['http://127.0.0.1:1/callback'] },
      { id: 'sweeper', secret: 'sweeper-secret' },
    ],
  });
});
afterAll(() => keycloak.stop());

const basic = (id: string, secret: string) => ({
  authorization: 'Basic ' + btoa(`${id}:${secret}`),
});

async function adminToken(): Promise<string> {
  const response = await fetch(`${keycloak.issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    headers: basic('sweeper', 'sweeper-secret'),
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  expect(response.status).toBe(200);
  return (await response.json()).access_token;
}

/** Walks the code flow as a browser would: cookies kept, redirects followed by hand. */
async function logIn(username: string): Promise<Record<string, unknown> | string> {
  const jar = new Map<string, string>();
  const verifier = 'v'.repeat(64);
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = new URLSearchParams({
    client_id: 'portal',
    redirect_uri: 'http://127.0.0.1:1/callback',
    response_type: 'code',
    scope: 'openid profile email',
    state: 's',
    nonce: 'n',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  let url = `${keycloak.issuer}/protocol/openid-connect/auth?${query}`;
  let form: URLSearchParams | undefined;
  for (let hop = 0; hop < 10; hop++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') },
      ...(form ? { method: 'POST', body: form } : {}),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      const at = pair!.indexOf('=');
      jar.set(pair!.slice(0, at), pair!.slice(at + 1));
    }
    const location = response.headers.get('location');
    if (!location) {
      const text = await response.text();
      if (form) return text;
      form = new URLSearchParams({ username });
      continue;
    }
    form = undefined;
    url = new URL(location, url).href;
    if (url.startsWith('http://127.0.0.1:1/callback')) break;
  }
  const token = await fetch(`${keycloak.issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    headers: basic('portal', 'portal-secret'),
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code: new URL(url).searchParams.get('code')!,
      redirect_uri: 'http://127.0.0.1:1/callback',
      code_verifier: verifier,
    }),
  });
  const { id_token } = await token.json();
  return JSON.parse(Buffer.from(id_token.split('.')[1], 'base64url').toString());
}

test('discovery names the issuer and Keycloak’s own paths', async () => {
  const discovery = await (await fetch(`${keycloak.issuer}/.well-known/openid-configuration`))
    .json();
  expect(discovery.issuer).toBe(keycloak.issuer);
  expect(discovery.token_endpoint).toBe(`${keycloak.issuer}/protocol/openid-connect/token`);
  expect((await fetch(discovery.jwks_uri)).status).toBe(200);
});

test('a paying member logs in and carries the group; a lapsed one carries no groups claim', async () => {
  expect(await logIn('paying')).toMatchObject({ sub: idOf('paying'), nonce: 'n', groups: [GROUP] });
  expect(await logIn('lapsed')).not.toHaveProperty('groups');
});

test('a disabled account is told so', async () => {
  expect(await logIn('disabled')).toContain('Account is disabled');
});

test('the admin calls answer as Keycloak does', async () => {
  const headers = { authorization: `Bearer ${await adminToken()}` };
  const get = async (path: string) => {
    const response = await fetch(`${keycloak.url}/admin/realms/hackspace/${path}`, { headers });
    return [response.status, await response.json()];
  };
  expect(await get(`users/${idOf('paying')}/groups`)).toEqual([200, [
    { id: idOf(GROUP), name: 'paying-members', path: GROUP },
  ]]);
  expect((await get(`users/${idOf('disabled')}`))[1]).toMatchObject({ enabled: false });
  expect(await get('users/none')).toEqual([404, { error: 'User not found' }]);
  expect((await get(`groups/${idOf(GROUP)}/members?first=0&max=2`))[1]).toHaveLength(2);
  expect((await get(`groups/${idOf(GROUP)}/members?first=2&max=2`))[1]).toHaveLength(1);
  const anonymous = await fetch(`${keycloak.url}/admin/realms/hackspace/users/x`);
  expect(anonymous.status).toBe(401);
  keycloak.fail(500);
  expect((await get(`users/${idOf('paying')}`))[0]).toBe(500);
  keycloak.fail(undefined);
});

test('what changes in the realm shows at once', async () => {
  const headers = { authorization: `Bearer ${await adminToken()}` };
  keycloak.change('paying', { groups: [] });
  const url = `${keycloak.url}/admin/realms/hackspace/users/${idOf('paying')}/groups`;
  expect(await (await fetch(url, { headers })).json()).toEqual([]);
  keycloak.change('paying', { groups: [GROUP] });
});
