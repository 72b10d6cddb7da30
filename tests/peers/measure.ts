/** `npm run peers -- measure`: how long each server here takes from nothing to ready, and to end. */
import { loadavg } from 'node:os';
import { startApacheDigest } from './digest.ts';
import { startDocker } from './docker.ts';
import { startFlux } from './flux.ts';
import { startGit } from './git.ts';
import { startGitea } from './gitea.ts';
import { startKeycloak } from './keycloak.ts';
import { startControlPlane } from './kubernetes.ts';
import { startNginx } from './nginx.ts';
import { startOpenBao } from './openbao.ts';
import { type PeerName, peers } from './peers.ts';
import { startRadicale } from './radicale.ts';
import { startRedis } from './redis.ts';
import { startSabre } from './sabre.ts';
import { startSmtp } from './smtp.ts';

const starts: [string, PeerName, () => Promise<AsyncDisposable>][] = [
  ['openbao, one node on files, unsealed', 'openbao', () => startOpenBao()],
  ['openbao, three raft nodes, unsealed', 'openbao', () => startOpenBao({ nodes: 3 })],
  ['control plane, controllers at work', 'control-plane', () => startControlPlane()],
  [
    'control plane, API server only',
    'control-plane',
    () => startControlPlane({ controllers: false }),
  ],
  ['flux with a control plane and git', 'flux', () => startFlux()],
  ['keycloak with the realm', 'keycloak', () => startKeycloak()],
  ['gitea with an admin and a token', 'gitea', () => startGitea()],
  ['git over smart HTTP', 'git', () => startGit()],
  ['radicale', 'radicale', () => startRadicale()],
  ['sabre/dav', 'sabre', () => startSabre()],
  ['Apache httpd with Digest', 'apache-digest', () => startApacheDigest()],
  ['nginx', 'nginx', () => startNginx()],
  ['redis', 'redis', () => startRedis()],
  ['smtp', 'smtp', () => startSmtp()],
  ['docker, an engine', 'docker', () => startDocker()],
];

/** Medians of `runs`, in seconds, as rows of a Markdown table. */
export async function measure(print: (line: string) => void, runs = 3): Promise<void> {
  print('| what | start, s | end, s |\n|---|---|---|');
  for (const [what, name, start] of starts) {
    const missing = peers[name].missing();
    if (missing) {
      print(`| ${what} | not here: ${missing} | |`);
      continue;
    }
    const times: [number, number][] = [];
    for (let n = 0; n < runs; n++) {
      const began = performance.now();
      const peer = await start();
      const ready = performance.now();
      await peer[Symbol.asyncDispose]();
      times.push([ready - began, performance.now() - ready]);
    }
    const median = (column: 0 | 1) => {
      const sorted = times.map((row) => row[column]).sort((a, b) => a - b);
      return (sorted[Math.floor(sorted.length / 2)]! / 1000).toFixed(2);
    };
    print(`| ${what} | ${median(0)} | ${median(1)} |`);
  }
  print(`\nMedians of ${runs}; load ${loadavg().map((each) => each.toFixed(1)).join(' ')}`);
}
