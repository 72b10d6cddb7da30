/** talosctl's offline half: generate, patch and validate machine configurations as Talos itself does. */
import versions from '../../versions.json' with { type: 'json' };
import { goBuild } from './lib/go.ts';
import { here } from './lib/here.ts';
import { builtPeer } from './lib/peer.ts';
import { type Tool, tool } from './lib/tool.ts';

const build = goBuild({
  name: 'talosctl',
  folder: here(import.meta, 'talosctl/recipe'),
  package: '.',
  binary: 'talosctl',
});

export const talosctlPeer = builtPeer({
  name: 'talosctl',
  version: versions.tools.talosctl,
  had: 'built from the Go module proxy: gen, machineconfig, validate',
  standIn: "the validate command is ours, around the functions that Talos' own calls",
  builds: [build],
});

export const talosctl = (): Tool => tool(talosctlPeer, build, 'talosctl');
