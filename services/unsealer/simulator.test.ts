import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe } from 'vitest';
import { type Authority, type Certificate, createAuthority } from '../../tests/peers/lib/tls.ts';
import { contract } from './simulator.contract.ts';
import { startSimulator } from './simulator.ts';

describe('the simulator', () => {
  let authority: Authority;
  let certificate: Certificate;
  beforeAll(async () => {
    authority = await createAuthority(mkdtempSync(join(tmpdir(), 'sim-')), 'simulator');
    certificate = await authority.issue('node', { subject: '/CN=sim', sans: ['IP:127.0.0.1'] });
  });
  contract(async () => {
    const { cert, key } = certificate;
    const sim = await startSimulator({ nodes: 1, cert, key, startMs: 0 });
    const [node] = sim.nodes as [typeof sim.nodes[0]];
    return {
      url: node.url,
      ca: authority.cert,
      keys: sim.keys,
      async restart() {
        await node.stop();
        await node.start();
      },
      [Symbol.asyncDispose]: () => sim.stop(),
    };
  });
});
