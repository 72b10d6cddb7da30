import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { runOk } from '../tests/peers/lib/run.ts';
import { type Part, startPart } from './part.ts';
import type { Place } from './place.ts';

export interface Calendars extends Part {
  /** The subscriber's URL of the feed, with its token. */
  feed: string;
  /** The same with what happens redacted to "busy". */
  busy: string;
}

/**
 * ics-proxy with sample calendars of our own: two files, and one over HTTP from the front page's
 * server, faults and all. `more`: further sources of the same feed, in the config's form.
 */
export async function startCalendars(
  place: Place,
  front: string,
  log: (line: string) => void,
  more: Record<string, unknown>[] = [],
): Promise<Calendars> {
  const url = `http://127.0.0.1:${place.ports.icsProxy}`;
  const samples = resolve('dev/calendars');
  const adminFile = resolve(place.secret('ics-proxy-admin'));
  const config = place.config('ics-proxy.yaml', {
    listen: { port: place.ports.icsProxy },
    publicUrl: url,
    state: resolve(place.file('ics-proxy')),
    admin: { tokenFile: adminFile },
    feeds: {
      space: {
        name: 'Everything at the space',
        zone: 'America/Los_Angeles',
        sources: [
          { id: 'space', url: `file://${samples}/space.ics`, refresh: '30s' },
          {
            id: 'workshops',
            url: `file://${samples}/workshops.ics`,
            refresh: '30s',
            prefix: 'Workshop: ',
          },
          {
            id: 'elsewhere',
            url: `${front}/calendars/elsewhere.ics`,
            refresh: '30s',
            allowPrivate: true,
          },
          ...more,
        ],
      },
    },
  });
  const part = await startPart({
    name: 'ics-proxy',
    args: ['services/ics-proxy/main.ts', '--config', config],
    url,
    readyPath: '/readyz',
    log,
  });
  const token = async (view: string) => {
    const kept = place.file('secrets', `feed-${view}`);
    if (existsSync(kept)) {
      const { pathname, search } = new URL(place.read(kept)); // the port may have been moved
      return url + pathname + search;
    }
    const stdout = await runOk(process.execPath, [
      ...['services/ics-proxy/cli.ts', 'token', 'create', '--config', config],
      ...['--feed', 'space', '--label', `dev ${view}`, '--view', view],
    ]);
    place.write(kept, stdout.trim());
    return stdout.trim();
  };
  return { ...part, feed: await token('full'), busy: await token('busy') };
}
