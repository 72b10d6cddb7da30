/** Ports on loopback that nobody else of ours will take between asking and listening. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { tryClaim } from './claim.ts';
import { stateFolder } from './state.ts';

// Below the range from which systems hand out ports for outgoing connections (32768 on Linux), so that
// a connection of a program nearby cannot sit on a port that is reserved and not yet listened on.
const LOWEST = 20_000;
const HIGHEST = 32_000;

export interface ReservedPort extends Disposable {
  port: number;
}

/** Reserves a free port for programs that cannot listen on port 0. Held until disposed, or the process ends. */
export async function reservePort(): Promise<ReservedPort> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    const held = tryClaim(join(stateFolder(), 'ports', String(port)));
    if (!held) continue;
    if (await isFree(port)) return { port, [Symbol.dispose]: () => held[Symbol.dispose]() };
    held[Symbol.dispose]();
  }
  throw new Error(
    `Cannot reserve a port: 500 tries between ${LOWEST} and ${HIGHEST} found none free`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => done(true));
    });
  });
}
