// `npm start`: the whole house on one machine, in one terminal. Each service is its own process on its
// real code paths; what stands in for a real program says so on the front page and here.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { leaveHouse, raiseHouse } from './house.ts';
import { openPlace } from './place.ts';
import { missingPrograms } from './real.ts';

const { values } = parseArgs({
  options: {
    fresh: { type: 'boolean', default: false },
    real: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);

let stopping: Promise<never> | undefined;
function stop(code: number): Promise<never> {
  return stopping ??= leaveHouse().then(() => process.exit(code), () => process.exit(code));
}
process.on('SIGINT', () => void stop(0));
process.on('SIGTERM', () => void stop(0));

const missing = values.real ? missingPrograms() : [];
if (missing.length > 0) {
  process.stderr.write(
    `Cannot start with the real programs, these are not here:\n  ${missing.join('\n  ')}\n` +
      'Nothing was started. Without --real, stand-ins take their places.\n',
  );
  process.exit(1);
}

try {
  const part = values.real ? { part: 'real' } : {};
  const place = openPlace(process.env, { fresh: values.fresh, ...part });
  const logFile = place.file('log.jsonl');
  const log = (line: string) => {
    appendFileSync(logFile, line.slice(line.indexOf(' ') + 1) + '\n', { mode: 0o600 });
    if (values.verbose) say(line);
  };
  const house = await raiseHouse(place, {
    real: values.real,
    log,
    say: (text) => say(`  ${text}`),
  });
  say(`
  hackspace runs on this machine. Begin here:

    ${house.front}

  The merged feed, for a calendar program or curl:

    ${house.calendars.feed}
`);
  const standIn = house.vault?.standIn;
  if (standIn) say(`  ${standIn}\n`);
  say(`  The services log to ${logFile}. Stop with Ctrl-C.\n`);
} catch (error) {
  if (!stopping) process.stderr.write(`${(error as Error).message}\n`);
  await stop(1);
}
