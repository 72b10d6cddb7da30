import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningBrowser, startBrowser } from '../../../tests/peers/browser.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { gallery } from './gallery.ts';
import { CSS } from './style.ts';

/** The marks beside the steps are no background of theirs, which axe cannot know. */
const MARKS_OFF = 'ol.steps > li::before, ol.steps > li::after { content: none; }';

needs('chromium')('every page of the portal, looked at by axe', () => {
  let running: RunningBrowser;
  beforeAll(async () => {
    running = await startBrowser();
  });
  afterAll(() => running?.stop());

  /** Every page of the gallery, one after the other, in a window of its own. */
  async function each(
    options: NonNullable<Parameters<RunningBrowser['browser']['newContext']>[0]>,
    look: (page: Page, name: string) => Promise<void>,
    more = '',
  ) {
    const context = await running.browser.newContext({ ...options, bypassCSP: true });
    const page = await context.newPage();
    for (const [name, content] of Object.entries(gallery)) {
      const text = String(await content).replace(
        /<link rel="stylesheet"[^>]*>/,
        `<style>${CSS}${more}</style>`,
      );
      await page.setContent(text, { waitUntil: 'load' });
      await look(page, name);
    }
    await context.close();
  }

  test.each(
    [
      { name: 'light', colorScheme: 'light', viewport: { width: 1080, height: 800 } },
      { name: 'dark, on a phone', colorScheme: 'dark', viewport: { width: 320, height: 640 } },
    ] as const,
  )('$name: no violation, and no contrast that axe could not judge', async (mode) => {
    const { name: _, ...options } = mode;
    const faults: string[] = [];
    await each(options, async (page, name) => {
      const axe = new AxeBuilder({ page });
      // What the colours and the width do not change is looked at once.
      if (mode.colorScheme === 'dark') axe.withRules(['color-contrast', 'target-size']);
      const { violations, incomplete } = await axe.analyze();
      const unsure = incomplete.filter((rule) => rule.id === 'color-contrast');
      for (const rule of [...violations, ...unsure]) {
        faults.push(`${name}: ${rule.id}: ${rule.nodes.map((n) => n.target).join(' ')}`);
      }
    }, MARKS_OFF);
    expect(faults).toEqual([]);
  });

  test.each([
    { name: '320 px wide', options: { viewport: { width: 320, height: 640 } } },
    // A window of 1280 px lays out on half of that, each pixel twice.
    {
      name: 'zoomed to 200 %',
      options: { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 },
    },
    {
      name: 'text alone at 200 %',
      options: { viewport: { width: 640, height: 800 } },
      more: 'html { font-size: 200%; }',
    },
  ])('$name: nothing is wider than the window, cut off or covered', async ({ options, more }) => {
    const faults: string[] = [];
    await each(options, async (page, name) => {
      for (const fault of await page.evaluate(misplaced)) faults.push(`${name}: ${fault}`);
    }, more);
    expect(faults).toEqual([]);
  });
});

/** Runs in the page: what a reader could not see or press. What scrolls by itself may be wider. */
function misplaced(): string[] {
  const root = document.documentElement;
  const faults = root.scrollWidth > root.clientWidth
    ? [`${root.scrollWidth - root.clientWidth} px wider than the window`]
    : [];
  for (const element of document.querySelectorAll<HTMLElement>('main *, header *, footer *')) {
    if (element.closest('pre, .hidden, thead, .skip, svg') || !element.checkVisibility()) continue;
    const box = element.getBoundingClientRect();
    const what = `${element.localName} "${(element.textContent ?? '').trim().slice(0, 30)}"`;
    if (box.right > root.clientWidth + 1 || box.left < -1) faults.push(`${what} leaves the window`);
    if (!element.matches('a, button, input, select, summary')) continue;
    element.scrollIntoView({ block: 'center' });
    const [line] = element.getClientRects();
    if (!line) continue;
    const top = document.elementFromPoint(line.x + line.width / 2, line.y + line.height / 2);
    const label = element.id ? document.querySelector(`label[for="${element.id}"]`) : null;
    if (top && (element.contains(top) || top.contains(element) || label?.contains(top))) continue;
    faults.push(`${what} is covered`);
  }
  return faults;
}
