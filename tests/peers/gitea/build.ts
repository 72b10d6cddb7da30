/** Gitea's server with the templates it reads at run time; the web frontend's assets are not in the module. */
import { chmodSync, cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../../versions.json' with { type: 'json' };
import { goBuild, moduleFolder } from '../lib/go.ts';
import { here } from '../lib/here.ts';

const path = 'code.gitea.io/gitea';

export const giteaBuild = goBuild({
  name: 'gitea',
  folder: here(import.meta, 'recipe'),
  package: path,
  binary: 'gitea',
  defines: { 'main.Version': versions.tools.gitea },
  tags: ['sqlite', 'sqlite_unlock_notify'],
  cgo: true,
  afterKey: 'static',
  after: async ({ module, out, env }) => {
    const source = await moduleFolder(module, path, env);
    for (const name of ['templates', 'options', 'public']) {
      cpSync(join(source, name), join(out, 'static', name), { recursive: true });
    }
    writable(join(out, 'static')); // Go's module cache is read-only, and so would be the copy
  },
});

function writable(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) writable(join(folder, entry.name));
    else chmodSync(join(folder, entry.name), 0o644);
  }
}
