import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { startRadicale } from '../../../tests/peers/radicale.ts';
import { startSabre } from '../../../tests/peers/sabre.ts';
import { dial } from './exchange.ts';
import {
  createSource,
  type FetchResult,
  type Source,
  sourceSchema,
  type Validators,
} from './source.ts';

const never = new AbortController().signal;
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'caldav-'))));
afterAll(() => rm(folder, { recursive: true }));

const event = (uid: string, summary: string) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//test//EN',
    'BEGIN:VEVENT',
    `UID:${uid}`,
    'DTSTAMP:20260101T000000Z',
    'DTSTART:20261201T180000Z',
    `SUMMARY:${summary}`,
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ].join('\r\n');

/** A source, and what the caller of a source keeps between two fetches. */
function follower(source: Source, requests: string[]) {
  let validators: Validators | undefined;
  let bytes: Uint8Array | undefined;
  return {
    requests,
    async fetch(): Promise<
      { status: FetchResult['status']; summaries: string[]; asked: string[] }
    > {
      const before = requests.length;
      const result = await source.fetch(validators, never, async () => bytes);
      validators = JSON.parse(JSON.stringify(result.validators));
      if (result.status === 'fresh') bytes = result.bytes;
      const summaries = Buffer.from(bytes ?? '').toString().match(/(?<=^SUMMARY:).*?(?=\r?$)/gm);
      return {
        status: result.status,
        summaries: [...summaries ?? []].sort(),
        asked: requests.slice(before),
      };
    },
    lose() {
      bytes = undefined;
    },
  };
}

async function follow(
  url: string,
  auth: { type: 'basic' | 'digest'; username: string; password: string },
) {
  const passwordFile = join(folder, `password-${Math.random()}`);
  await writeFile(passwordFile, auth.password);
  const requests: string[] = [];
  const source = createSource(
    sourceSchema.parse({
      id: 'space',
      type: 'caldav',
      url,
      allowPrivate: ['127.0.0.0/8'],
      auth: { type: auth.type, username: auth.username, passwordFile },
    }),
    {
      dial(protocol, options) {
        requests.push(String(options.method));
        return dial(protocol, options);
      },
    },
  );
  return follower(source, requests);
}

const ada = { type: 'basic', username: 'ada', password: 'lovelace' } as const;

