import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { digest32 } from './sha256.ts';

test('the digest is that of the runtime, whatever the length', () => {
  const head = Buffer.from('feed\n');
  for (let length = 0; length < 2200; length++) {
    const text = Buffer.alloc(length, 'ü');
    const wanted = hash('sha256', Buffer.concat([head, text])).slice(0, 32);
    expect(digest32(head, text, 0, length).toString()).toBe(wanted);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
      const both = hash('sha256', Buffer.concat([a, b])).slice(0, 32);
      expect(digest32(Buffer.from(a), Buffer.from(b), 0, b.length).toString()).toBe(both);
    }),
  );
});
