import { expect, test } from 'vitest';
import { pages } from './docs.ts';

test.each(pages())('$path is what `npm run docs` writes', ({ now, wanted }) => {
  expect(now === wanted, 'run `npm run docs`').toBe(true);
});
