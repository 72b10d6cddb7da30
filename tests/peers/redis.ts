/** Redis, or Valkey where that is what the system has. */
import { createConnection } from 'node:net';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';
import { type Child, openSandbox } from './lib/sandbox.ts';

const program = () => findProgram('valkey-server') ?? findProgram('redis-server');

export const redis = systemPeer({
  name: 'redis',
  had: 'Debian package (Valkey, else Redis)',
  command: 'apt-get install --no-install-recommends valkey-server (or: redis-server)',
  find: program,
});

export interface RedisOptions {
  password?: string;
  /** Default false. True keeps every write on disk across a restart. */
  persist?: boolean;
}

export interface Redis extends AsyncDisposable {
  /** `redis://[:password@]127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly process: Child;
  /** One command, raw: the answer in RESP. */
  command(...words: string[]): Promise<string>;
  stop(): Promise<void>;
}

export async function startRedis({ password, persist = false }: RedisOptions = {}): Promise<Redis> {
  const path = program();
  if (!path) throw new Error(`Cannot start Redis: ${redis.missing()}; ${redis.command}`);
  const sandbox = await openSandbox('redis');
  try {
    const port = await sandbox.port();
    const words = (...line: string[]) => exchange(port, password, line);
    const keep = persist ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
    const child = await sandbox.spawn('redis', path, [
      ...['--bind', '127.0.0.1', '--port', String(port), '--dir', sandbox.folder, '--save', ''],
      ...['--daemonize', 'no', ...keep, ...(password ? ['--requirepass', password] : [])],
    ], { ready: () => words('PING').then((answer) => answer.includes('PONG'), () => false) });
    const secret = password ? `:${encodeURIComponent(password)}@` : '';
    const end = () => sandbox.end();
    return {
      url: `redis://${secret}127.0.0.1:${port}`,
      port,
      process: child,
      command: words,
      stop: end,
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

/** RESP by hand, so that readiness needs no client. */
function exchange(port: number, password: string | undefined, words: string[]): Promise<string> {
  const encode = (line: string[]) =>
    `*${line.length}\r\n${line.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`;
  return new Promise((done, fail) => {
    const socket = createConnection(port, '127.0.0.1');
    let answer = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer from Redis in 5 s')));
    socket.setEncoding('utf8').on('data', (text: string) => answer += text);
    socket.on('error', fail);
    socket.on('end', () => done(answer.replace(/\+OK\r\n$/, '')));
    const lines = [...(password ? [['AUTH', password]] : []), words, ['QUIT']];
    socket.write(lines.map(encode).join(''));
  });
}
