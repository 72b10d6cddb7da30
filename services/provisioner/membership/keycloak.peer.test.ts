import { Secret } from '@hackspace/kit/secret.ts';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clients, type Keycloak, startKeycloak } from '../../../tests/peers/keycloak.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { keycloak, type KeycloakOptions } from './keycloak.ts';

needs('keycloak')('membership by a real Keycloak', () => {
  let server: Keycloak;
  let group: string;
  const ids: Record<string, string> = {};
  beforeAll(async () => {
    server = await startKeycloak();
    for (const user of (await server.admin('/users?max=100')).json()) ids[user.username] = user.id;
    group = (await server.admin('/group-by-path/paying-members')).json().id;
  }, 240_000);
  afterAll(() => server?.stop());

  const options = (over: Partial<KeycloakOptions> = {}): KeycloakOptions => ({
    url: server.url,
    realm: server.realm,
    clientId: clients.lookup.id,
    clientSecret: new Secret(clients.lookup.secret),
    paying: { groupId: group },
    knownMember: ids.admin!,
    ...over,
  });
  const who = (sub: string) => ({ iss: server.issuer, sub });

  test('yes, no, disabled, unknown id, another issuer', async () => {
    for (const paying of [{ groupId: group }, { groupPath: '/paying-members' }]) {
      const members = keycloak(options({ paying }));
      expect(await members.check(who(ids.paying!))).toBe('yes');
      expect(await members.check(who(ids.lapsed!))).toBe('no');
      expect(await members.check(who(ids.disabled!))).toBe('no');
      expect(await members.check(who('00000000-0000-4000-8000-000000000000'))).toBe('no');
      expect(await members.check(who('../users/x'))).toBe('no');
      expect(await members.check({ iss: 'https://other.example', sub: ids.paying! })).toBe(
        'unknown',
      );
      const all = [ids.paying!, ids.lapsed!, ids.disabled!, ids.admin!].map(who);
      expect(await members.checkAll(all)).toEqual(['yes', 'no', 'no', 'yes']);
    }
  });

  test('a group whose name contains the name is not the group', async () => {
    await server.joinGroup('lapsed', 'not-paying-members');
    const members = keycloak(options({ paying: { groupPath: '/paying-members' } }));
    expect(await members.check(who(ids.lapsed!))).toBe('no');
    await server.leaveGroup('lapsed', 'not-paying-members');
  });

  test('the self-test refuses: wrong group, roleless client, wrong secret, wrong realm', async () => {
    await expect(keycloak(options()).selfTest()).resolves.toBeUndefined();
    const wrong: [Partial<KeycloakOptions>, RegExp][] = [
      [{ paying: { groupPath: '/nobody' } }, /the known member is none/],
      [{ knownMember: ids.lapsed! }, /the known member is none/],
      [
        { clientId: clients.roleless.id, clientSecret: new Secret(clients.roleless.secret) },
        /Cannot check/,
      ],
      [{ clientSecret: new Secret('wrong') }, /Cannot check/],
      [{ realm: 'nothing', issuer: server.issuer }, /Cannot check/],
    ];
    for (const [over, message] of wrong) {
      const members = keycloak(options(over));
      await expect(members.selfTest(), JSON.stringify(over)).rejects.toThrow(message);
      // and nobody is judged by such answers
      expect(await members.checkAll([who(ids.paying!), who(ids.lapsed!)])).toEqual([
        'unknown',
        'unknown',
      ]);
    }
    const blind = keycloak(options({ clientSecret: new Secret('wrong') }));
    expect(await blind.check(who(ids.lapsed!))).toBe('unknown');
  });

  test('an emptied group is an accident, not everybody lapsing', async () => {
    await server.leaveGroup('paying', 'paying-members');
    await server.leaveGroup('admin', 'paying-members');
    expect(await keycloak(options()).checkAll([who(ids.paying!), who(ids.admin!)]))
      .toEqual(['unknown', 'unknown']);
    await server.joinGroup('admin', 'paying-members');
    expect(await keycloak(options()).checkAll([who(ids.paying!), who(ids.admin!)]))
      .toEqual(['no', 'yes']);
    await server.joinGroup('paying', 'paying-members');
  });

  test('tokens that end quickly are renewed, once for many callers', async () => {
    await server.changeClient(clients.lookup.id, { attributes: { 'access.token.lifespan': '3' } });
    const front = await proxy(server.url);
    try {
      const members = keycloak(options({ url: front.url, issuer: server.issuer }));
      const twenty = () =>
        Promise.all(Array.from({ length: 20 }, () => members.check(who(ids.paying!))));
      expect(new Set(await twenty())).toEqual(new Set(['yes']));
      expect(front.count('/token')).toBe(1);
      await new Promise((done) => setTimeout(done, 3500));
      expect(new Set(await twenty())).toEqual(new Set(['yes']));
      expect(front.count('/token')).toBe(2);
    } finally {
      front.close();
      await server.changeClient(clients.lookup.id, { attributes: { 'access.token.lifespan': '' } });
    }
  });

  test('500, slow, garbage, too large, and down midway: unknown each time', async () => {
    const front = await proxy(server.url);
    const members = keycloak(options({ url: front.url, issuer: server.issuer, timeoutMs: 500 }));
    expect(await members.check(who(ids.paying!))).toBe('yes');
    for (const mode of ['500', 'slow', 'garbage', 'large', '401', 'empty'] as const) {
      front.mode = mode;
      expect(await members.check(who(ids.paying!)), mode).toBe('unknown');
      expect(await members.checkAll([who(ids.paying!)]), mode).toEqual(['unknown']);
    }
    front.mode = 'dies';
    expect(await members.checkAll([who(ids.paying!), who(ids.lapsed!)])).toEqual([
      'unknown',
      'unknown',
    ]);
    front.mode = 'pass';
    expect(await members.check(who(ids.paying!))).toBe('yes');
    front.close();
    expect(await members.check(who(ids.paying!))).toBe('unknown');
  });

  test('a listing costs calls by the page, not by the member', async () => {
    const made = await Promise.all(
      Array.from({ length: 45 }, (_, i) =>
        server.admin('/users', {
          method: 'POST',
          body: { username: `many-${i}`, enabled: true, groups: ['paying-members'] },
        })),
    );
    expect(made.every((answer) => answer.status === 201)).toBe(true);
    const listed = (await server.admin('/users?search=many-&max=100')).json() as { id: string }[];
    const front = await proxy(server.url);
    const members = keycloak(options({ url: front.url, issuer: server.issuer, pageSize: 10 }));
    const answers = await members.checkAll(listed.map(({ id }) => who(id)));
    expect(answers.filter((answer) => answer === 'yes')).toHaveLength(45);
    // five pages and an empty one; the self-test; the token
    expect(front.requests.length).toBeLessThanOrEqual(12);
    front.close();
  });

  test('realm role', async () => {
    await server.admin('/roles', { method: 'POST', body: { name: 'paying' } });
    const role = (await server.admin('/roles/paying')).json();
    for (const name of ['paying', 'admin']) {
      const path = `/users/${ids[name]}/role-mappings/realm`;
      expect((await server.admin(path, { method: 'POST', body: [role] })).status).toBe(204);
    }
    const members = keycloak(options({ paying: { role: 'paying' } }));
    await members.selfTest();
    expect(await members.checkAll([ids.paying!, ids.lapsed!].map(who))).toEqual(['yes', 'no']);
  });

  test('attribute: yes, no, disabled, unknown id, absent, several values; by pages as one by one', async () => {
    const profile = (await server.admin('/users/profile')).json();
    profile.attributes.push({
      name: 'membership',
      displayName: 'Membership',
      multivalued: true,
      // Whoever could edit it would admit themselves.
      permissions: { view: ['admin'], edit: ['admin'] },
    });
    const put = await server.admin('/users/profile', { method: 'PUT', body: profile });
    expect(put.status).toBe(200);
    const set = (name: string, ...membership: string[]) =>
      server.changePerson(name, { attributes: membership.length > 0 ? { membership } : {} });
    await set('admin', 'paid');
    await set('paying', 'supporter', 'paid');
    await set('disabled', 'paid');
    await set('lapsed', 'unpaid', 'paid-2024', 'Paid');
    const front = await proxy(server.url);
    const paying = { attribute: 'membership', value: 'paid' };
    const members = keycloak(options({ paying, url: front.url, issuer: server.issuer }));
    await members.selfTest();
    const nobody = '00000000-0000-4000-8000-000000000000';
    const asked = [ids.admin!, ids.paying!, ids.disabled!, ids.lapsed!, nobody].map(who);
    const want = ['yes', 'yes', 'no', 'no', 'no'];
    const one = async () => await Promise.all(asked.map((subject) => members.check(subject)));
    expect(await one()).toEqual(want);
    expect(await members.checkAll(asked)).toEqual(want);
    await set('lapsed');
    expect(await one()).toEqual(want);
    await set('lapsed', 'paid');
    await set('paying', 'supporter');
    expect(await members.checkAll(asked)).toEqual(['yes', 'no', 'no', 'yes', 'no']);
    expect((await one()).join()).toBe('yes,no,no,yes,no');

    // The known member without it: nobody's answer counts.
    await set('admin');
    expect(new Set(await members.checkAll(asked))).toEqual(new Set(['unknown']));
    await set('admin', 'paid');
    for (let i = 0; i < 45; i++) {
      const person = {
        username: `attribute-${i}`,
        enabled: true,
        attributes: { membership: ['paid'] },
      };
      expect((await server.admin('/users', { method: 'POST', body: person })).status).toBe(201);
    }
    const many = (await server.admin('/users?search=attribute-&max=100')).json() as {
      id: string;
    }[];
    const before = front.requests.length;
    const ten = keycloak(options({ paying, url: front.url, issuer: server.issuer, pageSize: 10 }));
    const answers = await ten.checkAll(many.map(({ id }) => who(id)));
    expect(answers).toEqual(Array(45).fill('yes'));
    // five pages and an empty one; the self-test; the token
    expect(front.requests.length - before).toBeLessThanOrEqual(10);
    // A value that a search would need quotes for is asked for one by one.
    await set('paying', 'paid: in full');
    const quoted = { attribute: 'membership', value: 'paid: in full' };
    const single = keycloak(options({ paying: quoted, knownMember: ids.paying! }));
    expect(await single.checkAll(asked)).toEqual(['no', 'yes', 'no', 'no', 'no']);
    front.close();
  });

  test('the address of a member, for letters', async () => {
    expect(await keycloak(options()).addressOf(who(ids.paying!))).toMatch(/@/);
  });
});

