import { expect, test } from 'vitest';
import { AppError, describe as text } from './errors.ts';

test('describe joins the causes, outermost first, and survives a cycle', () => {
  const inner = new Error('connection refused');
  const outer = new AppError('unavailable', 'Cannot fetch source x', { cause: inner });
  expect(text(outer)).toBe('Cannot fetch source x: connection refused');
  inner.cause = outer;
  expect(text(outer).split(': ')).toHaveLength(5);
});
