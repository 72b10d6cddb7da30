// Shared by the tests of this service; nothing in production imports it.
import { type Policy, policySchema } from './policy.ts';
import { newRecord, type Subject, type TenantRecord } from './record.ts';
import { parseTenant, type TenantInput } from './tenant.ts';

export const NOW = Date.parse('2026-11-23T12:00:00Z');
export const DAY = 86_400_000;
export const OWNER: Subject = {
  iss: 'https://login.hackspace.example/realms/hackspace',
  sub: '11111111-1111-4111-8111-111111111111',
};

export function examplePolicy(over: Record<string, unknown> = {}): Policy {
  return policySchema.parse({
    plans: {
      small: {
        title: 'Small: a calendar and a web page',
        requestsCpu: '500m',
        requestsMemory: '1Gi',
        limitsCpu: '2',
        limitsMemory: '2Gi',
        storage: '10Gi',
        pods: 10,
      },
      large: {
        title: 'Large: ask an administrator first',
        requestsCpu: '2',
        requestsMemory: '4Gi',
        limitsCpu: '4',
        limitsMemory: '8Gi',
        storage: '50Gi',
        pods: 30,
      },
    },
    defaultPlan: 'small',
    repositories: ['https://git.hackspace.example', 'https://codeberg.org'],
    vault: { server: 'https://bao.core.hackspace.example:8200' },
    users: { prefix: 'oidc:' },
    network: { ingressFrom: ['traefik'] },
    ...over,
  });
}

export function exampleInput(over: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'garden',
    repository: { url: 'https://codeberg.org/member/garden' },
    ...over,
  };
}

export function exampleTenant(over: Record<string, unknown> = {}): TenantInput {
  return parseTenant(exampleInput(over), examplePolicy());
}

export function exampleRecord(over: Partial<TenantRecord> = {}): TenantRecord {
  return { ...newRecord(exampleTenant(), OWNER, NOW), ...over };
}
