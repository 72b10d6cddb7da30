// Runs before `npm start` and `npm test`, on whatever Node the system has (20 or newer): installs the
// locked packages when they are missing or older than the lockfile. They bring Node 24 along.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, utimesSync } from 'node:fs';

const installed = 'node_modules/.package-lock.json';
const stale = !existsSync(installed) ||
  statSync('package-lock.json').mtimeMs > statSync(installed).mtimeMs;
if (stale) {
  process.stderr.write('Installing the locked packages (first run: about a minute) ...\n');
  const npm = process.env.npm_execpath;
  const [command, args] = npm ? [process.execPath, [npm]] : ['npm', []];
  const run = spawnSync(command, [...args, 'ci', '--loglevel=error'], { stdio: 'inherit' });
  if (run.status !== 0) {
    process.stderr.write('npm ci failed; its message is above. Nothing was started.\n');
    process.exit(run.status ?? 1);
  }
  utimesSync(installed, new Date(), new Date());
}
