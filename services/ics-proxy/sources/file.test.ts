import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSource, type FetchResult, sourceSchema, type Validators } from './source.ts';
import { CALENDAR } from './testing/faulty-upstream.ts';

const never = new AbortController().signal;
const old = new Date(Date.now() - 60_000);
let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'file-'))));
afterEach(() => rm(folder, { recursive: true }));

const put = async (name: string, text: string, at = old) => {
  await writeFile(join(folder, name), text);
  await utimes(join(folder, name), at, at);
};
const fetch = (path: string, previous?: Validators, more: object = {}) =>
  createSource(sourceSchema.parse({ id: 'disk', url: `file:${path}`, ...more }), { base: folder })
    .fetch(previous, never);
const text = (result: FetchResult) =>
  result.status === 'fresh' ? Buffer.from(result.bytes).toString() : '';
const named = (name: string) => CALENDAR.replace('Soldering', name);

describe('a file', () => {
  test('is read, and read again when its time or size changes', async () => {
    await put('a.ics', CALENDAR);
    const first = await fetch('a.ics');
    expect(text(first)).toBe(CALENDAR);
    expect((await fetch('a.ics', first.validators)).status).toBe('unchanged');
    await put('a.ics', named('Welding'));
    expect(text(await fetch('a.ics', first.validators))).toContain('Welding');
  });

  test('touched but the same is unchanged', async () => {
    await put('a.ics', CALENDAR);
    const first = await fetch('a.ics');
    await put('a.ics', CALENDAR, new Date(Date.now() - 30_000));
    expect((await fetch('a.ics', first.validators)).status).toBe('unchanged');
  });

  test('changed twice within one tick of the clock is noticed', async () => {
    const now = new Date();
    await put('a.ics', named('AAAA'), now);
    const first = await fetch('a.ics');
    await put('a.ics', named('BBBB'), now);
    expect(text(await fetch('a.ics', first.validators))).toContain('BBBB');
  });

  test('by absolute URL, with escapes', async () => {
    await put('a b.ics', CALENDAR);
    expect(text(await fetch(`//${folder}/a%20b.ics`))).toBe(CALENDAR);
  });

  test.each([
    ['missing.ics', undefined, 'StalledError', /no such file/],
    ['html.ics', '<html>', 'AppError', /HTML/],
    ['cut.ics', CALENDAR.slice(0, 60), 'AppError', /truncated/],
    ['big.ics', CALENDAR.padEnd(3_000), 'AppError', /larger than/],
  ])('%s is an error', async (name, content, kind, why) => {
    if (content !== undefined) await put(name, content);
    const error = await fetch(name, undefined, { maxBytes: 2_000 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: kind, message: expect.stringMatching(why) });
  });

  test('a fifo does not hold the loop', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.ics')]);
    await expect(fetch('pipe.ics')).rejects.toThrow(/not a file/);
  });
});

describe('a directory', () => {
  test('is its .ics files in order, changes and deletions noticed', async () => {
    await put('b.ics', named('Bee'));
    await put('a.ics', named('Ant').trimEnd());
    await put('notes.txt', 'no');
    await put('.hidden.ics', named('Hidden'));
    await mkdir(join(folder, 'sub.ics'));
    const first = await fetch('.');
    expect(text(first).match(/SUMMARY:\w+/g)).toEqual(['SUMMARY:Ant', 'SUMMARY:Bee']);
    expect((await fetch('.', first.validators)).status).toBe('unchanged');
    await rename(join(folder, 'b.ics'), join(folder, 'c.ics'));
    await put('b.ics', named('Bat'));
    const second = await fetch('.', first.validators);
    expect(text(second).match(/SUMMARY:\w+/g)).toEqual([
      'SUMMARY:Ant',
      'SUMMARY:Bat',
      'SUMMARY:Bee',
    ]);
    await rm(join(folder, 'a.ics'));
    expect(text(await fetch('.', second.validators)).match(/SUMMARY:\w+/g)).toHaveLength(2);
  });

  test('one bad file, or a link that leads out, is left out with a warning', async () => {
    await using outside = await secretOutside();
    await put('good.ics', named('Good'));
    await put('bad.ics', '<html>');
    await mkdir(join(folder, '..data'));
    await put('..data/in.ics', named('Inside'));
    await symlink(join('..data', 'in.ics'), join(folder, 'in.ics'));
    await symlink(outside.path, join(folder, 'out.ics'));
    await symlink('/nonexistent', join(folder, 'dangling.ics'));
    const result = await fetch('.');
    expect(text(result).match(/SUMMARY:\w+/g)).toEqual(['SUMMARY:Good', 'SUMMARY:Inside']);
    expect(result.status === 'fresh' && result.warnings?.toSorted()).toEqual([
      'Left out bad.ics: answer is HTML',
      'Left out dangling.ics: cannot be read',
      'Left out out.ics: link leads out of the directory',
    ]);
  });

  test('too many files, too many bytes, or none at all is an error', async () => {
    await expect(fetch('.')).rejects.toThrow(/no usable/);
    await put('a.ics', CALENDAR);
    await put('b.ics', CALENDAR.padEnd(900));
    const capped = await fetch('.', undefined, { maxBytes: 1_024 });
    expect(capped.status === 'fresh' && capped.warnings).toEqual([
      expect.stringMatching(/^Left out b\.ics: larger than the \d+ bytes left$/),
    ]);
    for (let n = 0; n < 1_000; n++) await writeFile(join(folder, `n${n}.ics`), '');
    await expect(fetch('.')).rejects.toThrow(/more than 1000 files/);
  });
});

async function secretOutside() {
  const elsewhere = await mkdtemp(join(tmpdir(), 'outside-'));
  const path = join(elsewhere, 'secret.ics');
  await writeFile(path, named('Secret'));
  return { path, [Symbol.asyncDispose]: () => rm(elsewhere, { recursive: true }) };
}
