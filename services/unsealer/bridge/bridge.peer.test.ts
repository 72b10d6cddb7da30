import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { setupLogging } from '@hackspace/kit/log.ts';
import { openDirectory, type State } from '@hackspace/kit/state.ts';
import { type ControlPlane, startControlPlane } from '../../../tests/peers/kubernetes.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { type OpenBao, startOpenBao } from '../../../tests/peers/openbao.ts';
import { createAuthority } from '../../../tests/peers/lib/tls.ts';
import { startAhead } from './ahead.ts';
import { type Ends, openEnds, requestToken } from './api.ts';
import { bridgeSchema } from './config.ts';
import { examine } from './doctor.ts';
import { syncKeys } from './jwks.ts';
import { renewReviewer } from './reviewer.ts';

const lines: string[] = [];
setupLogging({ service: 'unsealer', level: 'debug', write: (line) => lines.push(line) });

needs('openbao', 'control-plane')('the bridge between a real API server and a real OpenBao', () => {
  let bao: OpenBao;
  let kube: ControlPlane;
  let state: State;
  let ends: Ends;
  const folder = mkdtempSync(join(tmpdir(), 'bridge-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };

  const write = (path: string, body: object) => bao.call(`/v1/${path}`, { method: 'POST', body });
  const jwtRole = (over: object = {}) =>
    write('auth/jwt-down/role/eso', {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_subject: 'system:serviceaccount:external-secrets:eso',
      bound_audiences: ['openbao'],
      token_policies: ['eso'],
      token_ttl: '15m',
      ...over,
    });
  const kubeRole = (over: object = {}) =>
    write('auth/k8s-down/role/eso', {
      bound_service_account_names: ['eso'],
      bound_service_account_namespaces: ['external-secrets'],
      audience: 'openbao',
      token_policies: ['eso'],
      token_ttl: '15m',
      ...over,
    });
  const bindReviewer = () =>
    kube.apply(
      `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: reviewer},
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator},
subjects: [{kind: ServiceAccount, name: reviewer, namespace: openbao-bridge}]}`,
    );

  const raw = (over: object = {}) => ({
    upstream: {
      url: bao.url,
      caFile: bao.caFile!,
      san: 'bao-0.test',
      tokenFile: join(folder, 'root'),
    },
    downstream: {
      url: kube.server,
      caFile: join(folder, 'down.crt'),
      certFile: join(folder, 'admin.crt'),
      keyFile: join(folder, 'admin.key'),
    },
    jwt: { mount: 'jwt-down', role: 'eso', issuer: kube.issuer, audience: 'openbao' },
    kubernetes: {
      mount: 'k8s-down',
      role: 'eso',
      audience: 'openbao',
      reviewer: { namespace: 'openbao-bridge', name: 'reviewer', ttl: '1h' },
    },
    client: { namespace: 'external-secrets', name: 'eso' },
    ...over,
  });
  const open = (over: object = {}) => openEnds('member-prod', bridgeSchema.parse(raw(over)));
  /** Only one of the two mounts. */
  const jwtOnly = () => open({ kubernetes: undefined });
  const kubeOnly = () => open({ jwt: undefined });
  const failures = async (which: Ends = ends) =>
    (await examine(which, state)).filter((f) => !f.ok).map((f) => f.failure ?? f.name);

  beforeAll(async () => {
    [bao, kube] = await Promise.all([startOpenBao(), startControlPlane()]);
    file('root', bao.rootToken);
    file('down.crt', kube.ca);
    file('admin.crt', kube.access.cert!);
    file('admin.key', kube.access.key!);
    for (const name of ['external-secrets', 'openbao-bridge']) {
      await kube.kubectl(['create', 'namespace', name]);
    }
    await kube.kubectl(['-n', 'external-secrets', 'create', 'serviceaccount', 'eso']);
    await kube.kubectl(['-n', 'openbao-bridge', 'create', 'serviceaccount', 'reviewer']);
    await write('sys/auth/jwt-down', { type: 'jwt' });
    await write('sys/auth/k8s-down', { type: 'kubernetes' });
  });
  afterAll(async () => {
    await Promise.all([bao?.stop(), kube?.stop()]);
  });
  beforeEach(async () => {
    state = await openDirectory(mkdtempSync(join(tmpdir(), 'bridge-state-')));
    file('down.crt', kube.ca);
    await bindReviewer();
    // A write of a role keeps what it does not name.
    await bao.call('/v1/auth/jwt-down/role/eso', { method: 'DELETE' });
    await jwtRole();
    await kubeRole();
    ends = await open();
    await syncKeys(ends, state);
    await renewReviewer(ends, state);
  });

  test('a ServiceAccount logs in through both mounts, and the doctor finds nothing', async () => {
    const findings = await examine(ends, state);
    expect(findings.filter((f) => !f.ok)).toEqual([]);
    expect(findings.map((f) => f.name)).toEqual(['keys', 'login', 'reviewer', 'login']);
  });

  test('a second round changes nothing', async () => {
    expect(await syncKeys(ends, state)).toMatchObject({ changed: false, keys: 1, old: 0 });
    expect(await renewReviewer(ends, state)).toMatchObject({ renewed: false });
  });

  test('the reviewer is renewed past half of its life, and after someone cleared it', async () => {
    const later = Date.now() + 31 * 60_000;
    expect(await renewReviewer(ends, state, later)).toMatchObject({ renewed: true });
    // What a hand-written partial write does.
    await write('auth/k8s-down/config', {
      kubernetes_host: kube.server,
      kubernetes_ca_cert: kube.ca,
    });
    expect((await bao.call('/v1/auth/k8s-down/config')).data.token_reviewer_jwt_set).toBe(false);
    expect(await renewReviewer(ends, state)).toMatchObject({ renewed: true });
    expect((await bao.call('/v1/auth/k8s-down/config')).data).toMatchObject({
      token_reviewer_jwt_set: true,
      disable_local_ca_jwt: true,
    });
    expect(await failures()).toEqual([]);
  });

  test('1: a bare 403 of a bound CIDR', async () => {
    await jwtRole({ token_bound_cidrs: ['10.9.9.9/32'] });
    expect(await failures(await jwtOnly())).toEqual([1]);
  });

  test('2: the stored reviewer is refused though a fresh one is not', async () => {
    const config = {
      kubernetes_host: kube.server,
      kubernetes_ca_cert: kube.ca,
      disable_local_ca_jwt: true,
    };
    // A token for another audience: the API answers it with 401.
    const token_reviewer_jwt = await kube.createToken('openbao-bridge', 'reviewer', {
      audiences: ['elsewhere'],
    });
    await write('auth/k8s-down/config', { ...config, token_reviewer_jwt });
    expect(await failures(await kubeOnly())).toEqual([2]);
  });

  test('3: the reviewer expired; its account is deleted', async () => {
    const gone = JSON.stringify({
      issued: Date.now() - 7_200_000,
      expires: Date.now() - 3_600_000,
    });
    await state.set('bridges/member-prod/reviewer', gone);
    expect(await failures(await kubeOnly())).toEqual([3]);
    await kube.kubectl(['-n', 'openbao-bridge', 'delete', 'serviceaccount', 'reviewer']);
    try {
      expect(await failures(await kubeOnly())).toContain(3);
    } finally {
      await kube.kubectl(['-n', 'openbao-bridge', 'create', 'serviceaccount', 'reviewer']);
    }
  });

  test('4: the reviewer lacks auth-delegator, and is then not written either', async () => {
    await kube.kubectl(['delete', 'clusterrolebinding', 'reviewer']);
    expect(await failures(await kubeOnly())).toContain(4);
    const later = Date.now() + 31 * 60_000;
    await expect(renewReviewer(ends, state, later)).rejects.toThrow('may not review tokens');
  });

  test('5: the client as its own reviewer lacks the API audience', async () => {
    const config = {
      kubernetes_host: kube.server,
      kubernetes_ca_cert: kube.ca,
      disable_local_ca_jwt: true,
    };
    await write('auth/k8s-down/config', config);
    expect(await failures(await kubeOnly())).toContain(5);
  });

  test('6: the role binds another audience', async () => {
    await jwtRole({ bound_audiences: ['vault'] });
    expect(await failures(await jwtOnly())).toEqual([6]);
    await kubeRole({ audience: 'vault' });
    expect(await failures(await kubeOnly())).toEqual([6]);
  });

  test('7: audiences typed for bound_audiences', async () => {
    await jwtRole({ bound_audiences: [], audiences: ['openbao'] });
    expect(await failures(await jwtOnly())).toEqual([7]);
  });

  test('8: another issuer', async () => {
    const { jwt_validation_pubkeys } = (await bao.call('/v1/auth/jwt-down/config')).data;
    await write('auth/jwt-down/config', {
      jwt_validation_pubkeys,
      bound_issuer: 'https://other.example',
    });
    expect(await failures(await jwtOnly())).toEqual([8]);
  });

  test('9: another CA in the mount; the API unreachable; our own CA wrong', async () => {
    const other = await createAuthority(join(folder, 'other'), 'other');
    const token_reviewer_jwt = await kube.createToken('openbao-bridge', 'reviewer');
    const base = { token_reviewer_jwt, disable_local_ca_jwt: true };
    await write('auth/k8s-down/config', {
      ...base,
      kubernetes_host: kube.server,
      kubernetes_ca_cert: other.cert,
    });
    expect(await failures(await kubeOnly())).toContain(9);
    await write('auth/k8s-down/config', {
      ...base,
      kubernetes_host: 'https://127.0.0.1:1',
      kubernetes_ca_cert: kube.ca,
    });
    expect(await failures(await kubeOnly())).toContain(9);
    file('down.crt', other.cert);
    expect(await failures(await open())).toEqual([9]);
  });

  test('10: the client is not bound; the role or the account is missing', async () => {
    await jwtRole({ bound_subject: 'system:serviceaccount:x:y' });
    expect(await failures(await jwtOnly())).toEqual([10]);
    await kubeRole({ bound_service_account_namespaces: ['x'] });
    expect(await failures(await kubeOnly())).toEqual([10]);
    const jwt = { ...raw().jwt, role: 'nope' };
    expect(await failures(await open({ jwt, kubernetes: undefined }))).toEqual([10]);
    const client = { namespace: 'external-secrets', name: 'nobody' };
    expect(await failures(await open({ client, kubernetes: undefined }))).toContain(10);
  });

  test('11: the upstream CA in the mount; a token of another cluster for the downstream', async () => {
    const token_reviewer_jwt = await kube.createToken('openbao-bridge', 'reviewer');
    const base = { kubernetes_host: kube.server, token_reviewer_jwt, disable_local_ca_jwt: true };
    await write('auth/k8s-down/config', { ...base, kubernetes_ca_cert: bao.ca });
    expect(await failures(await kubeOnly())).toContain(11);
    const downstream = {
      url: kube.server,
      caFile: join(folder, 'down.crt'),
      tokenFile: file('foreign', 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA'),
    };
    expect(await failures(await open({ downstream }))).toEqual([11]);
  });

  test('13: a role of type oidc', async () => {
    await write('auth/jwt-down/role/eso', {
      role_type: 'oidc',
      user_claim: 'sub',
      allowed_redirect_uris: ['https://x.example/cb'],
      bound_audiences: ['openbao'],
    });
    expect(await failures(await jwtOnly())).toContain(13);
  });

  test('13: the downstream is ten minutes ahead; ten seconds are forgiven', async () => {
    const authority = await createAuthority(join(folder, 'ahead'), 'ahead');
    const certificate = await authority.issue('api', {
      subject: '/CN=api',
      sans: ['IP:127.0.0.1'],
    });
    const through = async (seconds: number) => {
      await using ahead = await startAhead(kube, seconds, certificate);
      const downstream = { ...raw().downstream, url: ahead.url, caFile: authority.certFile };
      const skewed = await open({ downstream, kubernetes: undefined });
      const { token } = await requestToken(skewed.downstream, skewed.config.client, {
        audiences: ['openbao'],
        seconds: 600,
      });
      const body = { role: 'eso', jwt: token };
      const login = await bao.node.ask('/v1/auth/jwt-down/login', { method: 'POST', body });
      return { login, found: (await examine(skewed, state)).filter((finding) => !finding.ok) };
    };
    const wrong = await through(600);
    expect(wrong.login.status).toBe(400);
    expect(wrong.login.text).toMatch(/not before|nbf|issued at/);
    expect(wrong.found).toMatchObject([{ failure: 13, mend: 'timedatectl set-ntp true' }]);
    expect(wrong.found[0]!.text).toMatch(/^OpenBao's clock is -(59|60)\d s off the downstream's/);
    const near = await through(10);
    expect(near.login.status).toBe(200);
    expect(near.found).toEqual([]);
  });

  test('15: a role without audience', async () => {
    await kubeRole({ audience: '' });
    expect(await failures(await kubeOnly())).toContain(15);
  });

  test('12, and survived: the API server rotates its key; old tokens work through the overlap', async () => {
    const old = await kube.createToken('external-secrets', 'eso', { audiences: ['openbao'] });
    await kube.rotateTokenKey();
    expect(await failures(await jwtOnly())).toEqual([12]);
    expect(await syncKeys(ends, state)).toMatchObject({ changed: true, keys: 2, old: 1 });
    expect(await failures(await jwtOnly())).toEqual([]);
    const login = await bao.node.ask('/v1/auth/jwt-down/login', {
      method: 'POST',
      body: { role: 'eso', jwt: old },
    });
    expect(login.status).toBe(200);
    const later = Date.now() + 26 * 3_600_000;
    expect(await syncKeys(ends, state, later)).toMatchObject({ changed: true, keys: 1, old: 0 });
    // The reviewer was signed by the old key.
    expect(await failures(await kubeOnly())).toEqual([2]);
    await state.delete('bridges/member-prod/reviewer');
    expect(await renewReviewer(ends, state)).toMatchObject({ renewed: true });
    expect(await failures(await kubeOnly())).toEqual([]);
  });

  test('no finding and no log holds a token', async () => {
    const text = JSON.stringify(await examine(ends, state)) + lines.join('\n');
    expect(text).not.toMatch(/eyJ[\w-]{10,}\.[\w-]+\./);
    expect(text).not.toContain(bao.rootToken);
  });
});
