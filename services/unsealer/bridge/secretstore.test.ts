import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { bridgeSchema } from './config.ts';
import { examineStore } from './secretstore.ts';

const bridge = bridgeSchema.parse({
  upstream: { url: 'https://bao:8200', caFile: 'a', tokenFile: 'b' },
  downstream: { url: 'https://down:6443', caFile: 'c', tokenFile: 'd' },
  jwt: { mount: 'jwt-down', role: 'eso', issuer: 'https://x.example', audience: 'openbao' },
  client: { namespace: 'external-secrets', name: 'eso' },
});
const GOOD = `
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: vault}
spec:
  provider:
    vault:
      server: https://bao:8200
      auth:
        jwt:
          path: jwt-down
          role: eso
          kubernetesServiceAccountToken:
            serviceAccountRef: {name: eso, namespace: external-secrets, audiences: [openbao]}
`;
const failures = (text: string) =>
  examineStore('b', bridge, parse(text)).filter((f) => !f.ok).map((f) => f.failure ?? f.name);

test('a store that fits', () => expect(failures(GOOD)).toEqual([]));

test.each([
  ['14: no namespace in a cluster-wide store', ', namespace: external-secrets', '', [14]],
  ['6: no audience, so vault is asked for', ', audiences: [openbao]', '', [6]],
  ['6: another audience', '[openbao]', '[vault]', [6]],
  ['10: another mount', 'path: jwt-down', 'path: jwt', [10]],
  ['10: another role', 'role: eso', 'role: admin', [10]],
  ['10: another account', 'name: eso,', 'name: default,', [10]],
  ['no SecretStore at all', 'kind: ClusterSecretStore', 'kind: Pod', ['not-a-secretstore']],
  ['a method the bridge lacks', 'jwt:\n', 'appRole:\n', ['other-auth-method']],
])('%s', (_name, from, to, want) => {
  expect(failures(GOOD.replace(from, to))).toEqual(want);
});

test('a SecretStore of one namespace needs none in its reference', () => {
  const text = GOOD.replace('ClusterSecretStore', 'SecretStore')
    .replace(', namespace: external-secrets', '');
  expect(failures(text)).toEqual([]);
});
