import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { crossCheck, schema } from '../config.ts';

const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');

test('the config in the Deployment is one the service takes, and every path in it is mounted', () => {
  const all = parseAllDocuments(read('deployment.yaml')).map((document) => document.toJS());
  const map = all.find((each) => each.kind === 'ConfigMap' && each.metadata.name === 'unsealer');
  const config = schema.parse(parse(map.data['config.yaml']));
  expect(crossCheck(config)).toEqual([]);
  const [container] = all.find((each) => each.kind === 'Deployment').spec.template.spec.containers;
  const mounts = container.volumeMounts.map((mount: { mountPath: string }) => mount.mountPath);
  const cluster = config.clusters.core!;
  for (
    const path of [cluster.caFile, cluster.keyFile!, ...cluster.shareFiles, String(config.state)]
  ) {
    expect(mounts.some((mount: string) => path.startsWith(mount)), path).toBe(true);
  }
  // Share file and its key never lie in one Secret.
  expect(cluster.keyFile!.split('/')[1]).not.toBe(cluster.shareFiles[0]!.split('/')[1]);
  expect(config.singleBox).toBeUndefined();
});

test('every way to start it keeps debuggers and core dumps out', () => {
  const unit = read('unsealer.service');
  expect(unit).toContain('--disable-sigusr1');
  expect(unit).toMatch(/^LimitCORE=0$/m);
  expect(unit).toMatch(/^MemorySwapMax=0$/m);
  for (const name of ['deployment.yaml', 'static-pod.yaml']) {
    expect(read(name)).toContain('--disable-sigusr1');
    expect(read(name)).toContain('readOnlyRootFilesystem: true');
  }
});
