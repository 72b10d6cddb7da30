/** kubeconform: manifests against JSON schemas, which the caller names; none are fetched. */
import versions from '../../versions.json' with { type: 'json' };
import { goBuild } from './lib/go.ts';
import { here } from './lib/here.ts';
import { builtPeer } from './lib/peer.ts';
import { type Tool, tool } from './lib/tool.ts';

const build = goBuild({
  name: 'kubeconform',
  folder: here(import.meta, 'kubeconform/recipe'),
  package: 'github.com/yannh/kubeconform/cmd/kubeconform',
  binary: 'kubeconform',
  defines: { 'main.version': `v${versions.tools.kubeconform}` },
});

export const kubeconformPeer = builtPeer({
  name: 'kubeconform',
  version: versions.tools.kubeconform,
  had: 'built from the Go module proxy',
  builds: [build],
});

export const kubeconform = (): Tool => tool(kubeconformPeer, build, 'kubeconform');
