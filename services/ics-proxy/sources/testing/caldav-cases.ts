import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, StalledError } from '@hackspace/kit/errors.ts';
import { createSource, type FetchResult, sourceSchema } from '../source.ts';
import { CALENDAR, startFaultyUpstream } from './faulty-upstream.ts';
import {
  calendar,
  gone,
  home,
  type HostileCaldav,
  member,
  multistatus,
  principal,
  startHostileCaldav,
} from './hostile-caldav.ts';

/** The CalDAV source against a simulator that lies, with no test framework: all runtimes run it. */
export const cases: Record<string, () => Promise<void>> = {};

const never = new AbortController().signal;

function of(server: HostileCaldav, path = '/c/', config: object = {}) {
  const url = server.origin + path;
  return createSource(
    sourceSchema.parse({ id: 'dav', type: 'caldav', url, allowPrivate: true, ...config }),
  );
}

async function failure(work: Promise<FetchResult>): Promise<AppError> {
  const error = await work.then(() => undefined, (error: unknown) => error);
  assert.ok(error instanceof AppError, `expected an AppError, got ${error}`);
  assert.doesNotMatch(error.message, /127\.0\.0\.1|https?:\/\//);
  return error;
}

const text = (result: FetchResult) =>
  result.status === 'fresh' ? Buffer.from(result.bytes).toString() : '(unchanged)';

cases['follows a well-behaved server'] = async () => {
  await using server = await startHostileCaldav();
  const first = await of(server).fetch(undefined, never);
  assert.equal(text(first), CALENDAR);
  const body = async () => first.status === 'fresh' ? first.bytes : undefined;
  const second = await of(server).fetch(first.validators, never, body);
  // its token and ETag have changed, what it holds has not
  assert.equal(second.status, 'unchanged');
  assert.deepEqual(server.questions.slice(-3).map((q) => [q.kind, q.token]), [
    ['discover', ''],
    ['sync', 't2'],
    ['multiget', ''],
  ]);
};

const ELSEWHERE: Record<string, (there: string) => Parameters<HostileCaldav['behave']>[0]> = {
  'a principal': (there) => (q) =>
    q.kind === 'discover' ? multistatus(principal(there)) : undefined,
  'a home': (there) => (q) => q.kind === 'discover' ? multistatus(home(there)) : undefined,
  'a calendar': (there) => (q) =>
    q.kind === 'discover'
      ? multistatus(q.depth === '1' ? calendar(there, 't') : home('/home/'))
      : undefined,
  'a member': (there) => (q) =>
    q.kind === 'sync' ? multistatus(member(there, '"1"'), '<sync-token>t</sync-token>') : undefined,
  'a deletion': (there) => (q) =>
    q.kind === 'sync' ? multistatus(gone(there), '<sync-token>t</sync-token>') : undefined,
  'a body': (there) => (q) =>
    q.kind === 'multiget' ? multistatus(member(there, '"1"', CALENDAR)) : undefined,
  'a redirect': (there) => () => ({ status: 301, headers: { location: there } }),
};
for (const [what, behaviour] of Object.entries(ELSEWHERE)) {
  cases[`goes nowhere else for ${what}, nor shows credentials there`] = async () => {
    await using server = await startHostileCaldav();
    await using listener = await startFaultyUpstream();
    const folder = await mkdtemp(join(tmpdir(), 'dav-'));
    try {
      const tokenFile = join(folder, 'token');
      await writeFile(tokenFile, 's3cret');
      const auth = { type: 'bearer', tokenFile };
      for (const there of [`${listener.origin}/c/a.ics`, `//127.0.0.1:${listener.port}/c/a.ics`]) {
        server.behave(behaviour(there));
        const error = await failure(of(server, '/c/', { auth }).fetch(undefined, never));
        assert.ok(error instanceof StalledError, error.message);
        assert.match(error.message, /another origin/);
      }
      // A redirect is looked at, as it may lead on; it is asked without credentials.
      for (const { headers } of listener.seen) assert.equal(headers.authorization, undefined);
      if (what !== 'a redirect') assert.equal(listener.connections(), 0);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
}

cases['goes on where the server truncates (507)'] = async () => {
  await using server = await startHostileCaldav();
  server.behave((q) => {
    if (q.kind !== 'sync') return undefined;
    const n = Number(q.token.slice(1) || 0);
    return n < 5
      ? multistatus(
        member(`/c/${n}.ics`, `"${n}"`),
        gone('/c/', '507 Insufficient Storage'),
        `<sync-token>p${n + 1}</sync-token>`,
      )
      : multistatus(member('/c/last.ics', '"l"'), '<sync-token>end</sync-token>');
  });
  const result = await of(server).fetch(undefined, never);
  assert.equal(text(result).match(/BEGIN:VCALENDAR/g)?.length, 6);
};

cases['ends a sync that never ends, or goes in a circle'] = async () => {
  await using server = await startHostileCaldav();
  let n = 0;
  const more = (token: () => string): Parameters<HostileCaldav['behave']>[0] => (q) =>
    q.kind === 'sync'
      ? multistatus(gone('/c/', '507 x'), `<sync-token>${token()}</sync-token>`)
      : undefined;
  server.behave(more(() => `n${n++}`));
  assert.match((await failure(of(server).fetch(undefined, never))).message, /did not end after/);
  server.behave(more(() => 'same'));
  assert.match((await failure(of(server).fetch(undefined, never))).message, /no way to go on/);
};

for (const status of [400, 403, 409, 410, 412, 415, 500]) {
  cases[`starts anew when a token is refused with ${status}`] = async () => {
    await using server = await startHostileCaldav();
    const first = await of(server).fetch(undefined, never);
    server.behave((q) => q.kind === 'sync' && q.token !== '' ? { status } : undefined);
    const before = server.questions.length;
    await of(server).fetch(first.validators, never, async () => undefined);
    assert.ok(server.questions.slice(before).some((q) => q.kind === 'sync' && q.token === ''));
  };
}

cases['starts anew with a token that was refused, bodies kept'] = async () => {
  await using server = await startHostileCaldav();
  const first = await of(server).fetch(undefined, never);
  const bytes = first.status === 'fresh' ? first.bytes : undefined;
  server.behave((q) => q.kind === 'sync' && q.token !== '' ? { status: 409 } : undefined);
  const second = await of(server).fetch(first.validators, never, async () => bytes);
  assert.equal(second.status, 'unchanged');
  assert.deepEqual(
    server.questions.filter((q) => q.kind === 'sync').map((q) => q.token),
    ['', 't2', ''],
  );
};

cases['lists where sync is not known, and says when even that fails'] = async () => {
  await using server = await startHostileCaldav();
  server.behave((q) => q.kind === 'sync' ? { status: 501 } : undefined);
  assert.equal(text(await of(server).fetch(undefined, never)), CALENDAR);
  server.behave((q) => q.kind === 'sync' || q.kind === 'list' ? { status: 500 } : undefined);
  assert.match((await failure(of(server).fetch(undefined, never))).message, /answer is 500/);
};

cases['waits as long as it is told to, at any step'] = async () => {
  for (const kind of ['discover', 'sync', 'multiget']) {
    await using server = await startHostileCaldav();
    server.behave((q) =>
      q.kind === kind ? { status: 503, headers: { 'retry-after': '77' } } : undefined
    );
    assert.equal((await failure(of(server).fetch(undefined, never))).retryAfter, 77);
  }
};

cases['keeps the older copy of a body that went bad, and asks for it again'] = async () => {
  await using server = await startHostileCaldav();
  const first = await of(server).fetch(undefined, never);
  const bytes = first.status === 'fresh' ? first.bytes : undefined;
  server.behave((q) =>
    q.kind === 'multiget' ? multistatus(member('/c/a.ics', '"2"', '<html>')) : undefined
  );
  const second = await of(server).fetch(first.validators, never, async () => bytes);
  assert.equal(second.status, 'unchanged');
  server.behave((q) =>
    q.kind === 'discover'
      ? multistatus(calendar('/c/', 't2'))
      : q.kind === 'multiget'
      ? multistatus(member('/c/a.ics', '"3"', CALENDAR.replace('Soldering', 'Welding')))
      : undefined
  );
  const third = await of(server).fetch(second.validators, never, async () => bytes);
  assert.match(text(third), /Welding/);
};

cases['leaves out a body that was never good, and says so'] = async () => {
  await using server = await startHostileCaldav();
  server.behave((q) => {
    if (q.kind === 'sync') {
      return multistatus(
        member('/c/a.ics', '"1"'),
        member('/c/b.ics', '"1"'),
        member('/c/c.ics', '"1"'),
        '<sync-token>t</sync-token>',
      );
    }
    if (q.kind !== 'multiget') return undefined;
    return multistatus(
      member('/c/a.ics', '"1"', CALENDAR),
      member('/c/b.ics', '"1"', 'BEGIN:VCALENDAR'),
    );
  });
  const result = await of(server).fetch(undefined, never);
  assert.equal(text(result), CALENDAR);
  assert.deepEqual(result.status === 'fresh' && result.warnings, [
    'Left out b.ics: it is truncated: END:VCALENDAR is missing',
    'Left out c.ics: server did not send it',
  ]);
};

cases['an emptied calendar is empty, a vanished one an error'] = async () => {
  await using server = await startHostileCaldav();
  server.behave((q) => q.kind === 'sync' ? multistatus('<sync-token>t</sync-token>') : undefined);
  assert.equal(text(await of(server).fetch(undefined, never)), '');
  server.behave(() => ({ status: 404 }));
  assert.ok((await failure(of(server).fetch(undefined, never))) instanceof StalledError);
  server.behave(() => ({ status: 200, body: '<html>log in</html>' }));
  assert.match((await failure(of(server).fetch(undefined, never))).message, /not a multistatus/);
};

cases['bounds what a server can make of it'] = async () => {
  await using server = await startHostileCaldav();
  const sync = (body: string): Parameters<HostileCaldav['behave']>[0] => (q) =>
    q.kind === 'sync' ? multistatus(body, '<sync-token>t</sync-token>') : undefined;
  server.behave(sync(Array.from({ length: 50_001 }, (_, n) => member(`/c/${n}`, '"1"')).join('')));
  assert.match(
    (await failure(of(server).fetch(undefined, never))).message,
    /more than 50000 objects/,
  );
  server.behave(sync(`<x>${'y'.repeat(3_000_000)}</x>`));
  const small = of(server, '/c/', { maxBytes: 1_000_000 });
  assert.match((await failure(small.fetch(undefined, never))).message, /larger than 1000000 bytes/);
  server.behave(sync('<x>'.repeat(500_000)));
  assert.match((await failure(of(server).fetch(undefined, never))).message, /well-formed/);
  server.behave(sync(member('/c/a', '"1"').repeat(3)));
  const many = Array.from({ length: 51 }, (_, n) => calendar(`/h/${n}/`)).join('');
  server.behave((q) =>
    q.kind === 'discover' ? multistatus(q.depth === '1' ? many : home('/h/')) : undefined
  );
  assert.match(
    (await failure(of(server).fetch(undefined, never))).message,
    /more than 50 calendars/,
  );
};

cases['bodies together may not pass the cap either'] = async () => {
  await using server = await startHostileCaldav();
  const event = CALENDAR.replace('Soldering', 'x'.repeat(4_000));
  server.behave((q) => {
    if (q.kind === 'sync') {
      const all = Array.from({ length: 300 }, (_, n) => member(`/c/${n}.ics`, '"1"'));
      return multistatus(...all, '<sync-token>t</sync-token>');
    }
    return q.kind === 'multiget'
      ? multistatus(...q.hrefs.map((href) => member(href, '"1"', event)))
      : undefined;
  });
  const error = await failure(of(server, '/c/', { maxBytes: 1_000_000 }).fetch(undefined, never));
  assert.match(error.message, /larger than 1000000 bytes/);
};
