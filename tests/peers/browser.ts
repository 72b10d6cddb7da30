/** The system's Chromium, driven by playwright-core: pages as a person gets them. */
import { chromium as playwright } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { systemPeer } from './lib/peer.ts';
import { findProgram } from './lib/run.ts';
import { openSandbox } from './lib/sandbox.ts';

const program = () =>
  ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
    .map(findProgram).find((path) => path !== undefined);

export const chromium = systemPeer({
  name: 'chromium',
  had: 'Debian package, or Google Chrome',
  command: 'apt-get install chromium',
  find: program,
});

export interface RunningBrowser extends AsyncDisposable {
  /** Open pages in contexts of their own: `browser.newContext({ colorScheme: 'dark' })`. */
  readonly browser: Browser;
  stop(): Promise<void>;
}

/** Headless, with a profile that goes with it, and silent: it asks nobody for updates. */
export async function startBrowser(): Promise<RunningBrowser> {
  const path = program();
  if (!path) throw new Error(`Cannot start a browser: ${chromium.missing()}; ${chromium.command}`);
  const sandbox = await openSandbox('chromium');
  try {
    const port = await sandbox.port();
    await sandbox.spawn('chromium', path, [
      ...['--headless', `--remote-debugging-port=${port}`, `--user-data-dir=${sandbox.folder}`],
      // As root, and in containers with a small /dev/shm.
      ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ], {
      ready: () => fetch(`http://127.0.0.1:${port}/json/version`).then((a) => a.ok, () => false),
    });
    const browser = await connect(`http://127.0.0.1:${port}`);
    sandbox.onEnd(() => browser.close());
    const stop = () => sandbox.end();
    return { browser, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await sandbox.end();
    throw error;
  }
}

/** A browser that has just begun may leave a first connection without an answer: seen, not understood. */
async function connect(url: string, tries = 3): Promise<Browser> {
  try {
    return await playwright.connectOverCDP(url, { timeout: 15_000 });
  } catch (error) {
    if (tries <= 1) throw error;
    return await connect(url, tries - 1);
  }
}
