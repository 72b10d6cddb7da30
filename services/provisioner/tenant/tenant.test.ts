import { AppError } from '@hackspace/kit/errors.ts';
import { expect, test } from 'vitest';
import { exampleInput, examplePolicy, exampleTenant } from './fixtures.ts';
import { parseTenant } from './tenant.ts';

const policy = examplePolicy();

/** What the member is told, as `path message`. */
function refusal(over: Record<string, unknown>): string {
  try {
    parseTenant(exampleInput(over), policy);
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid') {
      return error.faults!.map((f) => `${f.path} ${f.message}`).join('\n');
    }
    throw error;
  }
  return 'ACCEPTED';
}
const repository = (url: string) => ({ repository: { url } });

test('the shortest input gets the defaults', () => {
  expect(exampleTenant()).toEqual({
    name: 'garden',
    plan: 'small',
    repository: { url: 'https://codeberg.org/member/garden', ref: 'main', path: './' },
    wants: { calendar: false },
    suspend: false,
  });
});

test('every fault is told at once', () => {
  expect(refusal({ name: 'X', plan: 'huge', role: 'admin' }).split('\n')).toHaveLength(3);
});

test('escapes 1 and 2: no field chooses a role, and the refusal says so', () => {
  for (const key of ['role', 'roleRef', 'clusterRole', 'serviceAccountName', 'labels']) {
    expect(refusal({ [key]: 'cluster-admin' })).toBe(`${key} is not yours to set`);
  }
});

test('escape 3: a repository inside the network, or on another host, is refused', () => {
  for (
    const url of [
      'https://10.0.0.1/a/b',
      'https://169.254.169.254/latest/meta-data',
      'https://kubernetes.default.svc/api',
      'https://codeberg.org.evil.example/a/b',
      'https://evil.example/codeberg.org/a',
      'https://codeberg.org:8443/a/b',
    ]
  ) expect(refusal(repository(url)), url).toMatch(/is on a host that this space does not allow/);
  expect(refusal(repository('http://codeberg.org/a/b'))).toMatch(/must begin with https/);
  expect(refusal(repository('file:///etc'))).toMatch(/must begin with https/);
});

test('escape 4: other spellings of addresses, users, dots and options', () => {
  for (
    const url of [
      'https://2130706433/a/b',
      'https://0x7f.1/a/b',
      'https://017700000001/a/b',
      'https://[::ffff:127.0.0.1]/a/b',
      'https://[64:ff9b::7f00:1]/a/b',
      'https://codeberg.org./a/b',
      'https://codeberg.org@10.0.0.1/a/b',
      'https://me:secret@codeberg.org/a/b',
      'https://@codeberg.org/a/b',
      'https:codeberg.org/a/b',
      'https:\\\\codeberg.org\\a\\b',
      'https://codeberg.org\\@evil.example/a',
      'https://CODEBERG.org/a/b',
      'https://codeberg.org:443/a/b',
      'https://codeberg.org/a/../b',
      'https://codeberg.org/a/%2e%2e/b',
      'https://codeberg.org//a',
      'https://codeberg.org/a/b?x=1',
      'https://codeberg.org/a/b#x',
      'https://codeberg.org/',
      'https://codeberg.org',
      'https://ｃodeberg.org/a/b',
      'ssh://-oProxyCommand=id/a/b',
      'ssh://git@codeberg.org/a/b',
      '-oProxyCommand=id',
      'git@codeberg.org:a/b',
      'codeberg.org/a/b',
      'ext::sh -c id',
      ' https://codeberg.org/a/b',
      'https://codeberg.org/a/b\n',
      'https://codeberg.org/a/b\0',
      '',
    ]
  ) expect(refusal(repository(url)), url).toMatch(/^repository\.url \S/);
});

test('escape 5: YAML in any field is refused before it is written', () => {
  const yaml = 'x\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: stolen}';
  for (
    const over of [
      { name: yaml },
      { plan: yaml },
      repository(`https://codeberg.org/a/${yaml}`),
      { repository: { url: 'https://codeberg.org/a/b', ref: yaml } },
      { repository: { url: 'https://codeberg.org/a/b', path: `./${yaml}` } },
      { suspend: 'yes' },
      { suspend: 1 },
    ]
  ) expect(refusal(over)).not.toBe('ACCEPTED');
});

test('escape 6: ${…} is refused everywhere', () => {
  for (
    const over of [
      { name: 'a${b}' },
      { plan: '${plan}' },
      repository('https://codeberg.org/${a}/b'),
      { repository: { url: 'https://codeberg.org/a/b', ref: '${x}' } },
      { repository: { url: 'https://codeberg.org/a/b', path: './${x}' } },
    ]
  ) expect(refusal(over)).not.toBe('ACCEPTED');
  expect(refusal(repository('https://codeberg.org/${a}/b'))).toMatch(/would be replaced/);
});

test('escape 10: intervals and time-outs are not the member’s', () => {
  expect(refusal({ interval: '1ms' })).toBe('interval is not yours to set');
  expect(refusal({ repository: { url: 'https://codeberg.org/a/b', interval: '1s' } }))
    .toBe('repository.interval is not yours to set');
});

test('escape 11: reserved names and what is not a DNS-1123 label', () => {
  for (
    const name of ['flux-system', 'kube-system', 'kube-x', 'default', 'tenants', 'hackspace-a']
  ) {
    expect(refusal({ name }), name).toMatch(/belongs to the cluster/);
  }
  for (
    const name of ['', 'a', 'ab', 'A-b', 'a_b', '-ab', 'ab-', '1ab', 'a--b', 'xn--ab', 'a.b', 'a/b']
      .concat(['../x', 'a'.repeat(41), 'gärten', 'abc\n', 'ab c', '__proto__', 'a\u0000b'])
  ) expect(refusal({ name }), JSON.stringify(name)).toMatch(/^name \S/);
});

test('escape 12: the path in the vault is not the member’s', () => {
  expect(refusal({ vault: { path: 'tenants/other' } })).toBe('vault is not yours to set');
});

test('refs and paths cannot leave the repository or become options', () => {
  for (
    const ref of [
      '-u',
      '--upload-pack=id',
      'a..b',
      'x.lock',
      'x.',
      '/x',
      'x/',
      'a b',
      '@{0}',
      'HEAD^',
    ]
  ) {
    expect(refusal({ repository: { url: 'https://codeberg.org/a/b', ref } }), ref)
      .toMatch(/repository\.ref/);
  }
  for (
    const path of [
      '/',
      '/etc',
      '../x',
      './../x',
      './a/../b',
      'a',
      './a//b',
      './-x',
      './a/',
      '.\\x',
      'https://x/y',
    ]
  ) {
    expect(refusal({ repository: { url: 'https://codeberg.org/a/b', path } }), path)
      .toMatch(/repository\.path/);
  }
});

test('prototype names are neither plans nor keys', () => {
  for (const plan of ['constructor', '__proto__', 'toString']) {
    expect(refusal({ plan })).toMatch(/must be one of the plans/);
  }
  expect(() => parseTenant(JSON.parse('{"__proto__": {"name": "x"}}'), policy)).toThrow(AppError);
  for (const input of [null, [], 'garden', 7]) {
    expect(() => parseTenant(input, policy)).toThrow(AppError);
  }
});
