import { Agent, type IncomingMessage, request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { SoakUpstream } from './upstream.ts';

export interface Subscription {
  feed: string;
  view: 'full' | 'busy';
  token: string;
  sources: string[];
}

export interface Seen {
  requests: number;
  byStatus: Record<string, number>;
  /** Broken promises, in words; the first hundred. */
  violations: string[];
  violationCount: number;
  /** Milliseconds of 200 and 304 answers. */
  latencies: number[];
  /** Seconds between an upstream's version and its being served, at each full answer, per source. */
  lag: number[];
}

/** The proxy has so long to fetch, keep, merge and publish what an upstream gave it whole. */
const PUBLISH_MS = 10_000;
const VERSION_MS = 7_000;

/**
 * Subscribers that poll at their own pace and hold every answer against what was promised: a 200 is a
 * whole calendar, never empty, with every source in it; no answer is older than what any subscriber
 * has seen before, across restarts, nor than what the upstream delivered a while ago.
 */
export function startSubscribers(
  url: string,
  subscriptions: Subscription[],
  upstream: SoakUpstream,
  meanMs: number,
  /** Deliveries next to a kill may be lost with it; when the service was killed, epoch ms. */
  kills: number[],
) {
  const agent = new Agent({ keepAlive: true, maxSockets: 200 });
  const seen: Seen = {
    requests: 0,
    byStatus: {},
    violations: [],
    violationCount: 0,
    latencies: [],
    lag: [],
  };
  /** Highest version any subscriber has been shown, by `feed/source`. */
  const floor = new Map<string, number>();
  const served = new Set<string>();
  let stopped = false;
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const began = Date.now();

  function violate(what: string): void {
    seen.violationCount++;
    if (seen.violations.length < 100) {
      seen.violations.push(`${((Date.now() - began) / 1000).toFixed(1)} s: ${what}`);
    }
  }

  function mustHave(source: string, at: number): number {
    const ripe = (upstream.deliveries.get(source) ?? []).filter((delivery) =>
      delivery.at < at - PUBLISH_MS &&
      !kills.some((kill) => kill > delivery.at - 1_000 && kill < delivery.at + PUBLISH_MS)
    );
    return ripe.at(-1)?.version ?? -1;
  }

  function examine(who: Subscription, text: string): Map<string, number> | undefined {
    if (!text.startsWith('BEGIN:VCALENDAR\r\n') || !text.endsWith('\r\nEND:VCALENDAR\r\n')) {
      violate(`${who.feed}: 200 is no whole calendar: ${JSON.stringify(text.slice(0, 60))}`);
      return undefined;
    }
    const events = text.match(/^BEGIN:VEVENT\r$/gm)?.length ?? 0;
    if (events === 0) violate(`${who.feed}: 200 with an empty calendar`);
    if (who.view === 'busy') {
      if (/version \d|workbench/.test(text)) violate(`${who.feed}: busy view tells what it is`);
      return undefined;
    }
    const versions = new Map<string, number>();
    for (const match of text.matchAll(/^SUMMARY:(?:.* )?(\S+) version (\d+)\r$/gm)) {
      versions.set(match[1]!, Number(match[2]));
    }
    const whole = versions.size * 61;
    if (events !== whole) violate(`${who.feed}: ${events} events where ${whole} belong`);
    return versions;
  }

  function poll(who: Subscription, memory: { etag?: string; versions?: Map<string, number> }) {
    const at = Date.now();
    const floors = new Map(who.sources.map((s) => [s, floor.get(`${who.feed}/${s}`) ?? -1]));
    const must = new Map(who.sources.map((s) => [s, mustHave(s, at)]));
    const kind = seen.requests++ % 4;
    const headers: Record<string, string> = { 'accept-encoding': kind % 2 ? 'gzip' : 'identity' };
    if (kind > 0 && memory.etag) headers['if-none-match'] = memory.etag;
    let path = `/proxy/${who.feed}.ics`;
    if (kind === 1) headers.authorization = `Bearer ${who.token}`;
    else if (kind === 2) {
      headers.authorization = `Basic ${Buffer.from(`x:${who.token}`).toString('base64')}`;
    } else path += `?token=${who.token}`;
    const note = (status: string) => seen.byStatus[status] = (seen.byStatus[status] ?? 0) + 1;

    return new Promise<void>((done) => {
      const asked = request(url + path, { headers, agent, timeout: 15_000 }, (answer) => {
        void collect(answer).then((body) => {
          const status = answer.statusCode ?? 0;
          note(String(status));
          if (status === 304 || status === 200) seen.latencies.push(Date.now() - at);
          if (status === 200) {
            served.add(who.feed);
            if (!/^text\/calendar/.test(answer.headers['content-type'] ?? '')) {
              violate(`${who.feed}: 200 of type ${answer.headers['content-type']}`);
            }
            const plain = answer.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
            const versions = examine(who, plain.toString('utf8'));
            if (versions) memory.versions = versions;
            if (answer.headers.etag) memory.etag = answer.headers.etag;
          } else if (status === 304) {
            if (!headers['if-none-match']) violate(`${who.feed}: 304 without a condition`);
          } else if (status === 503) {
            if (!answer.headers['retry-after']) violate(`${who.feed}: 503 without Retry-After`);
          } else violate(`${who.feed}: answer is ${status}`);
          if ((status === 200 || status === 304) && who.view === 'full' && memory.versions) {
            for (const source of who.sources) {
              const has = memory.versions.get(source) ?? -1;
              const key = `${who.feed}/${source}`;
              if (has < floors.get(source)!) {
                violate(`${key}: version ${has} after ${floors.get(source)} had been seen`);
              }
              if (has < must.get(source)!) {
                violate(`${key}: version ${has}, ${must.get(source)} had long been delivered`);
              }
              floor.set(key, Math.max(floor.get(key) ?? -1, has));
              if (has >= 0 && seen.requests % 10 === 0 && !source.startsWith('gone')) {
                seen.lag.push((upstream.version() - has) * VERSION_MS / 1000);
              }
            }
          }
          done();
        }, () => (note('cut'), done()));
      });
      asked.on('timeout', () => asked.destroy(new Error('no answer within 15 s')));
      asked.on('error', (error: NodeJS.ErrnoException) => {
        if (/within 15 s/.test(error.message)) violate(`${who.feed}: ${error.message}`);
        note(error.code === 'ECONNREFUSED' ? 'refused' : 'cut');
        done();
      });
      asked.end();
    });
  }

  for (const who of subscriptions) {
    const memory = {};
    const next = (delay: number) => {
      if (stopped) return;
      const timer = setTimeout(async () => {
        timers.delete(timer);
        await poll(who, memory);
        next(meanMs * (0.5 + Math.random()));
      }, delay);
      timers.add(timer);
    };
    next(Math.random() * meanMs);
  }
  return {
    seen,
    servedFeeds: served,
    stop() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      agent.destroy();
    },
  };
}

async function collect(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