needs('radicale')('CalDAV with Radicale', () => {
  test('additions, changes and deletions come by sync-collection', async () => {
    await using server = await startRadicale();
    const calendar = await server.createCalendar('ada', 'space');
    await server.put('ada', '/ada/space/a.ics', event('a', 'Soldering & <b>tin</b>'));
    await server.put('ada', '/ada/space/b ü.ics', event('b', 'Lötkolben 😀'));
    const it = await follow(calendar, ada);

    expect(await it.fetch()).toMatchObject({
      status: 'fresh',
      summaries: ['Lötkolben 😀', 'Soldering & <b>tin</b>'],
    });
    expect(await it.fetch()).toEqual({
      status: 'unchanged',
      summaries: ['Lötkolben 😀', 'Soldering & <b>tin</b>'],
      asked: ['PROPFIND'],
    });

    await server.put('ada', '/ada/space/a.ics', event('a', 'Welding'));
    await server.put('ada', '/ada/space/c.ics', event('c', 'Lasers'));
    await server.delete('ada', '/ada/space/b%20%C3%BC.ics');
    expect(await it.fetch()).toEqual({
      status: 'fresh',
      summaries: ['Lasers', 'Welding'],
      asked: ['PROPFIND', 'REPORT', 'REPORT'],
    });
    await server.delete('ada', '/ada/space/c.ics');
    expect(await it.fetch()).toEqual({
      status: 'fresh',
      summaries: ['Welding'],
      asked: ['PROPFIND', 'REPORT'],
    });
  });

  test('an invalid sync token leads to a full resync that fetches nothing twice', async () => {
    await using server = await startRadicale();
    const calendar = await server.createCalendar('ada', 'space');
    for (const name of ['a', 'b', 'c']) {
      await server.put('ada', `/ada/space/${name}.ics`, event(name, name));
    }
    const it = await follow(calendar, ada);
    await it.fetch();
    await server.put('ada', '/ada/space/d.ics', event('d', 'd'));
    await server.delete('ada', '/ada/space/a.ics');
    server.forgetSyncTokens('ada', 'space');
    expect(await it.fetch()).toEqual({
      status: 'fresh',
      summaries: ['b', 'c', 'd'],
      // the refused token, the sync without one, the one new event
      asked: ['PROPFIND', 'REPORT', 'REPORT', 'REPORT'],
    });
  });

  test('lost bodies are fetched again, all of them', async () => {
    await using server = await startRadicale();
    const calendar = await server.createCalendar('ada', 'space');
    await server.put('ada', '/ada/space/a.ics', event('a', 'a'));
    const it = await follow(calendar, ada);
    await it.fetch();
    it.lose();
    await server.put('ada', '/ada/space/b.ics', event('b', 'b'));
    expect((await it.fetch()).summaries).toEqual(['a', 'b']);
  });

  test('all calendars are found from the root of the server, and new ones too', async () => {
    await using server = await startRadicale();
    await server.createCalendar('ada', 'one');
    await server.put('ada', '/ada/one/a.ics', event('a', 'a'));
    const it = await follow(`${server.url}/`, ada);
    expect((await it.fetch()).summaries).toEqual(['a']);
    expect((await it.fetch()).status).toBe('unchanged');
    await server.createCalendar('ada', 'two');
    await server.put('ada', '/ada/two/b.ics', event('b', 'b'));
    expect((await it.fetch()).summaries).toEqual(['a', 'b']);
    expect((await server.as('ada', '/ada/one/', { method: 'DELETE' })).status).toBe(200);
    expect((await it.fetch()).summaries).toEqual(['b']);
  });

  test('250 events arrive in batches; one change costs three requests', async () => {
    await using server = await startRadicale();
    const calendar = await server.createCalendar('ada', 'space');
    const events = Array.from({ length: 250 }, (_, n) => event(`e${n}`, `e${n}`));
    const whole = events.map((text) => text.split('\r\n').slice(3, -2).join('\r\n')).join('\r\n');
    const head = 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n';
    await server.put('ada', '/ada/space/', `${head}${whole}\r\nEND:VCALENDAR\r\n`);
    const it = await follow(calendar, ada);
    const first = await it.fetch();
    expect(first.summaries).toHaveLength(250);
    expect(first.asked).toEqual(['PROPFIND', 'PROPFIND', 'REPORT', 'REPORT', 'REPORT', 'REPORT']);
    await server.put('ada', '/ada/space/new.ics', event('new', 'new'));
    const next = await it.fetch();
    expect(next.summaries).toHaveLength(251);
    expect(next.asked).toEqual(['PROPFIND', 'REPORT', 'REPORT']);
  });

  test('wrong credentials and missing calendars need a human', async () => {
    await using server = await startRadicale();
    const wrong = await follow(`${server.url}/ada/`, { ...ada, password: 'wr0ng' });
    await expect(wrong.fetch()).rejects.toMatchObject({ name: 'StalledError' });
    const none = await follow(`${server.url}/`, ada);
    await expect(none.fetch()).rejects.toMatchObject({
      name: 'StalledError',
      message: 'Cannot fetch source space: server shows no calendar here',
    });
  });
});

needs('sabre')('CalDAV and Digest with sabre/dav, which knows no sync', () => {
  test('additions, changes and deletions come by ctag and ETags', async () => {
    await using server = await startSabre();
    const path = await server.createCalendar('space');
    await server.put(`${path}a.ics`, event('a', 'Soldering & <b>'));
    await server.put(`${path}b.ics`, event('b', 'Lötkolben'));
    const auth = { type: 'digest', username: server.user, password: server.password } as const;
    const it = await follow(`${server.url}${path}`, auth);
    expect((await it.fetch()).summaries).toEqual(['Lötkolben', 'Soldering & <b>']);
    expect(await it.fetch()).toMatchObject({ status: 'unchanged', asked: ['PROPFIND'] });
    await server.put(`${path}a.ics`, event('a', 'Welding'));
    await server.delete(`${path}b.ics`);
    await server.put(`${path}c.ics`, event('c', 'Lasers'));
    expect((await it.fetch()).summaries).toEqual(['Lasers', 'Welding']);
  });

  test('all calendars are found from the root of the server', async () => {
    await using server = await startSabre();
    await server.put(`${await server.createCalendar('one')}a.ics`, event('a', 'a'));
    await server.put(`${await server.createCalendar('two')}b.ics`, event('b', 'b'));
    const auth = { type: 'digest', username: server.user, password: server.password } as const;
    const it = await follow(server.url, auth);
    expect((await it.fetch()).summaries).toEqual(['a', 'b']);
  });
});
