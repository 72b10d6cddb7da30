import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kubernetes, startKubernetes } from '../peers/kubernetes.ts';
import { needs } from '../peers/lib/needs.ts';
import { type OpenBao, startOpenBao } from '../peers/openbao.ts';
import { letTenantsIn } from './tenant-vault.ts';

needs('openbao', 'kubernetes')(
  'one policy for all tenants, real tokens against a real vault',
  () => {
    let bao: OpenBao;
    let cluster: Kubernetes;
    const root = async (method: string, path: string, body?: unknown) => {
      const answer = await bao.nodes[0]!.ask(path, { method, body, token: true });
      if (answer.status >= 300) throw new Error(`Cannot ${method} ${path}: ${answer.text}`);
      return answer.text ? answer.json() : {};
    };

    beforeAll(async () => {
      [bao, cluster] = await Promise.all([startOpenBao(), startKubernetes()]);
      const { keys } = await cluster.jwks();
      const pems = keys.map((jwk) =>
        createPublicKey({ key: jwk as never, format: 'jwk' }).export({
          type: 'spki',
          format: 'pem',
        })
      );
      const issuer = (await cluster.call('/.well-known/openid-configuration')).issuer;
      await letTenantsIn(bao);
      await root('POST', '/v1/auth/jwt-member-prod/config', {
        jwt_validation_pubkeys: pems,
        bound_issuer: issuer,
      });
      for (const name of ['ada', 'mallory']) {
        const namespace = `tenant-${name}`;
        await cluster.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${namespace}}}`);
        for (const account of ['tenant', 'other']) {
          await cluster.apply(
            `{apiVersion: v1, kind: ServiceAccount, metadata: {name: ${account}, namespace: ${namespace}}}`,
          );
        }
        await root('POST', `/v1/secret/data/tenants/${namespace}/calendar`, { data: { of: name } });
      }
      await cluster.apply('{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}');
      await cluster.apply(
        '{apiVersion: v1, kind: ServiceAccount, metadata: {name: tenants-receiver, namespace: flux-system}}',
      );
      for (const key of ['root', 'tenants-receiver']) {
        await root('POST', `/v1/secret/data/house/${key}`, { data: { of: 'the house' } });
      }
    });
    afterAll(async () => {
      await Promise.all([bao?.stop(), cluster?.stop()]);
    });

    const login = async (
      namespace: string,
      account: string,
      audience = 'openbao',
      role = 'tenant',
    ) => {
      const jwt = await cluster.createToken(namespace, account, { audiences: [audience] });
      return await bao.nodes[0]!.ask('/v1/auth/jwt-member-prod/login', {
        method: 'POST',
        body: { role, jwt },
      });
    };
    const read = async (token: string, path: string) =>
      (await bao.nodes[0]!.ask(`/v1/secret/data/${path}`, { token })).status;

    test('each tenant reads below its own namespace, and nothing else', async () => {
      for (
        const [me, neighbour] of [['tenant-ada', 'tenant-mallory'], [
          'tenant-mallory',
          'tenant-ada',
        ]]
      ) {
        const { auth } = (await login(me!, 'tenant')).json();
        expect(auth.metadata.namespace).toBe(me);
        const token = auth.client_token;
        expect(await read(token, `tenants/${me}/calendar`)).toBe(200);
        expect(await read(token, `tenants/${neighbour}/calendar`)).toBe(403);
        expect(await read(token, 'house/root')).toBe(403);
        const write = await bao.nodes[0]!.ask(`/v1/secret/data/tenants/${me}/calendar`, {
          method: 'POST',
          body: { data: {} },
          token,
        });
        expect(write.status).toBe(403);
      }
    });

    test('the Receiver’s account reads the Receiver’s key alone, and no tenant has its role', async () => {
      const as = (namespace: string, account: string, role: string) =>
        login(namespace, account, 'openbao', role);
      const token =
        (await as('flux-system', 'tenants-receiver', 'receiver')).json().auth.client_token;
      expect(await read(token, 'house/tenants-receiver')).toBe(200);
      expect(await read(token, 'house/root')).toBe(403);
      expect(await read(token, 'tenants/tenant-ada/calendar')).toBe(403);
      for (
        const [namespace, account, role] of [
          ['tenant-ada', 'tenant', 'receiver'],
          ['flux-system', 'default', 'receiver'],
          ['flux-system', 'tenants-receiver', 'tenant'],
        ] as const
      ) {
        const refused = await as(namespace, account, role);
        expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('sub')]);
      }
    });

    test('another account of the namespace, another namespace and another audience are not let in', async () => {
      const refused = await login('tenant-mallory', 'other');
      expect(refused.status).toBe(400);
      expect(refused.json().errors[0]).toContain('claim "sub" does not match');
      const outside = await login('default', 'default');
      expect(outside.status).toBe(400);
      const audience = await login('tenant-ada', 'tenant', 'vault');
      expect(audience.text).toContain('invalid audience (aud) claim');
    });
  },
);
