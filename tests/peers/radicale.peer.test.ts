import { expect, test } from 'vitest';
import { needs } from './lib/needs.ts';
import { startRadicale } from './radicale.ts';

const event = (uid: string, summary: string) =>
  [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//test//EN',
    'BEGIN:VEVENT',
    `UID:${uid}`,
    'DTSTAMP:20260101T000000Z',
    'DTSTART:20260102T180000Z',
    `SUMMARY:${summary}`,
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ].join('\r\n');

needs('radicale')('Radicale', () => {
  test('sync-collection tells what changed and what went since a token, and refuses a made-up one', async () => {
    await using dav = await startRadicale();
    await dav.createCalendar('ada', 'space');
    const calendar = '/ada/space/';
    await dav.put('ada', `${calendar}a.ics`, event('a', 'Open night'));
    await dav.put('ada', `${calendar}b.ics`, event('b', 'Soldering'));
    const sync = (token: string) =>
      dav.as('ada', calendar, {
        method: 'REPORT',
        headers: { 'content-type': 'application/xml' },
        body:
          `<?xml version="1.0"?><sync-collection xmlns="DAV:"><sync-token>${token}</sync-token>` +
          '<sync-level>1</sync-level><prop><getetag/></prop></sync-collection>',
      });
    const first = await sync('');
    expect(first.status).toBe(207);
    expect(first.text).toContain('a.ics');
    const token = /<sync-token>([^<]+)</.exec(first.text)![1]!;

    await dav.put('ada', `${calendar}a.ics`, event('a', 'Open night until late'));
    await dav.delete('ada', `${calendar}b.ics`);
    const second = await sync(token);
    expect(second.text).toMatch(/b\.ics<\/href><status>HTTP\/1.1 404/);
    expect(second.text).toContain('a.ics');
    const refused = await sync('http://radicale.org/ns/sync/made-up');
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('valid-sync-token');
  });

  test('lets nobody in without the password', async () => {
    await using dav = await startRadicale();
    await dav.createCalendar('ada', 'space');
    const headers = { authorization: '' };
    const bare = await dav.as('ada', '/ada/space/', { method: 'PROPFIND', headers });
    expect(bare.status).toBe(401);
  });
});
