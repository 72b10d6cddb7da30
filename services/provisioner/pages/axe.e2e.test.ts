import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from 'vitest';
import { startBrowser } from '../../../tests/peers/browser.ts';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { gallery } from './gallery.ts';
import { CSS } from './style.ts';

needs('chromium')('every page of the portal, looked at by axe', () => {
  const modes = [
    { name: 'light', colorScheme: 'light', viewport: { width: 1000, height: 800 } },
    // 200 % zoom of a window of 640 px lays out on the same 320.
    { name: 'dark, on a phone', colorScheme: 'dark', viewport: { width: 320, height: 640 } },
  ] as const;
  test.each(modes)('$name: no violation, nothing wider than the window', async (mode) => {
    const { name: _, ...options } = mode;
    await using running = await startBrowser();
    const context = await running.browser.newContext({ ...options, bypassCSP: true });
    const page = await context.newPage();
    const faults: string[] = [];
    for (const [name, content] of Object.entries(gallery)) {
      const text = String(await content).replace(
        /<link rel="stylesheet"[^>]*>/,
        `<style>${CSS}</style>`,
      );
      await page.setContent(text, { waitUntil: 'load' });
      const axe = new AxeBuilder({ page });
      // What the colours and the width do not change is looked at once.
      if (mode.colorScheme === 'dark') axe.withRules(['color-contrast', 'target-size']);
      const { violations } = await axe.analyze();
      for (const v of violations) {
        faults.push(`${name}: ${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`);
      }
      const over = await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth
      );
      if (over > 0) faults.push(`${name}: ${over} px wider than the window`);
    }
    expect(faults).toEqual([]);
  });
});
