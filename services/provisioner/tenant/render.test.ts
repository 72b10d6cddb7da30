import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { exampleInput, examplePolicy, exampleRecord, NOW, OWNER } from './fixtures.ts';
import { LABEL_TENANT, namespaceOf } from './names.ts';
import { newRecord, STATES, type TenantRecord } from './record.ts';
import { isStopped, manifestsOf, render } from './render.ts';
import { parseTenant, type TenantInput } from './tenant.ts';
import { toYaml } from './yaml.ts';

const policy = examplePolicy();
const text = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

const FILES = [
  'gitrepository',
  'kustomization',
  'limitrange',
  'namespace',
  'networkpolicy-allow',
  'networkpolicy-deny',
  'resourcequota',
  'rolebinding',
  'secretstore',
  'serviceaccount',
  'sync',
].map((file) => `tenants/garden/${file}.yaml`).concat('tenants/garden/tenant.json');

function object(record: TenantRecord, file: string) {
  return parse(text(render(record, policy).get(`tenants/${record.name}/${file}`)!));
}

test('the same record gives the same bytes, sorted, one document a file', () => {
  const files = render(exampleRecord(), policy);
  expect([...files.keys()]).toEqual(FILES);
  expect(render(exampleRecord(), examplePolicy())).toEqual(files);
  for (const [path, bytes] of files) {
    if (path.endsWith('.yaml')) expect(parseAllDocuments(text(bytes))).toHaveLength(1);
  }
});

test('a tenant gets the tenant role in its own namespace, and its source as itself', () => {
  const binding = object(exampleRecord(), 'rolebinding.yaml');
  expect(binding.roleRef.name).toBe('hackspace-tenant');
  expect(binding.subjects).toEqual([
    { kind: 'ServiceAccount', name: 'tenant', namespace: 'tenant-garden' },
    { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: `oidc:${OWNER.sub}` },
  ]);
  const sync = object(exampleRecord(), 'sync.yaml');
  expect(sync.spec).toMatchObject({
    prune: true,
    serviceAccountName: 'tenant',
    targetNamespace: 'tenant-garden',
    sourceRef: { kind: 'GitRepository', name: 'tenant' },
  });
  expect(sync.spec.postBuild).toBeUndefined();
  expect(object(exampleRecord(), 'gitrepository.yaml').spec.ignore).toContain('kustomization.yaml');
});

test('a stopped tenant has no replicas, no pods and keeps its volumes', () => {
  for (const record of [exampleRecord({ suspend: true }), exampleRecord({ state: 'suspended' })]) {
    expect(object(record, 'resourcequota.yaml').spec.hard.pods).toBe('0');
    const patches = object(record, 'sync.yaml').spec.patches;
    expect(patches.map((p: { target: { kind: string } }) => p.target.kind)).toContain(
      'StatefulSet',
    );
    expect(JSON.stringify(patches)).not.toMatch(/PersistentVolumeClaim|Secret/);
    expect(object(record, 'sync.yaml').spec.suspend).toBeUndefined();
  }
  expect(object(exampleRecord({ state: 'grace' }), 'sync.yaml').spec.patches).toBeUndefined();
});

test('draining keeps the rights and drops the Kustomization; deleted keeps a tombstone', () => {
  const draining = [...render(exampleRecord({ state: 'draining' }), policy).keys()];
  expect(draining).toEqual(FILES.filter((file) => !file.endsWith('sync.yaml')));
  expect(object(exampleRecord({ state: 'draining' }), 'kustomization.yaml').resources)
    .not.toContain('sync.yaml');
  const deleted = render(exampleRecord({ state: 'deleted' }), policy);
  expect([...deleted.keys()]).toEqual(['tenants/garden/tenant.json']);
});

test('a plan that the policy lost is an error that names it', () => {
  expect(() => render(exampleRecord({ plan: 'gone' }), policy)).toThrow(/plan gone is not in/);
});

const segment = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,10}$/);
const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    'yes',
    'on',
    '1:30',
    '0x1f',
    '0o17',
    '2026-01-01',
    '~',
    'null',
    '${x}',
    '- a',
    'a: b',
  ),
);
/** Mostly what a member would send, now and then anything at all. */
const mostly = <T>(usual: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: anything });
const segments = (min: number, max: number) =>
  fc.array(segment, { minLength: min, maxLength: max }).map((parts) => parts.join('/'));
const input = fc.record({
  name: mostly(fc.stringMatching(/^[a-z][a-z0-9-]{2,44}$/)),
  plan: mostly(fc.constantFrom('small', 'large')),
  repository: fc.record({
    url: mostly(fc.oneof(
      { weight: 5, arbitrary: segments(1, 4).map((path) => `https://codeberg.org/${path}`) },
      { weight: 1, arbitrary: fc.webUrl() },
    )),
    ref: mostly(segments(1, 3)),
    path: mostly(segments(0, 4).map((path) => `./${path}`)),
  }, { requiredKeys: ['url'] }),
  wants: fc.record({ calendar: mostly(fc.boolean()) }),
  suspend: mostly(fc.boolean()),
}, { requiredKeys: ['name', 'repository'] });

