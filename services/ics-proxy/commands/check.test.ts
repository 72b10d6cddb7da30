import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startFaultyUpstream } from '../sources/testing/faulty-upstream.ts';
import { check } from './check.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'check-'))));
afterEach(() => rm(folder, { recursive: true }));

async function config(sources: string): Promise<string> {
  const file = join(folder, 'config.yaml');
  await writeFile(
    file,
    `publicUrl: https://cal.example
state: state
feeds:
  space:
    name: Space
    sources:
${sources}`,
  );
  return file;
}

test('each source is tried, and what it says is shown without secrets', async () => {
  await using upstream = await startFaultyUpstream();
  await writeFile(join(folder, 'password'), 'pa:ss');
  await writeFile(join(folder, 'wrong'), 'wr0ng-s3cret');
  const { origin } = upstream;
  const file = await config(`
      - {id: good, url: '${origin}/ok', allowPrivate: true}
      - {id: basic, url: '${origin}/basic', allowPrivate: true,
         auth: {type: basic, username: ada, passwordFile: password}}
      - {id: refused, url: '${origin}/basic', allowPrivate: true,
         auth: {type: basic, username: ada, passwordFile: wrong}}
      - {id: html, url: '${origin}/html?key=s3cret-key', allowPrivate: true}
      - {id: shut, url: '${origin}/private-s3cret/basic.ics'}
      - {id: files, url: 'file:.'}
`);
  upstream.set('/html?key=s3cret-key', (_, response) => response.end('<html>'));
  await writeFile(join(folder, 'a.ics'), '<html>');
  await writeFile(join(folder, 'b.ics'), 'BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n');
  const result = await check({ config: file, live: true });
  expect(result.ok).toBe(false);
  expect(result.lines.map((line) => line.replace(/\d+ ms/, 'N ms'))).toEqual([
    expect.stringMatching(/^ok {4}space\/good {5}1 components, 187 bytes, N ms$/),
    expect.stringMatching(/^ok {4}space\/basic {4}1 components, 187 bytes, N ms$/),
    'fail  space/refused  Cannot fetch source refused: answer is 401: credentials are missing ' +
    'or refused (trying again will not help)',
    'fail  space/html     Cannot fetch source html: answer is HTML',
    'fail  space/shut     Cannot fetch source shut: address is loopback; allow it with ' +
    'allowPrivate (trying again will not help)',
    expect.stringMatching(/^ok {4}space\/files {4}0 components, \d+ bytes, N ms$/),
    'note  space/files    Left out a.ics: answer is HTML',
  ]);
  expect(result.lines.join() + result.config).not.toMatch(/s3cret|pa:ss/);
  expect(result.config).toContain(`url: ${origin}/[redacted]`);
});

test('without --live nothing is fetched, but secret files are looked at', async () => {
  await using upstream = await startFaultyUpstream();
  const file = await config(`
      - {id: basic, url: '${upstream.origin}/basic', allowPrivate: true,
         auth: {type: basic, username: ada, passwordFile: missing}}
`);
  const result = await check({ config: file });
  expect(result.ok).toBe(false);
  expect(result.lines).toEqual([
    `fail  space/basic  Cannot read secret file ${join(folder, 'missing')}: there is no such file`,
  ]);
  expect(upstream.connections()).toBe(0);
});
