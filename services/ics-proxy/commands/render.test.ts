import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calendar, event, NOW, text } from '../calendar/testing/calendars.ts';
import { explainFiles } from './explain.ts';
import { renderFiles, reportLines } from './render.ts';

let folder: string;
let space: string;
let members: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'render-'));
  space = join(folder, 'space.ics');
  members = join(folder, 'members.ics');
  await writeFile(space, calendar(event('a', 'SUMMARY:Open evening'), event('b', 'nonsense')));
  await writeFile(members, calendar(event('a', 'SUMMARY:Birthday', 'CLASS:PRIVATE')));
});
afterAll(() => rm(folder, { recursive: true }));

test('without a config everything is shown and the report says what was done', async () => {
  const result = await renderFiles([space, members], { view: 'full', now: NOW });
  expect(text(result)).toContain('SUMMARY:Birthday');
  const lines = reportLines(result);
  expect(lines.map((line) => line.event)).toEqual(['renamed-uid', 'quarantined', 'rendered']);
  expect(lines[1]).toMatchObject({ source: 'space', line: 14 });
});

test('with a feed its policies apply to the files named like its sources', async () => {
  const feed = { id: 'all', name: 'All', sources: [{ id: 'space', prefix: '[s] ', url: 'x' }] };
  const result = await renderFiles([`space=${space}`, members], { feed, view: 'full', now: NOW });
  expect(text(result)).toContain('SUMMARY:[s] Open evening');
  expect(text(result)).not.toContain('Birthday');
});

test('explain says what is wrong where', async () => {
  const lines = await explainFiles([space, members], NOW);
  expect(lines.join('\n')).toMatch(/space:14: quarantined: A line is not of the form/);
  expect(lines.join('\n')).toMatch(/space: renamed: UID "a" stands for another event too/);
});

test('a file that is not there is named', async () => {
  await expect(renderFiles([join(folder, 'no.ics')], { view: 'full', now: NOW }))
    .rejects.toThrow(/^Cannot read calendar .*no\.ics: there is no such file$/);
});
