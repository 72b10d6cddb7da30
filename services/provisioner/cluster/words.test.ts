import { expect, test } from 'vitest';
import { plainWords } from './words.ts';

// Messages as the real controllers wrote them (tests/e2e/provisioner-flux.e2e.test.ts).
test.each([
  [
    'GitOperationFailed',
    "failed to checkout and determine revision: unable to clone 'https://codeberg.org/a/b': " +
    'couldn\'t find remote ref "refs/heads/nothing"',
    /^Your repository has no such branch or tag: /,
  ],
  [
    'ArtifactFailed',
    'kustomization path not found: stat /tmp/run/kustomization-2842149162/nowhere: no such file or directory',
    /^The folder is not in your repository: kustomization path not found: stat \.\/nowhere/,
  ],
  [
    'ReconciliationFailed',
    'Namespace/stolen dry-run failed (Forbidden): namespaces "stolen" is forbidden: User ' +
    '"system:serviceaccount:tenant-t:tenant" cannot patch resource "namespaces"',
    /^Your files make something that tenants may not make: /,
  ],
  [
    'ReconciliationFailed',
    'exceeded quota: q, requested: pods=1',
    /^Your files ask for more than your plan has/,
  ],
  ['Whatever', 'something new', /^something new$/],
  ['Whatever', '', /^Whatever$/],
])('%s: %s', (reason, message, words) => {
  expect(plainWords(reason, message).text).toMatch(words);
});

test('a message of any length is bounded', () => {
  expect(plainWords('x', 'y'.repeat(1e6)).text.length).toBeLessThan(600);
});
