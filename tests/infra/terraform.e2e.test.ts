/** terraform-json/ against OpenTofu and Terraform with the real Proxmox provider; plans are mocked, schemas are not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../peers/lib/run.ts';
import { needs } from '../peers/lib/needs.ts';
import { startTofu, type Tofu } from '../peers/opentofu.ts';

const source = fileURLToPath(new URL('../../terraform-json', import.meta.url));
const runs = Object.keys(
  ['plan', 'refusals'].map((name) =>
    JSON.parse(readFileSync(join(source, `tests/${name}.tftest.json`), 'utf8')).run
  )
    .reduce((all, run) => ({ ...all, ...run }), {}),
).length;

// OpenTofu's peer brings the provider for both.
for (const name of ['opentofu', 'terraform'] as const) {
  needs('opentofu', name)(`terraform-json/ with ${name}`, () => {
    let tofu: Tofu, folder: string;

    beforeAll(async () => {
      const program = name === 'terraform' && findProgram(name);
      tofu = await startTofu(program ? { program } : {});
      folder = tofu.copy(source);
      await tofu.ok(folder, ['init', '-input=false']);
    });
    afterAll(() => tofu?.[Symbol.asyncDispose]());

    test('is valid for the real provider', async () => {
      expect(await tofu.ok(folder, ['validate', '-no-color'])).toContain(
        'The configuration is valid',
      );
    });

    test('plans both clusters, and every wrong value is refused by the variable it belongs to', async () => {
      expect(runs).toBeGreaterThan(20);
      expect(await tofu.ok(folder, ['test', '-no-color'])).toContain(`${runs} passed, 0 failed`);
    });

    test('plans for a host that is not there: nothing is read before the first apply', async () => {
      const env = {
        PROXMOX_VE_ENDPOINT: 'https://127.0.0.1:1/',
        PROXMOX_VE_API_TOKEN: 'root@pam!x=00000000-0000-0000-0000-000000000000',
      };
      const plan = await tofu.ok(folder, ['plan', '-no-color', '-input=false', '-lock=false'], {
        env,
      });
      expect(plan).toMatch(/Plan: \d+ to add, 0 to change, 0 to destroy/);
    });

    describe('misspelt or impossible arguments', () => {
      test.each([
        ['an argument of a resource', 'core.tf.json', '"node_name"', '"node_nam"', /node_nam/],
        ['an argument of a block', 'core.tf.json', '"cores":', '"corez":', /corez/],
        ['an argument of a network card', 'member-prod.tf.json', '"bridge"', '"brigde"', /brigde/],
        ['an argument of the network', 'network.tf.json', '"tag"', '"tagg"', /tagg/],
        ['an argument of a firewall rule', 'firewall.tf.json', '"dport"', '"dprot"', /dprot/],
        [
          'a kind of firmware',
          'member-prod.tf.json',
          '"ovmf"',
          '"efi"',
          /expected bios to be one of/,
        ],
        [
          'a kind of checksum',
          'images.tf.json',
          '"sha512"',
          '"sha1024"',
          /sha1024|checksum_algorithm/,
        ],
        [
          'a type of resource',
          'images.tf.json',
          'proxmox_download_file',
          'proxmox_downlod_file',
          /downlod/,
        ],
        ['a variable', 'outputs.tf.json', 'var.member_vip', 'var.member_vpi', /member_vpi/],
      ])('%s is refused', async (_, file, from, to, words) => {
        const path = join(folder, file);
        const before = readFileSync(path, 'utf8');
        expect(before).toContain(from);
        writeFileSync(path, before.replace(from, to));
        try {
          const judged = await tofu.run(folder, ['validate', '-no-color']);
          expect(judged.code).toBe(1);
          expect(judged.stdout + judged.stderr).toMatch(words);
        } finally {
          writeFileSync(path, before);
        }
      });
    });
  });
}
