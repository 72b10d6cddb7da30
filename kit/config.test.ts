import { expect, test } from 'vitest';
import { z } from 'zod';
import { duration, listen, loadConfig, parseConfig, printConfig, secretFile } from './config.ts';
import { AppError, describe } from './errors.ts';

const schema = z.strictObject({
  listen: listen(8080),
  publicUrl: z.url(),
  refresh: duration().default(900_000),
  admin: z.strictObject({ tokenFile: secretFile() }).optional(),
});
const options = { file: 'x.yaml', envPrefix: 'ICS', env: {}, base: '/etc/hackspace' };

function faultsOf(text: string, env = {}): string[] {
  try {
    parseConfig(schema, text, { ...options, env });
  } catch (error) {
    if (error instanceof AppError) return error.faults!.map((f) => `${f.path}: ${f.message}`);
    throw error;
  }
  return [];
}

test('every fault is reported at once, each with its path', () => {
  const faults = faultsOf('publicUrl: nope\nrefresh: soon\nlisten: {prot: 1}\nextra: 1\n');
  expect(faults.map((f) => f.split(':')[0]).sort()).toEqual([
    'extra',
    'listen.prot',
    'publicUrl',
    'refresh',
  ]);
});

test('duplicate keys and alias bombs are refused', () => {
  expect(faultsOf('publicUrl: http://a\npublicUrl: http://b\n')[0]).toMatch(/^line 2/);
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
  for (let i = 0; i < 8; i++) {
    bomb.push(`b${i}: &b${i} [${Array(9).fill(i ? `*b${i - 1}` : '*a')}]`);
  }
  expect(faultsOf(bomb.join('\n'))).toEqual([': too many aliases']);
});

test('secret files become absolute, durations milliseconds, defaults are filled', () => {
  const config = parseConfig(
    schema,
    'publicUrl: https://io.example\nadmin: {tokenFile: admin.token}\nrefresh: 30s',
    options,
  );
  expect(config).toEqual({
    listen: { host: '127.0.0.1', port: 8080, drain: 0 },
    publicUrl: 'https://io.example',
    refresh: 30_000,
    admin: { tokenFile: '/etc/hackspace/admin.token' },
  });
});

test('the environment overrides the file and is checked alike', () => {
  const env = { ICS_LISTEN__PORT: '9', ICS_PUBLIC_URL: 'https://b.example' };
  const config = parseConfig(schema, 'publicUrl: https://a.example', { ...options, env });
  expect(config.listen.port).toBe(9);
  expect(config.publicUrl).toBe('https://b.example');
  expect(faultsOf('publicUrl: https://a.example', { ICS_LISTEN__PORT: '70000' })).toHaveLength(1);
});

test('the printed config hides values and keeps paths of secret files', () => {
  const text = printConfig({
    password: 'hunter2',
    tokenFile: '/run/token',
    url: 'https://user:hunter2@host/x?token=abc',
    many: [{ apiKey: 'k' }],
  });
  expect(text).not.toMatch(/hunter2|abc|: k/);
  expect(text).toContain('/run/token');
});

test('a missing config says what was tried, where and what was wrong, once', async () => {
  const file = '/nowhere/x.yaml';
  const error = await loadConfig(schema, { ...options, file }).catch((e) => describe(e));
  expect(error).toBe('Cannot read config /nowhere/x.yaml: there is no such file');
});
