import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { accelerator } from './machine.ts';

const folder = mkdtempSync(join(tmpdir(), 'machine-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const device = file('kvm', '');
const none = join(folder, 'none');

test.each([
  ['Intel', 'flags\t\t: fpu vme vmx ssse3\nbugs\t\t: spectre_v1\n'],
  ['AMD', 'processor\t: 0\nflags\t\t: fpu vme svm\n'],
])('a machine is on KVM where an %s processor can host', (name, cpuinfo) => {
  expect(accelerator(device, file(name, cpuinfo))).toBe('kvm');
  expect(accelerator(none, file(name, cpuinfo))).toBe('tcg');
});

test.each([
  ['a guest has no such flag', 'flags\t\t: fpu vme ssse3 hypervisor\n'],
  ['flags of its guests are other flags', 'flags\t: fpu\nvmx flags\t: vnmi vmx ept\n'],
  ['ARM cannot run a PC', 'Features\t: fp asimd\n'],
])('in software with a KVM that would not do: %s', (name, cpuinfo) => {
  expect(accelerator(device, file(name, cpuinfo))).toBe('tcg');
});

test('in software where /proc/cpuinfo is not', () => {
  expect(accelerator(device, none)).toBe('tcg');
});
