import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareUids } from './component.ts';
import { parseCalendar } from './components.ts';
import { compare, inOrder } from './order.ts';
import { calendar, event } from './testing/calendars.ts';
import { firstsOf } from './uids.ts';

test('UIDs in bytes are ordered as their texts are', () => {
  // Code units and bytes disagree from U+E000 on.
  const uid = fc.string({ unit: fc.constantFrom('a', 'b', 'é', 'ﬀ', '😀'), minLength: 1 });
  fc.assert(fc.property(uid, uid, (a, b) => {
    const { table } = parseCalendar(new TextEncoder().encode(calendar(event(a), event(b))));
    expect(Math.sign(compareUids(table, 0, table, 1))).toBe(compare(a, b));
  }));
});

test('runs are merged into one order, equal keys by their ties', () => {
  fc.assert(fc.property(fc.array(fc.nat(5)), (keys) => {
    const want = keys.map((_, i) => i).sort((a, b) => keys[a]! - keys[b]! || b - a);
    expect([...inOrder(Float64Array.from(keys), (a, b) => b - a)]).toEqual(want);
  }));
});

test('who shares a UID is found, whatever the hashes are', () => {
  const uids = fc.array(fc.constantFrom(...'abcdefgh'), { maxLength: 20 });
  fc.assert(fc.property(uids, fc.nat(3), (texts, spread) => {
    const all = [...texts, ...Array.from({ length: 200 }, (_, i) => `x${i}`)];
    // Few hashes for many UIDs: what an attacker would choose.
    const hashes = Int32Array.from(all, (text) => text.charCodeAt(0) % (spread + 1));
    const want = all.map((text) => all.indexOf(text));
    const found = firstsOf(hashes, (i) => all[i]!);
    expect(found ? [...found] : undefined).toEqual(
      new Set(texts).size === texts.length ? undefined : want,
    );
  }));
});
