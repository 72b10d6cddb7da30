import { expect, test } from 'vitest';
import { needs } from '../../../tests/peers/lib/needs.ts';
import { BRAND, realHouse } from './houses.ts';
import { journeys } from './journeys.ts';

needs('chromium', 'keycloak')('the portal in a real browser, with the real Keycloak', () => {
  const inside = journeys(realHouse);

  test('the space’s own name, colour, logo and words are on the page', async () => {
    const page = await inside.visitor();
    await page.goto(inside.house().origin);
    expect(await page.getByRole('heading', { level: 1 }).textContent())
      .toBe(`${BRAND.welcome}, ${BRAND.name}`);
    expect(await page.title()).toContain(BRAND.name);
    const logo = page.locator('.brand img');
    expect(await logo.evaluate((img: HTMLImageElement) => img.naturalWidth)).toBeGreaterThan(0);
    const band = await page.locator('header.top').evaluate((e) =>
      getComputedStyle(e).borderTopColor
    );
    expect(band).toBe('rgb(123, 45, 139)');
  });

  test('the address of a calendar feed is shown once, and the real ics-proxy answers it', async () => {
    const page = await inside.visitor();
    await inside.logIn(page, 'paying', '/spaces/new');
    await page.getByLabel('I want a calendar feed').check();
    await inside.claim(page, 'feeds');
    await page.goto(`${inside.house().origin}/spaces/feeds`);
    await page.getByRole('button', { name: 'Make a new address' }).click();
    const qr = page.getByRole('img', { name: 'The same address as a QR code' });
    expect((await qr.locator('svg').boundingBox())!.width).toBeGreaterThan(100);
    const url = (await page.getByRole('link', { name: 'token=' }).getAttribute('href'))!;
    const feed = await fetch(url);
    expect([feed.status, (await feed.text()).slice(0, 15)]).toEqual([200, 'BEGIN:VCALENDAR']);
    expect(await page.getByRole('link', { name: 'Open in calendar app' }).getAttribute('href'))
      .toBe(url.replace('http:', 'webcal:'));
    await page.reload();
    expect(await page.getByRole('link', { name: 'token=' }).count()).toBe(0);
  });
});