const KINDS = [
  'GitRepository',
  'Kustomization',
  'LimitRange',
  'Namespace',
  'NetworkPolicy',
  'ResourceQuota',
  'RoleBinding',
  'SecretStore',
  'ServiceAccount',
];

/** The keys of a value at any depth, arrays folded: its shape without what is in it. */
function shape(value: unknown, at = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => shape(item, `${at}[]`));
  if (typeof value !== 'object' || value === null) return [at];
  return Object.entries(value).flatMap(([key, child]) => shape(child, `${at}/${key}`));
}

test('no input makes a document, a key or a namespace beyond the expected set', () => {
  let accepted = 0;
  const normal = new Set(
    STATES.flatMap((state) =>
      [true, false].flatMap((suspend) =>
        ['main', 'refs/tags/v1'].flatMap((ref) => {
          const record = exampleRecord({ state, suspend });
          record.repository = { ...record.repository, ref };
          return [...manifestsOf(record, policy)].flatMap(([file, m]) => shape(m, file));
        })
      )
    ),
  );
  fc.assert(
    fc.property(input, fc.constantFrom(...STATES), (raw, state) => {
      let tenant: TenantInput;
      try {
        tenant = parseTenant(raw, policy);
      } catch {
        return;
      }
      accepted++;
      const record = { ...newRecord(tenant, OWNER, NOW), state };
      const namespace = namespaceOf(tenant.name);
      for (const [path, bytes] of render(record, policy)) {
        expect(FILES).toContain(path.replace(`tenants/${tenant.name}/`, 'tenants/garden/'));
        if (path.endsWith('.json')) continue;
        const content = text(bytes);
        expect(content).not.toContain('${');
        const documents = ['1.1', '1.2'].map((version) =>
          parseAllDocuments(content, { version: version as '1.1' })
        );
        for (const list of documents) expect(list).toHaveLength(1);
        const [old, now] = documents.map((list) => (list as { toJS(): unknown }[])[0]!.toJS());
        expect(old).toEqual(now);
        const file = path.split('/').at(-1)!;
        if (file === 'kustomization.yaml') continue;
        expect(now).toEqual(manifestsOf(record, policy).get(file));
        for (const key of shape(now, file)) expect(normal).toContain(key);
        const manifest = now as { kind: string; metadata: Record<string, unknown> };
        expect(KINDS).toContain(manifest.kind);
        if (manifest.kind === 'Namespace') expect(manifest.metadata.name).toBe(namespace);
        else expect(manifest.metadata.namespace).toBe(namespace);
        expect(manifest.metadata.labels).toHaveProperty([LABEL_TENANT], tenant.name);
      }
    }),
    { numRuns: 1000 },
  );
  expect(accepted).toBeGreaterThan(20);
}, 60_000);

test('YAML is read alike by parsers of 1.1 and 1.2, whatever the text', () => {
  const words = [
    'yes',
    'No',
    'on',
    'y',
    'N',
    '~',
    'null',
    'Null',
    'true',
    '.inf',
    '.NaN',
    '1e3',
    '0x1',
    '0o7',
    '07',
    '1_000',
    '1:30',
    '2026-01-01',
    '+1',
    '-',
    '...',
    '---',
    '=',
    '<<',
    '',
    ' a',
    'a ',
    'a: b',
    'a #b',
    '#a',
    '&a',
    '*a',
    '!a',
    '|',
    '>',
    '%a',
    '@a',
    '`a',
    '\u2028',
    '\u0085',
    '\ufeff',
    '\ud800',
    '\ud83d\ude00',
    'a\nb',
    '\t',
  ];
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(...words),
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), tie('node'), {
        maxKeys: 3,
        noNullPrototype: true,
      }),
    ),
  })).node;
  fc.assert(
    fc.property(value, (node) => {
      if (JSON.stringify(node).includes('__proto__')) return;
      const yaml = toYaml({ x: node } as never);
      for (const version of ['1.1', '1.2'] as const) {
        const options = { version, merge: false, uniqueKeys: false, strict: false } as const;
        expect(parse(yaml, options)).toEqual({ x: node });
      }
    }),
    { numRuns: 2000 },
  );
}, 60_000);

test('a stopped state is stopped whatever the member wishes', () => {
  expect(STATES.filter((state) => isStopped(exampleRecord({ state })))).toEqual([
    'suspended',
    'exported',
    'draining',
  ]);
  expect(parseTenant(exampleInput({ suspend: true }), policy).suspend).toBe(true);
});