type Mode = 'pass' | '500' | 'slow' | 'garbage' | 'large' | '401' | 'empty' | 'dies';

/** Stands before the real server, counts, and spoils answers of the admin API on demand. */
async function proxy(target: string) {
  const requests: string[] = [];
  const state: { mode: Mode } = { mode: 'pass' };
  let admin = 0;
  const server: Server = createServer(async (request, response) => {
    requests.push(request.url!);
    const body: Buffer[] = [];
    for await (const part of request) body.push(part as Buffer);
    const { mode } = state;
    const spoil = request.url!.startsWith('/admin/');
    if (spoil && mode === 'dies' && ++admin > 2) return void request.socket.destroy();
    if (spoil && mode === '500') {
      return void response.writeHead(500).end('{"error":"unknown_error"}');
    }
    if (spoil && mode === '401') return void response.writeHead(401).end('{"error":"HTTP 401"}');
    if (spoil && mode === 'garbage') {
      return void response.writeHead(200).end('<html>maintenance</html>');
    }
    if (spoil && mode === 'empty') return void response.writeHead(200).end('[]');
    if (spoil && mode === 'large') {
      response.writeHead(200);
      for (let i = 0; i < 100 && !response.destroyed; i++) {
        response.write(Buffer.alloc(100_000, 32));
      }
      return void response.end('{}');
    }
    if (spoil && mode === 'slow') return;
    const headers: Record<string, string> = { host: new URL(target).host };
    for (const name of ['authorization', 'content-type']) {
      if (request.headers[name]) headers[name] = request.headers[name] as string;
    }
    const answer = await fetch(target + request.url, {
      method: request.method!,
      headers,
      ...(body.length > 0 ? { body: Buffer.concat(body) } : {}),
    });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    count: (end: string) => requests.filter((path) => path.endsWith(end)).length,
    set mode(mode: Mode) {
      state.mode = mode;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
