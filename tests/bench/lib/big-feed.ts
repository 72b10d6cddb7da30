import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeCalendar } from './calendars.ts';
import { type Measurement, percentile } from './measure.ts';
import { ADMIN, memory, seedToken, startService, until200 } from './service.ts';

const SOURCES = 5;
const EVENTS = 4100;

/**
 * One feed of 15 MB whose sources all change, again and again, while it is fetched plain and
 * compressed; a small feed beside it is asked all the time.
 */
export async function bigFeed(
  root: string,
  refreshes: number,
  env: Record<string, string>,
  report: (row: Pick<Measurement, 'case' | 'us' | 'unit'>) => void,
): Promise<void> {
  const folder = join(root, 'big', ...Object.keys(env));
  await mkdir(folder, { recursive: true });
  const bodies = Array.from(
    { length: SOURCES },
    (_, source) => [0, 50].map((changed) => makeCalendar({ source, events: EVENTS, changed })),
  );
  const small = makeCalendar({ source: 99, events: 20 });
  let version = 0;
  const upstream = createServer(({ url = '' }, response) => {
    response.end(bodies[Number(url.slice(1))]?.[version % 2] ?? small);
  });
  await new Promise<void>((done) => upstream.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const source = (id: string) => ({ id, url: `${origin}/${id}`, allowPrivate: true });
  const service = await startService(folder, {
    feeds: {
      big: { name: 'Big', budgetBytes: 64_000_000, sources: bodies.map((_, n) => source(`${n}`)) },
      small: { name: 'Small', sources: [source('small')] },
    },
  }, env);
  try {
    const urlOf = async (feed: string) =>
      `${service.url}/proxy/${feed}.ics?token=${await seedToken(folder, feed)}`;
    const [big, little] = [await urlOf('big'), await urlOf('small')];
    await until200(big);
    await until200(little);
    let going = true;
    const took: number[] = [];
    const asked = loop(() => going, async () => {
      const started = performance.now();
      await get(little, 'identity');
      took.push(performance.now() - started);
      await new Promise((done) => setTimeout(done, 10));
    });
    let fetched = 0;
    const served = loop(() => going, async () => {
      const size = await get(big, fetched % 2 ? 'gzip, br' : 'identity');
      if (size < 14_000_000) throw new Error(`the big feed has ${size} bytes`);
      fetched++;
    });
    const times: number[] = [];
    for (let n = 0; n < refreshes; n++) {
      version++;
      const started = performance.now();
      const response = await fetch(`${service.url}/api/feeds/big/refresh`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN}` },
      });
      if (response.status !== 200) throw new Error(`refresh answered ${response.status}`);
      await response.arrayBuffer();
      times.push(performance.now() - started);
    }
    const { most } = await memory(service.pid);
    going = false;
    await Promise.all([asked, served]);
    const text = await (await fetch(big)).text();
    if (text.includes('(moved)') !== (version % 2 === 1)) throw new Error('a refresh got lost');
    const set = Object.entries(env).map(([key, value]) => `, ${key}=${value}`).join('');
    const what = `15 MB feed of ${SOURCES * EVENTS} events, ${SOURCES} sources${set}`;
    report({ case: `${what}: most memory that was resident`, us: most, unit: 'MB' });
    report({
      case: `${what}: all sources changed, fetched, merged, compressed and served`,
      us: percentile(times, 50),
      unit: 'ms',
    });
    report({
      case: `${what}: p99 of a warm GET of a small feed meanwhile`,
      us: percentile(took, 99),
      unit: 'ms',
    });
  } finally {
    await service.stop();
    upstream.close();
    upstream.closeAllConnections();
  }
}

async function loop(going: () => boolean, work: () => Promise<void>): Promise<void> {
  while (going()) await work();
}

/** The size of the decoded answer. */
async function get(url: string, encoding: string): Promise<number> {
  const response = await fetch(url, { headers: { 'accept-encoding': encoding } });
  if (response.status !== 200) throw new Error(`GET answered ${response.status}`);
  return (await response.arrayBuffer()).byteLength;
}
