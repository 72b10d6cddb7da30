/** What the command and the tests know of a peer, before it is started. */

export interface BuildOptions {
  /** Called often, with one line that replaces the last. */
  progress: (line: string) => void;
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** Something made once and kept in the cache. */
export interface Build {
  /** Programs that must be on PATH for it. */
  tools: string[];
  /** Name of its folder in the cache. */
  key: string;
  folder(): string | undefined;
  make(options: BuildOptions): Promise<string>;
}

export interface Peer {
  name: string;
  version: string;
  /** How it is had: `built from the Go module proxy`, `Debian package`. */
  had: string;
  /** Which part is not the real program, in words. Printed wherever the peer is. */
  standIn?: string;
  /** Undefined when a test may start it now; else what is missing. Fast: file look-ups. */
  missing(): string | undefined;
  /** The exact command that brings it. */
  command: string;
  /** Made in this order. Peers without are programs of the system. */
  builds: Build[];
}

/** A peer that is one or more programs of the system. */
export function systemPeer(
  peer: Omit<Peer, 'missing' | 'builds' | 'version'> & { version?: string; find: () => unknown },
): Peer {
  const { find, version = 'of the system', ...rest } = peer;
  return {
    ...rest,
    version,
    builds: [],
    missing: () => (find() ? undefined : 'the program is not on PATH'),
  };
}

/** A peer that is built into the cache by `npm run peers -- NAME`. */
export function builtPeer(peer: Omit<Peer, 'missing' | 'command'>): Peer {
  return {
    ...peer,
    command: `npm run peers -- ${peer.name}`,
    missing: () => {
      const wanting = peer.builds.filter((build) => !build.folder());
      return wanting.length === 0
        ? undefined
        : `not built: ${wanting.map((b) => b.key).join(', ')}`;
    },
  };
}
