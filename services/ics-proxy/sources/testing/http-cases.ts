import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, StalledError } from '@hackspace/kit/errors.ts';
import type { Lookup } from '../address.ts';
import { dial } from '../exchange.ts';
import { createSource, type FetchResult, type SourceDeps, sourceSchema } from '../source.ts';
import { CALENDAR, startFaultyUpstream, type Upstream } from './faulty-upstream.ts';

/**
 * The HTTP source against an upstream that is faulty on purpose, with no test framework, so that
 * Node, Deno and Bun all run it: `http.test.ts` and `tests/runtimes/sources.ts` are its launchers.
 */
export const cases: Record<string, (upstream: Upstream) => Promise<void>> = {};

const never = new AbortController().signal;
const PUBLIC = '93.184.216.34';

function source(config: Record<string, unknown>, deps: SourceDeps = {}) {
  return createSource(sourceSchema.parse({ id: 'space', ...config }), deps);
}

function from(upstream: Upstream, path: string, config: Record<string, unknown> = {}) {
  return source({ url: upstream.origin + path, allowPrivate: true, ...config });
}

async function failure(work: Promise<FetchResult>): Promise<AppError> {
  const error = await work.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof AppError, `expected an AppError, got ${error}`);
  assert.match(error.message, /^Cannot fetch source space: [^\n]*[^.\n]$/);
  assert.doesNotMatch(error.message, /127\.0\.0\.1|https?:\/\//);
  return error;
}

const text = (result: FetchResult) =>
  result.status === 'fresh' ? Buffer.from(result.bytes).toString() : '(unchanged)';

