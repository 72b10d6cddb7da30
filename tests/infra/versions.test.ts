import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import versions from '../../versions.json' with { type: 'json' };
import { documentsOf, filesOf, ROOT } from './documents.ts';

const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const pinned = new Set<string>(Object.values(versions.images));

/** Every image that a file names: of pods, and of recipes. */
function imagesOf(path: string): string[] {
  return [...text(path).matchAll(/^\s*(?:- )?image: *['"]?([^\s'"]+)|^FROM (\S+)/gm)]
    .map(([, image, from]) => image ?? from!);
}
const files = ['manifests', 'flux'].flatMap(filesOf);

test('every image is one of versions.json', () => {
  const used = files.flatMap((path) => imagesOf(path).map((image) => `${path} ${image}`));
  expect(used.length).toBeGreaterThan(15);
  expect(used.filter((each) => !pinned.has(each.split(' ')[1]!))).toEqual([]);
});

test('no image floats', () => {
  for (const image of pinned) expect(image).toMatch(/:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$/);
});

test('every chart is one of versions.json, from its repository, and none is pinned in vain', () => {
  const entries = documentsOf('flux/infra').map((each) => each.document);
  const urls = new Map(
    entries.filter((d) => d.kind === 'HelmRepository').map((d) => [d.metadata.name, d.spec.url]),
  );
  const used = entries.filter((d) => d.kind === 'HelmRelease').map(({ spec }) => spec.chart.spec)
    .map(({ chart, version, sourceRef }) => [
      chart,
      { repository: urls.get(sourceRef.name), version },
    ]);
  expect(Object.fromEntries(used)).toEqual(versions.charts);
});

test('the Gateway API and Flux have one version each', () => {
  const all = documentsOf('flux').map((each) => each.document);
  const gateway = all.find((d) => d.kind === 'GitRepository' && d.metadata.name === 'gateway-api');
  expect(gateway.spec.ref.tag).toBe(versions.crds['gateway-api'].version);
  const instance = all.find((d) => d.kind === 'FluxInstance');
  expect(instance.spec.distribution.version).toBe(versions.tools.flux);
  const controllers = ['source', 'kustomize', 'helm', 'notification'] as const;
  for (const name of controllers.map((each) => `${each}-controller` as const)) {
    expect(versions.crds[name].version).toBe(`v${versions.tools[name]}`);
  }
});

test('Renovate finds every pin of versions.json', () => {
  const { customManagers } = JSON.parse(text('renovate.json'));
  const patterns = customManagers.flatMap((m: { matchStrings: string[] }) => m.matchStrings)
    .map((pattern: string) => new RegExp(pattern, 'g'));
  const found = patterns.flatMap((p: RegExp) =>
    [...text('versions.json').matchAll(p)].map(({ groups }) => groups!.depName)
  );
  expect(found).toEqual(expect.arrayContaining(Object.keys(versions.charts)));
  expect(found).toEqual(
    expect.arrayContaining(Object.values(versions.crds).map((each) => each.module)),
  );
  const public_ = [...pinned].filter((image) => /^(docker|quay|ghcr|codeberg)\./.test(image));
  expect(public_.length).toBeGreaterThan(5);
  expect(found).toEqual(expect.arrayContaining(public_.map((image) => image.split(':')[0])));
});
