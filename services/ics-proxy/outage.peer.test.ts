import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startApacheDigest } from '../../tests/peers/digest.ts';
import { ask } from '../../tests/peers/lib/http.ts';
import { needs } from '../../tests/peers/lib/needs.ts';
import { startRadicale } from '../../tests/peers/radicale.ts';
import { loadIcsConfig } from './config.ts';
import { type Service, startService } from './service.ts';
import { startFaultyUpstream, type Upstream } from './sources/testing/faulty-upstream.ts';

const admin = 'a'.repeat(48);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outage-'));
  await writeFile(join(folder, 'admin'), admin);
});
afterEach(() => rm(folder, { recursive: true }));

const named = (name: string) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//test//EN',
    'BEGIN:VEVENT',
    `UID:${name}@test`,
    'DTSTAMP:20260101T000000Z',
    'DTSTART:20261201T180000Z',
    `SUMMARY:${name}`,
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ].join('\r\n');

async function start(sources: string): Promise<{ service: Service; feed: Feed }> {
  const file = join(folder, 'config.yaml');
  await writeFile(
    file,
    `listen: {host: 127.0.0.1, port: 0}
publicUrl: http://cal.example
state: state
admin: {tokenFile: admin}
feeds:
  space:
    name: Space
    sources:
${sources}`,
  );
  const service = await startService(await loadIcsConfig(file), folder);
  return { service, feed: await subscribe(service) };
}

type Feed = Awaited<ReturnType<typeof subscribe>>;

async function subscribe({ url }: Service) {
  const headers = { authorization: `Bearer ${admin}` };
  const made = await ask(`${url}/api/feeds/space/tokens`, {
    method: 'POST',
    headers,
    body: { label: 'test' },
  });
  const token = new URL(made.json().url).searchParams.get('token');
  return {
    /** Fetches every source now; what is wrong with each afterwards. */
    async refresh(): Promise<Record<string, string | undefined>> {
      const answer = await ask(`${url}/api/feeds/space/refresh`, {
        method: 'POST',
        headers,
        timeoutMs: 60_000,
      });
      return Object.fromEntries(
        answer.json().sources.map((s: { id: string; error?: string }) => [s.id, s.error]),
      );
    },
    async get() {
      const { status, text, headers } = await ask(`${url}/proxy/space.ics?token=${token}`);
      return { status, text, etag: headers.etag, retryAfter: headers['retry-after'] };
    },
    async summaries(): Promise<string[]> {
      return [...(await this.get()).text.matchAll(/^SUMMARY:(.*)\r$/gm)].map((m) => m[1]!).sort();
    },
  };
}

needs('radicale', 'apache-digest')('a feed of CalDAV, Digest, files and a web server', () => {
  test('follows changes, stays whole when everything breaks, and comes back after a restart', async () => {
    await using dav = await startRadicale();
    await using digest = await startApacheDigest();
    const upstream = await startFaultyUpstream();
    await using listener = await startFaultyUpstream();
    const calendar = await dav.createCalendar('ada', 'space');
    await dav.put('ada', '/ada/space/a.ics', named('dav'));
    digest.write('space.ics', named('digest'));
    upstream.set('/web.ics', (_, response) => response.end(named('web')));
    await mkdir(join(folder, 'calendars'));
    await writeFile(join(folder, 'calendars', 'a.ics'), named('file'));
    await writeFile(join(folder, 'dav-password'), 'lovelace');
    await writeFile(join(folder, 'digest-password'), digest.password);
    const config = `
      - {id: dav, type: caldav, url: '${calendar}', allowPrivate: true,
         auth: {type: basic, username: ada, passwordFile: dav-password}}
      - {id: digest, url: '${digest.url}/space.ics', allowPrivate: true,
         auth: {type: digest, username: ada, passwordFile: digest-password}}
      - {id: files, url: 'file:calendars'}
      - {id: web, url: '${upstream.origin}/web.ics', allowPrivate: ['127.0.0.0/8']}
      - {id: never, url: 'http://127.0.0.1:${listener.port}/ok'}
`;
    const first = await start(config);
    expect(await first.feed.refresh()).toEqual({
      dav: undefined,
      digest: undefined,
      files: undefined,
      web: undefined,
      never: 'Cannot fetch source never: address is loopback; allow it with allowPrivate',
    });
    await expect.poll(() => first.feed.summaries()).toEqual(['dav', 'digest', 'file', 'web']);

    await dav.put('ada', '/ada/space/b.ics', named('dav two'));
    await dav.delete('ada', '/ada/space/a.ics');
    dav.forgetSyncTokens('ada', 'space');
    digest.write('space.ics', named('digest two'));
    await writeFile(join(folder, 'calendars', 'b.ics'), named('file two'));
    await first.feed.refresh();
    const all = ['dav two', 'digest two', 'file', 'file two', 'web'];
    await expect.poll(() => first.feed.summaries()).toEqual(all);

    const whole = await first.feed.get();
    await dav.stop();
    digest.write('space.ics', '<!DOCTYPE html><p>Log in');
    await rm(join(folder, 'calendars'), { recursive: true });
    const faults: [Parameters<Upstream['set']>[1], RegExp][] = [
      [(_, response) => response.end(named('web').slice(0, 80)), /truncated/],
      [(_, response) => response.end(), /empty/],
      [(request) => request.socket.destroy(), /cut/],
      [(_, response) => response.writeHead(503, { 'retry-after': '9' }).end(), /503/],
      [
        (_, response) =>
          response.writeHead(302, { location: `http://[::1]:${listener.port}/` }).end(),
        /loopback/,
      ],
    ];
    for (const [behaviour, why] of faults) {
      upstream.set('/web.ics', behaviour);
      const errors = await first.feed.refresh();
      expect(errors.web).toMatch(why);
      expect(errors.dav).toMatch(/connection refused/);
      expect(errors.digest).toMatch(/answer is HTML/);
      expect(errors.files).toMatch(/no such file or directory/);
      expect(await first.feed.get()).toEqual(whole);
    }
    expect(listener.connections()).toBe(0);
    await first.service.close();
    await upstream[Symbol.asyncDispose]();

    const second = await start(config);
    await expect.poll(async () => (await second.feed.get()).status, { timeout: 15_000 }).toBe(200);
    expect(Object.values(await second.feed.refresh()).every((error) => error)).toBe(true);
    expect(await second.feed.get()).toEqual(whole);
    await second.service.close();
  });

  test('a restart serves the last good copies at once, though a new source hangs', async () => {
    await using upstream = await startFaultyUpstream();
    upstream.set('/web.ics', (_, response) => response.end(named('web')));
    const web = `
      - {id: web, url: '${upstream.origin}/web.ics', allowPrivate: true}
`;
    const first = await start(web);
    await first.feed.refresh();
    await expect.poll(() => first.feed.summaries(), { timeout: 15_000 }).toEqual(['web']);
    await first.service.close();
    upstream.set('/web.ics', () => {});
    const second = await start(`${web}
      - {id: slow, url: '${upstream.origin}/hangs', allowPrivate: true}
`);
    await expect.poll(() => second.feed.summaries(), { timeout: 8_000 }).toEqual(['web']);
    await second.service.close();
  });

  test('before the first success there is no empty calendar', async () => {
    const { service, feed } = await start(`
      - {id: gone, url: 'http://127.0.0.1:1/', allowPrivate: true}
`);
    await feed.refresh();
    const answer = await feed.get();
    expect(answer.status).toBe(503);
    expect(Number(answer.retryAfter)).toBeGreaterThan(0);
    await service.close();
  });
});
