// `npm start`: the whole house on one machine, in one terminal. Each service is its own process on its
// real code paths; what stands in for a real program says so on the front page and here.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { serve, type Served } from '@hackspace/kit/serve.ts';
import { startCalendars } from './calendars.ts';
import { frontApp, type Step } from './front.ts';
import { openPlace } from './place.ts';
import { startPortal } from './portal.ts';
import { startVault } from './vault.ts';

const { values } = parseArgs({
  options: {
    fresh: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);

const running: { name: string; stop(): Promise<void> }[] = [];
let stopping: Promise<never> | undefined;

function stop(code: number): Promise<never> {
  stopping ??= (async () => {
    for (const part of running.reverse()) await part.stop().catch(() => {});
    process.exit(code);
  })();
  return stopping;
}
process.on('SIGINT', () => void stop(0));
process.on('SIGTERM', () => void stop(0));

try {
  const place = openPlace(process.env, { fresh: values.fresh });
  const logFile = place.file('log.jsonl');
  const log = (line: string) => {
    appendFileSync(logFile, line.slice(line.indexOf(' ') + 1) + '\n', { mode: 0o600 });
    if (values.verbose) say(line);
  };
  const steps: Step[] = [];
  const front: Served = await serve(frontApp(() => steps), {
    host: '127.0.0.1',
    port: place.ports.front,
  });
  running.push({ name: 'front page', stop: () => front.close(500) });

  const calendars = await startCalendars(place, front.url, log);
  running.push(calendars);
  steps.push({
    title: 'Subscribe to one calendar out of many',
    text:
      'Three sample calendars are merged into one feed: a Windows time zone gets its definition, two events that share a UID are told apart, and the one broken event is kept out and shown to the administrator.',
    links: [
      { href: calendars.feed.replace('.ics?', '?'), text: 'The agenda' },
      { href: calendars.feed, text: 'The feed' },
      { href: calendars.busy, text: 'The feed, busy only' },
      { href: `${calendars.url}/admin`, text: 'Administration' },
    ],
    standIn: `The administrator’s token is in ${place.folder}/secrets/ics-proxy-admin.`,
  });

  const vault = await startVault(place, log);
  if (vault) {
    running.push(...vault.parts);
    steps.push({
      title: 'Restart the vault, and watch',
      text: 'OpenBao comes back sealed after every restart. The unsealer opens it at once.',
      links: [{ href: vault.unsealer, text: 'The unsealer' }],
      action: { path: 'restart-vault', text: 'Restart the vault', run: vault.restart },
    });
  } else {
    steps.push({
      title: 'The vault is not here',
      text: 'OpenBao was not built on this machine. `npm run peers -- openbao` brings it.',
      links: [],
    });
  }

  const portal = await startPortal(place, calendars, vault, log);
  running.push(...portal.parts);
  steps.splice(1, 0, {
    title: 'Log in as a member, and ask for space',
    text:
      'The login offers a paying member, one who stopped paying, a closed account and an administrator. What a paying member asks for is shown as the real change first, and then committed to the tenants repo.',
    links: [
      { href: portal.url, text: 'The portal' },
      { href: `${portal.url}/admin`, text: 'Its administration' },
    ],
    standIn:
      `A facade stands in for Keycloak, and nobody tracks the tenants repo: it is a bare repository in ${portal.repository}.`,
  });

  say(`
  hackspace runs on this machine. Begin here:

    ${front.url}

  The merged feed, for a calendar program or curl:

    ${calendars.feed}

  The services log to ${logFile}. Stop with Ctrl-C.
`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  await stop(1);
}
