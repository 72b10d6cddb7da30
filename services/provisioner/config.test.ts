import { parseConfig } from '@hackspace/kit/config.ts';
import { AppError } from '@hackspace/kit/errors.ts';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configSchema } from './config.ts';
import { policySchema } from './tenant/policy.ts';

const options = { file: 'README.md', base: '/etc/hackspace', envPrefix: 'PROVISIONER', env: {} };
const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1]!);

test('the README’s config and policy are what the schemas take', () => {
  const config = parseConfig(configSchema, blocks[0]!, options);
  expect(config.membership.kind).toBe('keycloak');
  expect(config.sweep.every).toBe(86_400_000);
  const policy = parseConfig(policySchema, blocks[1]!, options);
  expect(policy.lifecycle.grace).toBe(30 * 86_400_000);
});

function faults(over: Record<string, unknown>): string[] {
  const text = JSON.stringify({
    publicUrl: 'https://hub.example',
    policyFile: 'policy.yaml',
    state: '/s',
    api: { issuer: 'https://login.example', clients: ['cli'] },
    store: { kind: 'bare-git', repositoryDir: 't.git' },
    membership: { kind: 'static', membersFile: 'm.yaml' },
    export: { archiveDir: 'a' },
    ...over,
  });
  try {
    parseConfig(configSchema, text, options);
    return [];
  } catch (error) {
    return (error as AppError).faults!.map((f) => f.path);
  }
}

test('plain http beyond this machine, secrets in URLs and unknown stores are refused', () => {
  expect(faults({})).toEqual([]);
  expect(faults({ publicUrl: 'http://127.0.0.1:8081' })).toEqual([]);
  expect(faults({ publicUrl: 'http://hub.example' })).toEqual(['publicUrl']);
  expect(faults({ publicUrl: 'nonsense', unsealer: { url: 'x' } })).toContain('publicUrl');
  expect(faults({ publicUrl: 'https://a:b@hub.example' })).toEqual(['publicUrl']);
  expect(faults({ api: { issuer: 'http://login.example', clients: ['c'] } })).toEqual([
    'api.issuer',
  ]);
  expect(faults({ api: { issuer: 'https://login.example', clients: [] } })).toEqual([
    'api.clients',
  ]);
  const algorithms = ['HS256', 'none'];
  expect(faults({ api: { issuer: 'https://login.example', clients: ['c'], algorithms } }))
    .toHaveLength(2);
  expect(faults({ store: { kind: 'ftp' } })).toEqual(['store.kind']);
});

test('a policy whose default plan is none, or with a path in an origin, is refused', () => {
  const plan = {
    title: 'x',
    requestsCpu: 1,
    requestsMemory: '1Gi',
    limitsCpu: 1,
    limitsMemory: '1Gi',
    storage: '1Gi',
    pods: 1,
  };
  const base = {
    plans: { small: plan },
    defaultPlan: 'small',
    repositories: ['https://codeberg.org'],
  };
  expect(policySchema.safeParse(base).success).toBe(true);
  for (
    const over of [
      { defaultPlan: 'large' },
      { plans: {} },
      { repositories: [] },
      { repositories: ['https://codeberg.org/'] },
      { repositories: ['codeberg.org'] },
      { plans: { small: { ...plan, limitsCpu: '1; rm' } } },
      { users: { prefix: 'a b' } },
    ]
  ) expect(policySchema.safeParse({ ...base, ...over }).success, JSON.stringify(over)).toBe(false);
});
