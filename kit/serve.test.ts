import { afterEach, expect, test } from 'vitest';
import { serve, type Served, type ServedApp } from './serve.ts';

let served: Served | undefined;
afterEach(async () => {
  await served?.close(100);
  served = undefined;
});

const place = { host: '127.0.0.1', port: 0, service: 'test' };

test('an app that is loaded behind the open port: health at once, the rest when it is there', async () => {
  let arrive = (_: ServedApp): void => {};
  const loading = new Promise<ServedApp>((resolve) => arrive = resolve);
  const app: ServedApp = { fetch: ({ url }) => new Response(`app ${new URL(url).pathname}`) };
  served = await serve(() => loading, {
    ...place,
    fast: ({ url }, response) => {
      if (url !== '/fast') return false;
      response.end('fast');
      return true;
    },
  });
  const text = async (path: string) => await (await fetch(served!.url + path)).text();
  const waiting = text('/page');
  expect(await text('/healthz')).toBe('{"status":"ok","service":"test"}');
  expect(await text('/fast')).toBe('fast');
  expect(await Promise.race([waiting, text('/fast')])).toBe('fast');
  arrive(app);
  expect(await waiting).toBe('app /page');
  await served.loaded;
  expect(await text('/healthz')).toBe('app /healthz');
});

test('an app that cannot be loaded is told, and nobody waits for it', async () => {
  served = await serve(() => Promise.reject(new Error('broken')), place);
  const asked = fetch(`${served.url}/page`);
  await expect(asked).rejects.toThrow();
  await expect(served.loaded).rejects.toThrow('broken');
});
