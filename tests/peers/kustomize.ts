/** kustomize, the version that Flux' kustomize-controller carries. */
import versions from '../../versions.json' with { type: 'json' };
import { goBuild } from './lib/go.ts';
import { here } from './lib/here.ts';
import { builtPeer } from './lib/peer.ts';
import { type Tool, tool } from './lib/tool.ts';

const build = goBuild({
  name: 'kustomize',
  folder: here(import.meta, 'kustomize/recipe'),
  package: 'sigs.k8s.io/kustomize/kustomize/v5',
  binary: 'kustomize',
  defines: { 'sigs.k8s.io/kustomize/api/provenance.version': `v${versions.tools.kustomize}` },
});

export const kustomizePeer = builtPeer({
  name: 'kustomize',
  version: versions.tools.kustomize,
  had: 'built from the Go module proxy',
  builds: [build],
});

export const kustomize = (): Tool => tool(kustomizePeer, build, 'kustomize');
