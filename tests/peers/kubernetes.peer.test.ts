import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Kubernetes, startControlPlane, startKubernetes } from './kubernetes.ts';
import { ask } from './lib/http.ts';
import { needs } from './lib/needs.ts';
import { waitFor } from './lib/wait.ts';

/** TokenReview as the admin: does the API vouch for this token? */
async function review(cluster: Kubernetes, token: string, audiences?: string[]) {
  const spec = { token, ...(audiences ? { audiences } : {}) };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec };
  const path = '/apis/authentication.k8s.io/v1/tokenreviews';
  return (await cluster.call(path, { method: 'POST', body })).status;
}

needs('kubernetes')('Kubernetes, whichever there is', () => {
  let cluster: Kubernetes;
  beforeAll(async () => {
    cluster = await startKubernetes();
    process.stderr.write(`[peers] kubernetes: ${cluster.what}\n`);
  });
  afterAll(async () => await cluster?.stop());

  test('TokenReview vouches for a token and its audience, not for another or a forged one', async () => {
    await using ns = await cluster.createNamespace('review');
    const token = await cluster.createToken(ns.name, 'default', { audiences: ['openbao'] });
    const good = await review(cluster, token, ['openbao']);
    expect(good.authenticated).toBe(true);
    expect(good.user.username).toBe(`system:serviceaccount:${ns.name}:default`);
    expect((await review(cluster, token, ['another'])).authenticated).not.toBe(true);

    const [head, body, signature] = token.split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    claims.sub = 'system:serviceaccount:kube-system:admin';
    const forged = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature];
    expect((await review(cluster, forged.join('.'), ['openbao'])).authenticated).not.toBe(true);
  });

  test('RBAC binds: a ServiceAccount reads what its role says and nothing else', async () => {
    await using ns = await cluster.createNamespace('rbac');
    await cluster.kubectl([
      '-n',
      ns.name,
      'create',
      'role',
      'r',
      '--verb=list',
      '--resource=configmaps',
    ]);
    const subject = `--serviceaccount=${ns.name}:default`;
    await cluster.kubectl(['-n', ns.name, 'create', 'rolebinding', 'r', '--role=r', subject]);
    const token = await cluster.createToken(ns.name, 'default');
    const status = async (path: string) => (await cluster.ask(path, { token })).status;
    expect(await status(`/api/v1/namespaces/${ns.name}/configmaps`)).toBe(200);
    expect(await status(`/api/v1/namespaces/${ns.name}/secrets`)).toBe(403);
    expect(await status('/api/v1/namespaces/default/configmaps')).toBe(403);
  });

  test('a field that no schema knows is refused by a server-side dry run', async () => {
    const yaml = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: typo, namespace: default}
spec:
  replcias: 1
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: none}]}}
`;
    const create = cluster.kubectl(
      ['create', '--dry-run=server', '--validate=strict', '-f', '-'],
      { stdin: yaml },
    );
    await expect(create).rejects.toThrow(/unknown field "spec.replcias"/);
  });
});

needs('control-plane')('the built control plane', () => {
  test('as the cluster of KUBECONFIG it goes before all others, and is left running', async () => {
    await using own = await startControlPlane();
    const before = process.env.KUBECONFIG;
    process.env.KUBECONFIG = own.kubeconfig;
    try {
      const given = await startKubernetes();
      expect(given.source).toBe('given');
      expect(given.server).toBe(own.server);
      const token = await given.createToken('default', 'default', { audiences: ['openbao'] });
      expect((await review(own, token, ['openbao'])).authenticated).toBe(true);
      await given.stop();
      expect((await own.ask('/readyz')).status).toBe(200);
    } finally {
      if (before === undefined) delete process.env.KUBECONFIG;
      else process.env.KUBECONFIG = before;
    }
  });

  test('two at once: issuer, anonymous discovery and token key are each their own', async () => {
    const issuer = 'https://upstream.test';
    const [a, b] = await Promise.all([
      startControlPlane({ issuer, anonymous: true }),
      startControlPlane(),
    ]);
    await using _a = a, _b = b;
    const token = await a.createToken('default', 'default', { audiences: ['openbao'] });
    expect(JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).iss).toBe(issuer);
    expect((await review(a, token, ['openbao'])).authenticated).toBe(true);
    expect((await review(b, token, ['openbao'])).authenticated).not.toBe(true);

    const grant = ['create', 'clusterrolebinding', 'discovery', '--group=system:unauthenticated'];
    const role = '--clusterrole=system:service-account-issuer-discovery';
    await Promise.all([a, b].map((each) => each.kubectl([...grant, role])));
    const nobody = async ({ server, ca }: Kubernetes, path: string) =>
      (await ask(server + path, { ca })).status;
    const discovery = '/.well-known/openid-configuration';
    await waitFor('anonymous discovery', async () => await nobody(a, discovery) === 200);
    expect(await nobody(b, discovery)).toBe(401);
    expect(await nobody(a, '/api/v1/secrets')).toBe(403);

    const [before] = (await a.jwks()).keys;
    await a.rotateTokenKey();
    const [after] = (await a.jwks()).keys;
    expect(after!.kid).not.toBe(before!.kid);
    expect((await review(a, token, ['openbao'])).authenticated).not.toBe(true);
  });
});