cases['gives the bytes as they are'] = async (upstream) => {
  const result = await from(upstream, '/ok').fetch(undefined, never);
  assert.equal(text(result), CALENDAR);
  const agent = upstream.seen.at(-1)!.headers['user-agent'];
  assert.match(String(agent), /^Mozilla\/5\.0 \(compatible; /);
};

cases['asks with the validators of last time'] = async (upstream) => {
  const first = await from(upstream, '/validators').fetch(undefined, never);
  assert.equal(first.validators.etag, '"v1"');
  const second = await from(upstream, '/validators').fetch(first.validators, never);
  assert.equal(second.status, 'unchanged');
  assert.equal(upstream.seen.at(-1)!.headers['if-none-match'], '"v1"');
  assert.equal(upstream.seen.at(-1)!.headers['if-modified-since'], 'Mon, 23 Nov 2026 10:00:00 GMT');
};

cases['forgets validators when the config names another place'] = async (upstream) => {
  const first = await from(upstream, '/validators').fetch(undefined, never);
  await from(upstream, '/ok').fetch(first.validators, never);
  assert.equal(upstream.seen.at(-1)!.headers['if-none-match'], undefined);
};

cases['takes the same bytes without validators as unchanged'] = async (upstream) => {
  const first = await from(upstream, '/ok').fetch(undefined, never);
  const second = await from(upstream, '/ok').fetch(first.validators, never);
  assert.equal(second.status, 'unchanged');
};

cases['refuses a 304 it did not ask for'] = async (upstream) => {
  const error = await failure(from(upstream, '/304').fetch(undefined, never));
  assert.match(error.message, /304/);
};

for (const path of ['/lower-case', '/bom', '/as-html']) {
  cases[`takes ${path.slice(1)}`] = async (upstream) => {
    assert.equal((await from(upstream, path).fetch(undefined, never)).status, 'fresh');
  };
}

for (const path of ['/gzip', '/deflate', '/deflate-raw', '/br', '/zstd']) {
  cases[`decodes ${path.slice(1)} where the runtime can`] = async (upstream) => {
    const zlib = await import('node:zlib');
    if (path === '/zstd' && typeof zlib.createZstdDecompress !== 'function') return;
    const result = await from(upstream, path).fetch(undefined, never);
    assert.equal(text(result).length, CALENDAR.length - 9 + 200_000);
  };
}

const FAULTS: [path: string, why: RegExp, config?: Record<string, unknown>][] = [
  ['/html', /answer is HTML/],
  ['/xml', /answer is XML/],
  ['/text', /holds no BEGIN:VCALENDAR/],
  ['/empty', /answer is empty/],
  ['/204', /answer is 204/],
  ['/206', /answer is 206/],
  ['/418', /answer is 418/],
  ['/no-end', /truncated/],
  ['/second-cut', /truncated/],
  ['/end-in-value', /truncated/],
  ['/short', /cut/],
  ['/cut-chunks', /cut/],
  ['/dies', /cut/],
  ['/hangs', /no complete answer within 0\.6 s/, { timeout: '600ms' }],
  ['/silent', /silent|within/, { timeout: '600ms' }],
  ['/drip', /no complete answer within 0\.6 s/, { timeout: '600ms' }],
  ['/endless', /larger than 2000000 bytes/, { maxBytes: 2_000_000 }],
  ['/gzip', /larger than 100000 bytes/, { maxBytes: 100_000 }],
  ['/bad-gzip', /not valid gzip/],
  ['/cut-gzip', /not valid gzip/],
  ['/unknown-coding', /unknown content coding/],
  ['/loop', /more than 5 redirects/],
  ['/lost', /without a usable location/],
  ['/?to=ftp://example.org/', /not http/],
  ['/?to=http://u:p@example.org/', /credentials in its URL/],
  ['/fat-headers', /headers are too large|network error|cut/],
];
for (const [path, why, config] of FAULTS) {
  cases[`reports ${path} ${config ? JSON.stringify(config) : ''}`] = async (upstream) => {
    assert.match(
      (await failure(from(upstream, path, config).fetch(undefined, never))).message,
      why,
    );
  };
}

for (const path of ['/401', '/403', '/404', '/410']) {
  cases[`needs a human for ${path.slice(1)}`] = async (upstream) => {
    const error = await failure(from(upstream, path).fetch(undefined, never));
    assert.ok(error instanceof StalledError);
  };
}

cases['passes on Retry-After, in seconds or as a date'] = async (upstream) => {
  assert.equal((await failure(from(upstream, '/429').fetch(undefined, never))).retryAfter, 120);
  const dated = (await failure(from(upstream, '/503').fetch(undefined, never))).retryAfter!;
  assert.ok(dated > 3000 && dated <= 3601, String(dated));
};

for (const path of ['/bomb-gzip', '/bomb-br']) {
  cases[`stays small under ${path.slice(1)}`] = async (upstream) => {
    const before = process.memoryUsage().rss;
    const error = await failure(from(upstream, path).fetch(undefined, never));
    assert.match(error.message, /larger than 26214400 bytes/);
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 200 * 1024 * 1024, `memory grew by ${grown} bytes`);
  };
}

cases['stops when it is told to'] = async (upstream) => {
  const controller = new AbortController();
  const work = failure(from(upstream, '/hangs').fetch(undefined, controller.signal));
  setTimeout(() => controller.abort(), 30);
  assert.match((await work).message, /cancelled/);
  assert.match(
    (await failure(from(upstream, '/ok').fetch(undefined, controller.signal))).message,
    /cancelled/,
  );
};

cases['reports a closed port'] = async () => {
  const gone = await startFaultyUpstream();
  await gone[Symbol.asyncDispose]();
  const error = await failure(from(gone, '/ok').fetch(undefined, never));
  assert.match(error.message, /connection refused/);
};

// --- where a source may connect to -----------------------------------------------------------

