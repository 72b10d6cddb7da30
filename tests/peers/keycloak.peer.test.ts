import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { idOf } from '../../dev/keycloak-facade.ts';
import { clients, type Keycloak, passwordOf, startKeycloak } from './keycloak.ts';
import { fillLogin } from './keycloak/login.ts';
import { ask } from './lib/http.ts';
import { needs } from './lib/needs.ts';

const redirect = 'http://127.0.0.1:4321/auth/callback';

needs('keycloak')('Keycloak', () => {
  let keycloak: Keycloak;
  beforeAll(async () => {
    keycloak = await startKeycloak();
  });
  afterAll(async () => await keycloak?.stop());

  function authorization(verifier: string, to = redirect): URL {
    const url = new URL(`${keycloak.issuer}/protocol/openid-connect/auth`);
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const query = {
      response_type: 'code',
      client_id: clients.login.id,
      redirect_uri: to,
      scope: 'openid',
      state: 'some-state',
      nonce: 'some-nonce',
      code_challenge: challenge,
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }
  const exchange = (code: string, verifier: string) =>
    ask(`${keycloak.issuer}/protocol/openid-connect/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${btoa(`${clients.login.id}:${clients.login.secret}`)}`,
      },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirect,
        code_verifier: verifier,
      }).toString(),
    });

  test('code flow with PKCE: a paying member gets an id_token with their group', async () => {
    const verifier = randomBytes(32).toString('base64url');
    const { back } = await fillLogin(authorization(verifier), 'paying', passwordOf('paying'));
    expect(back?.searchParams.get('state')).toBe('some-state');
    expect(back?.searchParams.get('iss')).toBe(keycloak.issuer);
    const answer = await exchange(back!.searchParams.get('code')!, verifier);
    expect(answer.status).toBe(200);
    const payload = answer.json().id_token.split('.')[1];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    expect(claims).toMatchObject({
      iss: keycloak.issuer,
      aud: 'provisioner',
      nonce: 'some-nonce',
      sub: idOf('paying'),
      groups: ['/paying-members'],
    });
  });

  test('a wrong verifier, a wrong password, a closed account and a foreign redirect get nothing', async () => {
    const verifier = randomBytes(32).toString('base64url');
    const login = await fillLogin(authorization(verifier), 'lapsed', passwordOf('lapsed'));
    const stolen = await exchange(login.back!.searchParams.get('code')!, `${verifier}x`);
    expect(stolen.status).toBe(400);
    expect(stolen.json().error).toBe('invalid_grant');

    const wrong = await fillLogin(authorization(verifier), 'paying', 'no');
    expect(wrong.back).toBeUndefined();
    const closed = await fillLogin(authorization(verifier), 'disabled', passwordOf('disabled'));
    expect(closed.text).toContain('Account is disabled');
    const foreign = authorization(verifier, 'http://evil.test/auth/callback');
    expect((await fillLogin(foreign, 'paying', passwordOf('paying'))).status).toBe(400);
  });

  test('the lookup client sees who pays; one without roles is refused; a disabled one stays in the group', async () => {
    const groupsOf = async (client: { id: string; secret: string }, name: string) => {
      const token = await keycloak.clientToken(client);
      return await ask(`${keycloak.url}/admin/realms/hackspace/users/${idOf(name)}/groups`, {
        headers: { authorization: `Bearer ${token}` },
      });
    };
    expect((await groupsOf(clients.lookup, 'paying')).json()).toMatchObject([{
      id: idOf('/paying-members'),
      path: '/paying-members',
    }]);
    expect((await groupsOf(clients.lookup, 'disabled')).json()).toHaveLength(1);
    expect((await groupsOf(clients.roleless, 'paying')).status).toBe(403);

    await keycloak.leaveGroup('paying', 'paying-members');
    expect((await groupsOf(clients.lookup, 'paying')).json()).toEqual([]);
    await keycloak.joinGroup('paying', 'paying-members');
    await keycloak.changePerson('paying', { enabled: false });
    const closed = await fillLogin(authorization('v'.repeat(43)), 'paying', passwordOf('paying'));
    expect(closed.text).toContain('Account is disabled');
    await keycloak.changePerson('paying', { enabled: true });
  });
});
