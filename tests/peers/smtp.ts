/** A mail server that delivers nowhere (npm's smtp-server): what was sent can be read; failures on request. */
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { Peer } from './lib/peer.ts';

export const smtp: Peer = {
  name: 'smtp',
  version: '3.21.6',
  had: 'npm package smtp-server, in the test process: a protocol implementation, no mail program',
  builds: [],
  command: 'npm ci',
  missing: () => undefined,
};

export interface Mail {
  from: string;
  to: string[];
  /** Headers and body as they came. */
  raw: string;
  /** True when the client had turned on TLS. */
  secure: boolean;
}

export interface SmtpOptions {
  /** Required of the client, over plain loopback. */
  login?: { username: string; password: string };
}

export interface Smtp extends AsyncDisposable {
  /** `smtp://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly mails: readonly Mail[];
  /** The next `times` mails are answered with this code (451 come again, 550 never); default one. */
  refuse(code: number, times?: number): void;
  stop(): Promise<void>;
}

export async function startSmtp({ login }: SmtpOptions = {}): Promise<Smtp> {
  const mails: Mail[] = [];
  const refusals: number[] = [];
  const server = new SMTPServer({
    authOptional: !login,
    disabledCommands: ['STARTTLS', ...(login ? [] : ['AUTH'])],
    allowInsecureAuth: true,
    size: 1024 * 1024,
    onAuth({ username, password }, _session, callback) {
      const good = username === login?.username && password === login?.password;
      callback(good ? null : new Error('535 wrong name or password'), { user: username });
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const code = refusals.shift();
        if (code !== undefined) {
          const error = Object.assign(new Error('refused as asked'), { responseCode: code });
          return callback(error);
        }
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map((each) => each.address),
          raw: Buffer.concat(chunks).toString('utf8'),
          secure: session.secure,
        });
        callback();
      });
    },
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', done);
  });
  const { port } = server.server.address() as AddressInfo;
  const end = () => new Promise<void>((done) => server.close(done));
  return {
    url: `smtp://127.0.0.1:${port}`,
    port,
    mails,
    refuse: (code, times = 1) => void refusals.push(...Array(times).fill(code)),
    stop: end,
    [Symbol.asyncDispose]: end,
  };
}
