import { expect, test } from 'vitest';
import { startDocker } from './docker.ts';
import { k3sImage, k3sImageIsHere } from './kubernetes/container.ts';
import { startContainer } from './kubernetes.ts';
import { needs } from './lib/needs.ts';

// Where the real image is, kubernetes.peer.test.ts runs on it; here the path itself is kept working anywhere.
needs('docker', 'k3s-stand-in')('@testcontainers/k3s', () => {
  test('starts an image, maps its port and hands out a kubeconfig that works', async () => {
    await using docker = await startDocker();
    const image = k3sImageIsHere() ? k3sImage() : await docker.importStandIn();
    process.stderr.write(`[peers] @testcontainers/k3s runs ${image}\n`);
    const cluster = await startContainer(image, docker.host);
    await using _cluster = cluster;
    expect(cluster.source).toBe('container');
    expect((await cluster.call('/version')).gitVersion).toMatch(/^v1\.36\./);
    await using ns = await cluster.createNamespace('made-here');
    const token = await cluster.createToken(ns.name, 'default');
    expect(token.split('.')).toHaveLength(3);
    expect(await docker.docker('ps', '--format', '{{.Image}}')).toContain(image);
    await cluster.stop();
    expect(await docker.docker('ps', '--all', '--format', '{{.Image}}')).not.toContain(image);
  });
});
