import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALONE, readConfig } from './config.ts';

const GOOD = `
state: ./state
clusters:
  core:
    nodes:
      - https://bao-0.bao:8200
      - {id: bao-1, url: https://10.0.0.2:8200, san: bao-1.bao}
    caFile: ca.crt
    threshold: 3
    shares: 5
    clusterId: 9b1c6ad3-7a31-0f39-6c1e-000000000001
    shareFiles: [share.jwe]
    keyFile: key
`;

function read(text: string, env: Record<string, string> = {}) {
  const file = join(mkdtempSync(join(tmpdir(), 'config-')), 'unsealer.yaml');
  writeFileSync(file, text);
  return readConfig(file, env);
}

test('the smallest config, with its defaults', async () => {
  const config = await read(GOOD);
  const core = config.clusters.core!;
  expect(core.nodes.map((n) => [n.id, n.san])).toEqual([['bao-0.bao:8200', undefined], [
    'bao-1',
    'bao-1.bao',
  ]]);
  expect(core.poll).toEqual({ idle: 5000, sealed: 40 });
  expect(core.shareFiles[0]).toMatch(/^\/.*share\.jwe$/);
  expect(config.listen.host).toBe('127.0.0.1');
});

test('the threshold in one process is refused unless the config says so in words', async () => {
  const alone = GOOD.replace('[share.jwe]', '[a.jwe, b.jwe, c.jwe]');
  await expect(read(alone)).rejects.toThrow(/3 shares reach the threshold of 3/);
  await expect(read(`${alone}singleBox: true\n`)).rejects.toThrow(/singleBox/);
  expect((await read(`${alone}singleBox: ${ALONE}\n`)).singleBox).toBe(ALONE);
});

test('every fault at once', async () => {
  const bad = GOOD.replace('https://bao-0.bao:8200', 'http://bao-0.bao:8200')
    .replace('threshold: 3', 'threshold: 0').replace('keyFile: key', 'sharez: 1');
  const error = await read(bad).catch((e) => e);
  for (
    const path of ['clusters.core.nodes[0]', 'clusters.core.threshold', 'clusters.core.sharez']
  ) {
    expect(error.message).toContain(path);
  }
});

test.each([
  ['threshold: 3', 'threshold: 6', 'larger than shares'],
  ['threshold: 3', 'threshold: 1', 'at least 2'],
  ['keyFile: key', '', 'either keyFile or passphraseFile'],
  ['keyFile: key', 'keyFile: key\n    passphraseFile: p', 'either keyFile or passphraseFile'],
  ['id: bao-1', 'id: bao-0.bao:8200', 'clusters.core.nodes'],
])('%s -> %s is refused', async (from, to, why) => {
  await expect(read(GOOD.replace(from, to))).rejects.toThrow(why);
});

test('keys that need the Kubernetes API say so', async () => {
  const text = `${GOOD}elected: {namespace: openbao, lease: unsealer}
hold: {annotation: {path: /api/v1/namespaces/openbao/configmaps/unsealer}}
`;
  await expect(read(text)).rejects.toThrow(/elected: a Lease needs[\s\S]*hold.annotation/);
});