/** Public names lead to the faulty upstream: the decision is real, the connection is not. */
function staged(upstream: Upstream, names: Record<string, string[][]>) {
  const dialled: string[] = [];
  const asked: string[] = [];
  const lookup: Lookup = async (name) => {
    asked.push(name);
    const answers = names[name] ?? [];
    const addresses = answers.length > 1 ? answers.shift()! : answers[0] ?? [];
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  const deps: SourceDeps = {
    lookup,
    dial(protocol, options) {
      dialled.push(`${protocol}//${options.host}:${options.port}`);
      if (options.host !== PUBLIC) return dial(protocol, options);
      const { servername: _, ca: __, ...rest } = options;
      return dial('http:', { ...rest, host: '127.0.0.1', port: upstream.port, family: 4 });
    },
  };
  return { deps, dialled, asked };
}

cases['connects to the address it judged, whatever DNS says next'] = async (upstream) => {
  const { deps, dialled, asked } = staged(upstream, {
    'feed.example': [[PUBLIC], ['127.0.0.1']],
  });
  const it = source({ url: 'http://feed.example/ok' }, deps);
  assert.equal((await it.fetch(undefined, never)).status, 'fresh');
  assert.deepEqual(dialled, [`http://${PUBLIC}:80`]);
  assert.deepEqual(asked, ['feed.example']);
  assert.equal(upstream.seen.at(-1)!.headers.host, 'feed.example');
  const error = await failure(it.fetch(undefined, never));
  assert.match(error.message, /address is loopback/);
  assert.ok(error instanceof StalledError);
  assert.equal(dialled.length, 1);
};

cases['refuses a host when one of its addresses is private'] = async (upstream) => {
  const { deps, dialled } = staged(upstream, { 'feed.example': [[PUBLIC, '10.0.0.1']] });
  const it = source({ url: 'https://feed.example/ok' }, deps);
  assert.match((await failure(it.fetch(undefined, never))).message, /address is private/);
  assert.deepEqual(dialled, []);
};

cases['tries the next address when one does not answer'] = async (upstream) => {
  const gone = await startFaultyUpstream();
  await gone[Symbol.asyncDispose]();
  const dialled: unknown[] = [];
  const it = source({ url: 'http://feed.example/ok' }, {
    lookup: async () => [{ address: '93.184.216.35', family: 4 }, { address: PUBLIC, family: 4 }],
    dial(protocol, options) {
      dialled.push(options.host);
      const port = options.host === PUBLIC ? upstream.port : gone.port;
      return dial(protocol, { ...options, host: '127.0.0.1', port });
    },
  });
  assert.equal((await it.fetch(undefined, never)).status, 'fresh');
  assert.deepEqual(dialled, ['93.184.216.35', PUBLIC]);
};

const PRIVATE_HOSTS = [
  '127.0.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '127.1',
  '127.0.0.1.',
  'localhost',
  'localhost.',
  '0.0.0.0',
  '0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[2002:7f00:1::]',
];

cases['never connects to a private listener, directly or by redirect'] = async (upstream) => {
  await using listener = await startFaultyUpstream();
  for (const host of PRIVATE_HOSTS) {
    const place = `http://${host}:${listener.port}/ok`;
    const direct = source({ url: place });
    await failure(direct.fetch(undefined, never));
    const { deps } = staged(upstream, {
      'feed.example': [[PUBLIC]],
      'localhost': [['127.0.0.1']],
      'localhost.': [['127.0.0.1']],
    });
    const hopping = source({ url: `http://feed.example/?to=${encodeURIComponent(place)}` }, deps);
    const error = await failure(hopping.fetch(undefined, never));
    assert.match(error.message, /address is/);
    assert.ok(!(error instanceof StalledError), 'a redirect may be gone tomorrow');
  }
  assert.equal(listener.connections(), 0);
  const granted = source({
    url: `http://127.0.0.1:${listener.port}/ok`,
    allowPrivate: ['127.0.0.0/8'],
  });
  assert.equal((await granted.fetch(undefined, never)).status, 'fresh');
  assert.equal(listener.connections(), 1);
  const elsewhere = source({
    url: `http://127.0.0.1:${listener.port}/ok`,
    allowPrivate: ['10.0.0.0/8'],
  });
  await failure(elsewhere.fetch(undefined, never));
  assert.equal(listener.connections(), 1);
};

cases['ignores the proxy of the environment'] = async (upstream) => {
  await using proxy = await startFaultyUpstream();
  const before = { ...process.env };
  Object.assign(process.env, {
    HTTP_PROXY: proxy.origin,
    http_proxy: proxy.origin,
    NODE_USE_ENV_PROXY: '1',
  });
  try {
    assert.equal((await from(upstream, '/ok').fetch(undefined, never)).status, 'fresh');
    assert.equal(proxy.connections(), 0);
  } finally {
    for (const name of ['HTTP_PROXY', 'http_proxy', 'NODE_USE_ENV_PROXY']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
};

// --- credentials -----------------------------------------------------------------------------

async function withSecret<T>(secret: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sources-'));
  try {
    const file = join(folder, 'secret');
    await writeFile(file, secret);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

cases['sends Basic at once, and notices a rotated file'] = (upstream) =>
  withSecret('pa:ss\n', async (file) => {
    const auth = { type: 'basic', username: 'ada', passwordFile: file };
    const it = from(upstream, '/basic', { auth });
    assert.equal((await it.fetch(undefined, never)).status, 'fresh');
    await writeFile(file, 'other');
    const error = await failure(it.fetch(undefined, never));
    assert.ok(error instanceof StalledError);
    assert.doesNotMatch(error.message, /other|pa:ss/);
    await writeFile(file, 'pa:ss');
    assert.equal((await it.fetch(undefined, never)).status, 'fresh');
  });

cases['keeps credentials from another origin, and from coming back'] = (upstream) =>
  withSecret('s3cret', async (file) => {
    await using other = await startFaultyUpstream();
    const back = `${upstream.origin}/ok`;
    const auth = { type: 'bearer', tokenFile: file };
    const there = encodeURIComponent(`${other.origin}/?to=${encodeURIComponent(back)}`);
    await from(upstream, `/?to=${there}`, { auth }).fetch(undefined, never);
    assert.equal(upstream.seen.at(-2)!.headers.authorization, 'Bearer s3cret');
    assert.equal(other.seen.at(-1)!.headers.authorization, undefined);
    assert.equal(upstream.seen.at(-1)!.headers.authorization, undefined);
    const same = await from(upstream, '/?to=/ok', { auth }).fetch(undefined, never);
    assert.equal(same.status, 'fresh');
    assert.equal(upstream.seen.at(-1)!.headers.authorization, 'Bearer s3cret');
  });

cases['refuses https to http while credentials are set'] = (upstream) =>
  withSecret('s3cret', async (file) => {
    const { deps, dialled } = staged(upstream, { 'feed.example': [[PUBLIC]] });
    const auth = { type: 'bearer', tokenFile: file };
    const url = `https://feed.example/?to=${encodeURIComponent('http://feed.example/ok')}`;
    const error = await failure(source({ url, auth }, deps).fetch(undefined, never));
    assert.match(error.message, /from https to http/);
    assert.deepEqual(dialled, [`https://${PUBLIC}:443`]);
    assert.equal((await source({ url }, deps).fetch(undefined, never)).status, 'fresh');
  });

cases['never falls from Digest to Basic'] = (upstream) =>
  withSecret('s3cret', async (file) => {
    const auth = { type: 'digest', username: 'ada', passwordFile: file };
    const error = await failure(from(upstream, '/basic-only', { auth }).fetch(undefined, never));
    assert.match(error.message, /Basic only/);
    const asked = upstream.seen.filter((request) => request.path === '/basic-only');
    assert.deepEqual(asked.map((request) => request.headers.authorization), [undefined]);
  });

cases['says which secret file is missing'] = async (upstream) => {
  const auth = { type: 'bearer', tokenFile: '/nonexistent/token' };
  const error = await failure(from(upstream, '/ok', { auth }).fetch(undefined, never));
  assert.match(error.message, /\/nonexistent\/token/);
  assert.ok(error instanceof StalledError);
};
