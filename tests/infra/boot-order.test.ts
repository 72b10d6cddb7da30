import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { escapes } from './lockdown/escapes.ts';
import { ROOT } from './documents.ts';

const runbook = readFileSync(join(ROOT, 'docs/runbooks/cold-start.md'), 'utf8');

function needsOf(text: string): Map<string, string[]> {
  const block = /<!-- boot-order:[\s\S]*?```text\n([\s\S]*?)```/.exec(text)![1]!;
  return new Map(
    block.trim().split('\n').map((line) => {
      const [thing, needs = ''] = line.split(':');
      return [thing!, needs.trim().split(' ').filter(Boolean)];
    }),
  );
}

/** The things in an order in which each comes after what it needs; throws naming a circle. */
function bootOrder(needs: Map<string, string[]>): string[] {
  const order: string[] = [];
  const visit = (thing: string, path: string[]) => {
    if (order.includes(thing)) return;
    if (path.includes(thing)) throw new Error(`a circle: ${[...path, thing].join(' -> ')}`);
    const before = needs.get(thing);
    if (!before) throw new Error(`${path.at(-1)} needs ${thing}, which is not in the list`);
    for (const each of before) visit(each, [...path, thing]);
    order.push(thing);
  };
  for (const thing of needs.keys()) visit(thing, []);
  return order;
}

test('the house can be started from cold: nothing waits for itself', () => {
  const needs = needsOf(runbook);
  const order = bootOrder(needs);
  expect(order).toHaveLength(needs.size);
  expect(order.indexOf('unsealer')).toBeLessThan(order.indexOf('openbao-open'));
});

test('the circles the runbook warns of are circles', () => {
  for (
    const [thing, need] of [
      ['share-keys', 'openbao-open'],
      ['openbao-sealed', 'external-secrets'],
      ['hypervisors', 'dns'],
    ]
  ) {
    const needs = needsOf(runbook);
    needs.set(thing!, [...needs.get(thing!)!, need!]);
    expect(() => bootOrder(needs), `${thing} needs ${need}`).toThrow('a circle');
  }
});

test('every runbook and script that a runbook names is there', () => {
  const folder = join(ROOT, 'docs/runbooks');
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const [, name] of text.matchAll(/`([a-z-]+\.md)`/g)) {
      expect(readdirSync(folder), `${file}: ${name}`).toContain(name);
    }
    for (const [, path] of text.matchAll(/`((?:flux|manifests|tests)\/[\w./-]+)`/g)) {
      expect(
        () =>
          readdirSync(join(ROOT, path!, '..')).includes(path!.split('/').at(-1)!) || fail(path!),
        `${file}: ${path}`,
      )
        .not.toThrow();
    }
  }
});
function fail(path: string): never {
  throw new Error(`${path} is not there`);
}

test('docs/lockdown.md tells of every escape, and of none left open', () => {
  const page = readFileSync(join(ROOT, 'docs/lockdown.md'), 'utf8');
  for (const { id, title } of escapes) expect(page).toContain(`## ${id}. ${title}\n`);
  expect(page).not.toMatch(/\| OPEN \|/);
});
