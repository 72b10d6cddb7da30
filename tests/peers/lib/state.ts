/** Where running peers leave their marks: pid files, port reservations, temporary folders, logs. */
import { mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** One folder a user, shared by every run and every checkout, readable by nobody else. */
export function stateFolder(): string {
  const folder = process.env.HACKSPACE_PEERS_STATE ??
    join(tmpdir(), `hackspace-peers-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
