/** Flux' controllers, each with its CRDs beside the binary. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { goBuild, moduleFolder } from '../lib/go.ts';
import { here } from '../lib/here.ts';
import type { Build } from '../lib/peer.ts';

function controller(short: string, recipe: { folder: string; module?: string }): Build {
  const path = `github.com/fluxcd/${short}-controller`;
  return goBuild({
    name: `flux-${short}-controller`,
    ...recipe,
    package: path,
    binary: `${short}-controller`,
    afterKey: 'crds',
    after: async ({ module, out, env }) => {
      const source = await moduleFolder(module, path, env);
      cpSync(join(source, 'config/crd/bases'), join(out, 'crds'), { recursive: true });
    },
  });
}

const folder = here(import.meta, 'recipe');
export const sourceController = controller('source', { folder, module: 'source' });
export const kustomizeController = controller('kustomize', { folder, module: 'kustomize' });
export const helmController = controller('helm', { folder, module: 'helm' });
export const notificationController = controller('notification', {
  folder: here(import.meta, 'notification'),
});
