/**
 * Suites that need peers: run when they are at hand, else skipped by name, LOUDLY: on the terminal at once
 * and in the list at the end of the run. `HACKSPACE_PEERS_REQUIRED=1` makes a missing peer a failure.
 */
import { describe, test } from 'vitest';
import { type PeerName, peers } from '../peers.ts';
import { noteSkipped } from './skipped.ts';

/**
 * `describe`, for a suite that needs `names`:
 * `needs('openbao', 'kubernetes')('a member reads its secret', () => { ... })`.
 */
export function needs(...names: PeerName[]): (title: string, suite: () => void) => void {
  const wanting = names.map((name) => peers[name]).flatMap((peer) => {
    const missing = peer.missing();
    return missing ? [{ name: peer.name, missing, command: peer.command }] : [];
  });
  for (const name of names) {
    const { standIn } = peers[name];
    if (standIn) process.stderr.write(`[peers] ${name}: stand-in part: ${standIn}\n`);
  }
  if (wanting.length === 0) return (title, suite) => void describe(title, suite);
  return (title, suite) => {
    for (const each of wanting) {
      const line = `SKIPPED for want of ${each.name} (${each.missing}): ${title}\n` +
        `        bring it with: ${each.command}`;
      process.stderr.write(`\n[peers] ${line}\n`);
      noteSkipped({ title, ...each });
    }
    if (process.env.HACKSPACE_PEERS_REQUIRED) {
      describe(title, () => {
        test('has its peers', () => {
          const text = wanting.map((each) => `${each.name}: ${each.command}`).join('; ');
          throw new Error(`Cannot run ${title}: missing ${text}`);
        });
      });
      return;
    }
    const reason = `needs ${wanting.map((each) => each.name).join(', ')}`;
    describe.skip(`${title} [SKIPPED: ${reason}]`, suite);
  };
}
