/**
 * The soak: `npm run soak -- [--minutes 30] [--subscribers 1000] [--kill-every 180] [--seed 1]`.
 * One real service with sources that flap, subscribers that check every answer, kill -9 and restart
 * every few minutes. Prints a line a minute, writes tests/bench/SOAK.md, exits 1 on a broken promise.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ask } from '../../peers/lib/http.ts';
import { reservePort } from '../../peers/lib/ports.ts';
import { type Life, startSoakService } from './service.ts';
import { type Seen, startSubscribers, type Subscription } from './subscribers.ts';
import { startSoakUpstream } from './upstream.ts';

const { values } = parseArgs({
  options: {
    'minutes': { type: 'string', default: '30' },
    'subscribers': { type: 'string', default: '1000' },
    'kill-every': { type: 'string', default: '180' },
    'seed': { type: 'string', default: '1' },
    'out': { type: 'string' },
    'keep': { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const FEEDS = 5;
const SOURCES = 4;
const MEAN_POLL_MS = 10_000;

const folder = await mkdtemp(join(tmpdir(), 'hackspace-soak-'));
const admin = randomBytes(24).toString('hex');
const password = `pw-${randomBytes(12).toString('hex')}`;
await writeFile(join(folder, 'admin'), admin);
await writeFile(join(folder, 'password'), password);
const upstream = await startSoakUpstream(Number(values.seed), minutes * 60_000 / 4);
const { port } = await reservePort();
const names = (feed: number) =>
  Array.from({ length: SOURCES }, (_, n) => `${n === 0 ? 'gone' : 's'}${feed}-${n}`);
const feeds = Array.from({ length: FEEDS }, (_, n) => ({ id: `feed-${n}`, sources: names(n) }));
await writeFile(join(folder, 'config.yaml'), configOf());

const service = await startSoakService(join(folder, 'config.yaml'), port, folder);
const kills: number[] = [];
const subscriptions = await subscribe(Number(values.subscribers));
const crowd = startSubscribers(service.url, subscriptions, upstream, MEAN_POLL_MS, kills);

const began = Date.now();
const ends = began + minutes * 60_000;
let nextKill = began + Number(values['kill-every']) * 1000;
let nextLine = began + 60_000;
while (Date.now() < ends) {
  await new Promise((done) => setTimeout(done, 250));
  if (Date.now() > nextKill && ends - Date.now() > 20_000) {
    // At any moment: in the middle of a fetch, a write, an answer.
    await new Promise((done) => setTimeout(done, Math.random() * 3_000));
    kills.push(Date.now());
    await service.crash();
    nextKill = Date.now() + Number(values['kill-every']) * 1000;
  }
  if (Date.now() > nextLine) {
    nextLine += 60_000;
    const { requests, violationCount, byStatus } = crowd.seen;
    const rss = service.lives.at(-1)!.rss.at(-1) ?? 0;
    process.stdout.write(
      `${Math.round((Date.now() - began) / 60_000)} min: ${requests} requests ` +
        `${JSON.stringify(byStatus)}, ${violationCount} broken promises, ` +
        `life ${service.lives.length}, ${mib(rss)} MiB\n`,
    );
  }
}
crowd.stop();
const health = (await ask(`${service.url}/api/feeds`, bearer())).json();
await writeFile(join(folder, 'health.json'), JSON.stringify(health, null, 1));
const exit = await service.stop();
await upstream.close();
const leaks = await leaked();
const report = reportOf(crowd.seen, service.lives, exit, leaks);
await writeFile(values.out ?? 'tests/bench/SOAK.md', report);
process.stdout.write(report);
const bad = crowd.seen.violationCount > 0 || leaks > 0 || exit !== 0 ||
  crowd.servedFeeds.size < FEEDS;
if (values.keep || bad) process.stdout.write(`Kept: ${folder}\n`);
else await rm(folder, { recursive: true });
process.exit(bad ? 1 : 0);

function configOf(): string {
  const source = (name: string) => `
      - id: ${name}
        url: ${upstream.origin}/${name}.ics
        refresh: 5s
        timeout: 6s
        allowPrivate: ['127.0.0.0/8']
        auth: {type: basic, username: soak, passwordFile: ${join(folder, 'password')}}`;
  const feed = ({ id, sources }: (typeof feeds)[number]) => `
  ${id}:
    name: Soak ${id}
    sources:${sources.map(source).join('')}`;
  return `listen: {host: 127.0.0.1, port: ${port}}
publicUrl: http://127.0.0.1:${port}
state: ${join(folder, 'state')}
admin: {tokenFile: ${join(folder, 'admin')}}
feeds:${feeds.map(feed).join('')}
`;
}

function bearer(): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${admin}` } };
}

async function subscribe(count: number): Promise<Subscription[]> {
  const made: Subscription[] = [];
  for (let n = 0; n < count; n++) {
    const feed = feeds[n % FEEDS]!;
    const view = n % 10 === 9 ? 'busy' : 'full';
    const body = { label: `subscriber ${n}`, view };
    const answer = await ask(`${service.url}/api/feeds/${feed.id}/tokens`, {
      method: 'POST',
      ...bearer(),
      body,
    });
    const token = new URL(answer.json().url).searchParams.get('token')!;
    made.push({ feed: feed.id, view, token, sources: feed.sources });
  }
  return made;
}

/** How many secrets the service's own output holds. */
async function leaked(): Promise<number> {
  const log = await readFile(service.logFile, 'utf8');
  const secrets = [admin, password, Buffer.from(`soak:${password}`).toString('base64')];
  for (const { token } of subscriptions) secrets.push(token);
  return secrets.filter((secret) => log.includes(secret)).length;
}

