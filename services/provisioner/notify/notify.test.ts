import { Secret } from '@hackspace/kit/secret.ts';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { expect, test } from 'vitest';
import { STATES } from '../tenant/record.ts';
import { smtp } from './smtp.ts';
import { letter } from './templates.ts';
import { webhook } from './webhook.ts';

const wording = { space: 'Hackspace', portal: 'https://io.hackspace.example' };

async function sink(refuse = false) {
  const mails: { to: string[]; text: string }[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onRcptTo: (_, __, done) => done(refuse ? new Error('no such user here') : null),
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        mails.push({
          to: session.envelope.rcptTo.map((to) => to.address),
          text: Buffer.concat(parts).toString(),
        });
        done();
      });
    },
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.server.address() as AddressInfo;
  return { mails, port, close: () => new Promise<void>((done) => server.close(() => done())) };
}

const options = (port: number) => ({
  host: '127.0.0.1',
  port,
  security: 'none' as const,
  from: 'space@hackspace.example',
  admin: 'admin@hackspace.example',
  timeoutMs: 1000,
  wording,
});

test('a letter arrives over SMTP, at one address, with the date', async () => {
  const server = await sink();
  const mail = smtp(options(server.port));
  await mail.tellMember('paying@hackspace.example', {
    kind: 'grace',
    name: 'garden',
    due: '2026-12-26T12:00:00.000Z',
  });
  await mail.tellAdmin('Nothing was done');
  expect(server.mails.map((m) => m.to)).toEqual([['paying@hackspace.example'], [
    'admin@hackspace.example',
  ]]);
  expect(server.mails[0]!.text).toContain('Subject: [Hackspace] Your membership: garden stops on');
  expect(server.mails[0]!.text).toContain('2026-12-26');
  expect(server.mails[0]!.text).toContain('Auto-Submitted: auto-generated');
  await server.close();
});

test('an address cannot add another, nor a header', async () => {
  const server = await sink();
  const mail = smtp(options(server.port));
  const notice = { kind: 'active', name: 'garden' } as const;
  for (
    const address of [
      'a@x.example, b@y.example',
      'a@x.example\r\nBcc: b@y.example',
      '<b@y.example>',
    ]
  ) {
    await mail.tellMember(address, notice).catch(() => {});
  }
  for (const { to, text } of server.mails) {
    expect(to.length).toBeLessThanOrEqual(1);
    expect(text.split('\r\n\r\n')[0]).not.toMatch(/^Bcc:/mi);
  }
  await server.close();
});

test('a refusal and a silent server are errors without the address', async () => {
  const server = await sink(true);
  const notice = { kind: 'active', name: 'garden' } as const;
  const refused = await smtp(options(server.port)).tellMember('paying@x.example', notice).catch((
    e,
  ) => e);
  expect(refused.message).toBe('Cannot send a letter: 550');
  await server.close();
  const gone = await smtp(options(server.port)).tellMember('paying@x.example', notice).catch((e) =>
    e
  );
  expect(gone.code).toBe('unavailable');
  expect(`${gone.message}${gone.cause ?? ''}`).not.toContain('paying');
});

test('every state has a letter in plain words, folded for mail', () => {
  for (const kind of STATES) {
    const { subject, text } = letter(
      { kind, name: 'garden', due: '2027-01-01T00:00:00Z' },
      wording,
    );
    expect(subject).toContain('garden');
    expect(text).not.toMatch(/[{}]|undefined/);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(72);
  }
});

test('the webhook is signed over its bytes, as Flux’s generic-hmac wants it', async () => {
  const got: { body: string; signature: string }[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    got.push({
      body: Buffer.concat(parts).toString(),
      signature: request.headers['x-signature'] as string,
    });
    response.writeHead(status).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  const hook = webhook(url, new Secret('the key'));
  await hook.tellMember('paying@x.example', { kind: 'grace', name: 'garden' });
  const mac = createHmac('sha256', 'the key').update(got[0]!.body).digest('hex');
  expect(got[0]!.signature).toBe(`sha256=${mac}`);
  expect(JSON.parse(got[0]!.body)).toEqual({
    to: 'paying@x.example',
    kind: 'grace',
    name: 'garden',
  });
  status = 500;
  await expect(hook.tellAdmin('x')).rejects.toThrow('Cannot call the notice hook: answer 500');
  server.closeAllConnections();
  server.close();
});
