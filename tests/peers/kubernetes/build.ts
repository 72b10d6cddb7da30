/** The control plane's programs, built from the Go module proxy. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import versions from '../../../versions.json' with { type: 'json' };
import { goBuild } from '../lib/go.ts';
import { here } from '../lib/here.ts';
import { findProgram } from '../lib/run.ts';

const { kubernetes: version } = versions.tools;
const [major, minor] = version.split('.') as [string, string];
const v = 'k8s.io/component-base/version';

export const controlPlane = goBuild({
  name: 'kubernetes',
  folder: here(import.meta, 'recipe'),
  package: '.',
  binary: 'controlplane',
  defines: {
    [`${v}.gitVersion`]: `v${version}`,
    [`${v}.gitMajor`]: major,
    [`${v}.gitMinor`]: minor,
    [`${v}.gitTreeState`]: 'clean',
  },
  afterKey: 'links',
  after({ out }) {
    for (const name of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl']) {
      symlinkSync('controlplane', join(out, 'bin', name));
    }
    return Promise.resolve();
  },
});

/** The built kubectl, else that of PATH. */
export function kubectlPath(): string | undefined {
  const folder = controlPlane.folder();
  return folder ? join(folder, 'bin', 'kubectl') : findProgram('kubectl');
}
