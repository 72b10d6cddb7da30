/** nginx, Redis and the mail sink: each does one thing that tests count on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { expect, test } from 'vitest';
import { startBrowser } from './browser.ts';
import { ask } from './lib/http.ts';
import { needs } from './lib/needs.ts';
import { startNginx } from './nginx.ts';
import { startRedis } from './redis.ts';
import { startSmtp } from './smtp.ts';
import { run } from './lib/run.ts';
import { startSshd } from './sshd.ts';

needs('nginx')('nginx', () => {
  test('answers 304 to the ETag and the date it gave, 200 to another', async () => {
    await using nginx = await startNginx();
    writeFileSync(join(nginx.folder, 'feed.ics'), 'BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n');
    const get = (headers: Record<string, string> = {}) => ask(`${nginx.url}/feed.ics`, { headers });
    const first = await get();
    expect(first.status).toBe(200);
    expect(first.headers['content-type']).toBe('text/calendar');
    const [etag, date] = [String(first.headers.etag), String(first.headers['last-modified'])];
    const again = await get({ 'if-none-match': etag });
    expect(again).toMatchObject({ status: 304, text: '' });
    expect((await get({ 'if-modified-since': date })).status).toBe(304);
    expect((await get({ 'if-none-match': '"another"' })).status).toBe(200);
  });
});

needs('chromium', 'nginx')('Chromium', () => {
  test('lays a page out: what a narrow dark screen shows is decided by media queries', async () => {
    await using nginx = await startNginx();
    const style =
      'b{display:none} @media (max-width:400px) and (prefers-color-scheme:dark){b{display:inline}}';
    const html = `<!doctype html><title>t</title><style>${style}</style><b>seen</b>`;
    writeFileSync(join(nginx.folder, 'page.html'), html);
    await using started = await startBrowser();
    const visible = async (width: number, colorScheme: 'dark' | 'light') => {
      const context = await started.browser.newContext({
        viewport: { width, height: 600 },
        colorScheme,
      });
      const page = await context.newPage();
      await page.goto(`${nginx.url}/page.html`);
      const seen = await page.locator('b').isVisible();
      await context.close();
      return seen;
    };
    expect(await visible(320, 'dark')).toBe(true);
    expect(await visible(320, 'light')).toBe(false);
    expect(await visible(800, 'dark')).toBe(false);
  });
});

needs('redis')('Redis', () => {
  test('keeps what was written across kill -9 when told to, and wants its password', async () => {
    await using redis = await startRedis({ password: 'redis-test-password', persist: true });
    expect(await redis.command('SET', 'key', 'value')).toContain('+OK');
    expect(await redis.command('SET', 'key', 'other', 'NX')).toContain('$-1');
    await redis.process.kill();
    await redis.process.start();
    expect(await redis.command('GET', 'key')).toContain('value');
    const open = await startRedis();
    await using _open = open;
    expect(redis.url).toMatch(/^redis:\/\/:redis-test-password@127\.0\.0\.1:\d+$/);
    expect(await open.command('PING')).toContain('+PONG');
  });
});

needs('smtp')('the mail sink', () => {
  test('takes a mail, refuses the next as asked, and lets nobody in without the password', async () => {
    const login = { username: 'hackspace', password: 'smtp-test-password' };
    await using smtp = await startSmtp({ login });
    const mail = { from: 'space@hackspace.test', to: 'member@hackspace.test', text: 'Grüße' };
    const send = (pass: string) =>
      createTransport({
        host: '127.0.0.1',
        port: smtp.port,
        secure: false,
        ignoreTLS: true,
        auth: { user: login.username, pass },
      }).sendMail({ ...mail, subject: 'Your space' });
    await send(login.password);
    expect(smtp.mails).toHaveLength(1);
    expect(smtp.mails[0]).toMatchObject({ from: mail.from, to: [mail.to], secure: false });
    expect(smtp.mails[0]!.raw).toContain('Subject: Your space');
    smtp.refuse(451);
    await expect(send(login.password)).rejects.toMatchObject({ responseCode: 451 });
    await send(login.password);
    expect(smtp.mails).toHaveLength(2);
    await expect(send('wrong')).rejects.toThrow(/535/);
  });
});

needs('sshd')('sshd', () => {
  test('lets one key push with git, and gives nobody a shell', async () => {
    await using server = await startSshd();
    const { url } = await server.createRepository('tenants');
    const ssh = (key: string) => [
      ...['-F', '/dev/null', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      ...['-o', `UserKnownHostsFile=${server.knownHostsFile}`, '-o', 'StrictHostKeyChecking=yes'],
    ];
    const listed = await run('git', ['ls-remote', url], {
      env: { GIT_SSH_COMMAND: ['ssh', ...ssh(server.keyFile)].join(' ') },
    });
    expect(listed).toMatchObject({ code: 0, stdout: '' });
    const { username, hostname } = new URL(url);
    const shell = (key: string) =>
      run('ssh', [...ssh(key), '-p', String(server.port), `${username}@${hostname}`, 'id']);
    expect(await shell(server.keyFile)).toMatchObject({
      code: 128,
      stdout: '',
      stderr: expect.stringContaining("unrecognized command 'id'"),
    });
    expect((await shell(await server.createKey('unknown'))).stderr).toContain('Permission denied');
  });
});
