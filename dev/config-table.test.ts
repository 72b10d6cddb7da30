import { expect, test } from 'vitest';
import { z } from 'zod';
import { duration, listen } from '@hackspace/kit/config.ts';
import { rowsOf, tableOf, withTable } from './config-table.ts';

const schema = z.strictObject({
  listen: listen(8080),
  refresh: duration().prefault('15m').describe('How often'),
  mode: z.enum(['a', 'b']).optional(),
  feeds: z.record(
    z.string(),
    z.strictObject({
      name: z.string(),
      sources: z.array(z.strictObject({ url: z.url() })),
    }),
  ),
});

test('every key has its row, down to the items of maps and lists', () => {
  const rows = new Map(rowsOf(schema).map((row) => [row.key, row]));
  expect([...rows.keys()]).toEqual([
    'listen',
    'listen.host',
    'listen.port',
    'listen.drain',
    'refresh',
    'mode',
    'feeds',
    'feeds.*.name',
    'feeds.*.sources',
    'feeds.*.sources[].url',
  ]);
  expect(rows.get('listen.port')).toMatchObject({ type: 'integer 0–65535', fallback: '8080' });
  expect(rows.get('refresh')).toMatchObject({ type: 'duration', text: 'How often' });
  expect(rows.get('mode')).toMatchObject({ type: '`a`, `b`', fallback: 'optional' });
  expect(rows.get('feeds.*.name')!.fallback).toBeUndefined();
});

test('the table replaces the one before and nothing else', () => {
  const document =
    '# A\n<!-- config table: made by `npm run docs`, do not edit -->\nold\n<!-- end of config table -->\nrest';
  const once = withTable(document, tableOf(rowsOf(schema)));
  expect(once).toMatch(/^# A\n/);
  expect(once).toMatch(/\nrest$/);
  expect(once).not.toContain('old');
  expect(withTable(once, tableOf(rowsOf(schema)))).toBe(once);
  expect(() => withTable('# no place', '')).toThrow('Cannot place the table');
});

test('of several kinds it says which key belongs to which, and which kind requires it', () => {
  const kinds = z.strictObject({
    store: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('disk'), path: z.string(), token: z.string().optional() }),
      z.strictObject({ kind: z.literal('far'), url: z.string(), token: z.string() }),
    ]),
  });
  const rows = new Map(rowsOf(kinds).map((row) => [row.key, row]));
  expect(rows.get('store.kind')!.type).toBe('`disk` or `far`');
  expect(rows.get('store.path')!.text).toBe('(of `disk`)');
  expect(rows.get('store.token')).toMatchObject({
    fallback: 'optional',
    text: '(required by `far`)',
  });
});
