import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DAY, examplePolicy, exampleRecord, NOW } from './fixtures.ts';
import { advance, type Answer, dueOf, type History, nextStep } from './lifecycle.ts';
import { STATES } from './record.ts';

const rules = examplePolicy().lifecycle;
const ready: History = { noes: 3, told: NOW, exported: true };
const step = (
  state: (typeof STATES)[number],
  answer: Answer,
  history: History,
  days: number,
  reason: 'lapsed' | 'requested' | null = state === 'active' ? null : 'lapsed',
) => nextStep(exampleRecord({ state, reason }), answer, history, rules, NOW + days * DAY)?.to;

test.each(
  [
    ['active', 'no', { noes: 2 }, 0, undefined],
    ['active', 'no', { noes: 3 }, 0, 'grace'],
    ['active', 'unknown', { noes: 99 }, 999, undefined],
    ['active', 'yes', { noes: 0 }, 0, undefined],
    ['grace', 'no', ready, 29, undefined],
    ['grace', 'no', ready, 30, 'suspended'],
    ['grace', 'no', { noes: 9 }, 999, undefined], // was never told
    ['grace', 'no', { noes: 9, told: NOW + 20 * DAY }, 49, undefined], // told late: the whole time
    ['grace', 'no', { noes: 2, told: NOW }, 999, undefined],
    ['grace', 'unknown', ready, 999, undefined],
    ['grace', 'yes', ready, 999, 'active'],
    ['suspended', 'no', ready, 60, 'exported'],
    ['suspended', 'no', { ...ready, exported: false }, 999, undefined],
    ['suspended', 'yes', { noes: 0 }, 999, 'active'],
    ['exported', 'no', ready, 30, 'draining'],
    ['exported', 'yes', ready, 999, 'active'],
    ['draining', 'no', { noes: 0, drained: true }, 0, 'deleted'],
    ['draining', 'no', { noes: 0 }, 0, undefined],
    ['draining', 'unknown', { noes: 0 }, 1, 'deleted'], // its hour is over
    ['draining', 'yes', { noes: 0, drained: true }, 0, 'active'],
    ['deleted', 'yes', ready, 999, undefined],
  ] as const,
)('%s + %s %j after %i days -> %s', (state, answer, history, days, to) => {
  expect(step(state, answer, history, days)).toBe(to);
});

test('a deletion that its member asked for is not undone by paying', () => {
  expect(step('draining', 'yes', { noes: 0 }, 0, 'requested')).toBeUndefined();
  expect(step('draining', 'yes', { noes: 0, drained: true }, 0, 'requested')).toBe('deleted');
});

test('a restored tenant forgets why it left', () => {
  const record = exampleRecord({ state: 'grace', reason: 'lapsed' });
  const after = advance(record, nextStep(record, 'yes', ready, rules, NOW)!, NOW);
  expect(after).toMatchObject({ state: 'active', reason: null });
  expect(dueOf(after, rules)).toBeUndefined();
});

test('whatever comes: unknown takes nothing, yes never takes, and no step skips a state', () => {
  const order = STATES;
  fc.assert(fc.property(
    fc.constantFrom(...STATES),
    fc.constantFrom<Answer>('yes', 'no', 'unknown'),
    fc.record({
      noes: fc.nat(10),
      told: fc.option(fc.integer({ min: 0, max: 2e12 }), { nil: undefined }),
      exported: fc.boolean(),
      drained: fc.boolean(),
    }),
    fc.integer({ min: -4e12, max: 4e12 }),
    (state, answer, history, now) => {
      const record = exampleRecord({ state, reason: state === 'active' ? null : 'lapsed' });
      const next = nextStep(record, answer, history, rules, now);
      if (!next) return;
      const [from, to] = [order.indexOf(state), order.indexOf(next.to)];
      if (next.to === 'active') expect(answer).toBe('yes');
      else {
        expect(to).toBe(from + 1);
        if (state !== 'draining') expect(answer).toBe('no');
      }
    },
  ));
});