function mib(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

function percentile(numbers: number[], p: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN;
}

function reportOf(seen: Seen, lives: Life[], code: number | null, secrets: number): string {
  const rows = lives.map((life, n) => {
    const { rss } = life;
    const settled = rss.slice(2);
    return `| ${n + 1} | ${life.answeredMs} | ${life.readyMs} | ${mib(rss[0] ?? 0)} | ` +
      `${mib(percentile(settled, 0.5))} | ${mib(Math.max(0, ...rss))} | ${mib(rss.at(-1) ?? 0)} |`;
  });
  const counts = (table: Record<string, number>) =>
    Object.entries(table).toSorted(([, a], [, b]) => b - a).map(([k, v]) => `${k}: ${v}`).join(
      ', ',
    );
  return `# Soak

Written by \`node tests/bench/soak/run.ts --minutes ${values.minutes} --subscribers ${values.subscribers} --kill-every ${
    values['kill-every']
  } --seed ${values.seed}\`
on ${new Date().toISOString().slice(0, 10)}, ${cpus().length} x ${
    cpus()[0]?.model ?? 'unknown'
  }, Node ${process.version}; upstream and subscribers share the machine with the service.

${FEEDS} feeds of ${SOURCES} sources, each fetched about every 5 s, each changing every 7 s; the first of each feed is gone (404) after a quarter of the time. \`kill -9\` ${
    lives.length - 1
  } times, restarted at once.

| what | seen |
|---|---|
| requests | ${seen.requests} (${counts(seen.byStatus)}) |
| broken promises (no calendar, empty, a source missing, older than seen before, older than delivered ${10} s ago) | ${seen.violationCount} |
| secrets in the service's output | ${secrets} |
| 200 and 304: p50 / p99 / max | ${percentile(seen.latencies, 0.5)} / ${
    percentile(seen.latencies, 0.99)
  } / ${percentile(seen.latencies, 1)} ms |
| behind the upstream: p50 / p99 / max | ${percentile(seen.lag, 0.5)} / ${
    percentile(seen.lag, 0.99)
  } / ${percentile(seen.lag, 1)} s |
| what the upstream did | ${counts(upstream.shown)} |
| exit code at SIGTERM | ${code} |

\`refused\` and \`cut\` are requests during the seconds a killed service was away; 503 carries Retry-After.

Memory (resident, MiB) and start (ms), a row a life:

| life | first answer | ready | at 5 s | median | highest | at its end |
|---|---|---|---|---|---|---|
${rows.join('\n')}
${
    seen.violations.length > 0
      ? `\nBroken promises, the first of them:\n\n${
        seen.violations.slice(0, 30).map((v) => `- ${v}`).join('\n')
      }\n`
      : ''
  }`;
}
