import { createHash } from 'node:crypto';

/** A name and an address as git writes them; whatever git cannot hold is taken out. */
export interface Person {
  name: string;
  email: string;
}

/** Files of one revision, read lazily. */
export interface Snapshot {
  /** The commit; undefined in an empty repository. */
  readonly revision: string | undefined;
  read(path: string): Promise<Uint8Array | undefined>;
  /** Paths of all files below `folder/`, sorted. */
  list(folder: string): Promise<string[]>;
}

/** What a change wants: bytes to be there, or null for a path to be gone. */
export interface Edit<T> {
  files: ReadonlyMap<string, Uint8Array | null>;
  /** One line: `tenants: claim garden`. */
  subject: string;
  trailers: readonly (readonly [key: string, value: string])[];
  /** Handed back to the caller once the files are committed. */
  result: T;
}

export interface Change<T> {
  author: Person;
  /**
   * Decides from what is there now. Runs again, on the newer revision, whenever somebody else was
   * faster: so it must not have effects of its own. What it throws refuses the change.
   */
  edit(snapshot: Snapshot): Promise<Edit<T>> | Edit<T>;
}

export interface Committed<T> {
  /** The commit that holds the change; undefined when everything was there already. */
  commit: string | undefined;
  result: T;
}

/** The tenants repo. Every write is one commit of one change, or nothing. */
export interface Store {
  /** Throws what `edit` throws, or AppError `unavailable` when nothing was or will be written. */
  commit<T>(change: Change<T>): Promise<Committed<T>>;
  snapshot(): Promise<Snapshot>;
  log(path: string, limit: number): Promise<LogEntry[]>;
  close(): Promise<void>;
}

export interface LogEntry {
  commit: string;
  author: string;
  /** RFC 3339. */
  time: string;
  subject: string;
  trailers: Record<string, string>;
}

/** A commit to be made: only files that differ, with the blob they replace. */
export interface Commit {
  author: Person;
  message: string;
  /** Epoch seconds. */
  time: number;
  files: { path: string; bytes: Uint8Array | null; replaces: string | undefined }[];
}

/** What a technology has to offer for `openStore` to make a Store of it. */
export interface Backend {
  /** Commits that one `publish` takes at most. */
  readonly maxBatch: number;
  /** The branch's commit. `fresh` asks the other side even where a copy is kept. */
  head(fresh: boolean): Promise<string | undefined>;
  /** The blob ids of those paths that exist. */
  stat(revision: string, paths: readonly string[]): Promise<Map<string, string>>;
  blob(id: string, revision: string, path: string): Promise<Uint8Array>;
  /** Every file below `folder/` with its blob id. */
  list(revision: string, folder: string): Promise<Map<string, string>>;
  /**
   * Puts a chain of commits on top of `parent`, all or none. Throws RaceLost when the branch is not,
   * or not any more, at `parent` and nothing was written.
   */
  publish(parent: string | undefined, commits: readonly Commit[]): Promise<string[]>;
  log(path: string, limit: number): Promise<LogEntry[]>;
  close(): Promise<void>;
}

/** Somebody else wrote first; read again and decide again. */
export class RaceLost extends Error {
  override readonly name = 'RaceLost';
}

/** The id git gives to these bytes. */
export function blobId(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

const CLEAN = /[\p{C}<>\r\n]+/gu;

/** A person as git can write one: no controls, no angle brackets, never empty. */
export function cleanPerson(person: Person): Person {
  const clean = (text: string, fallback: string) =>
    text.normalize('NFC').replace(CLEAN, ' ').trim().replace(/^[.,:;'" ]+|[.,:;'" ]+$/g, '')
      .slice(0, 100) || fallback;
  return {
    name: clean(person.name, 'a member'),
    email: clean(person.email, 'nobody@invalid').replaceAll(' ', ''),
  };
}

/** Subject and trailers as one message; values are folded to one line. */
export function messageOf(edit: Edit<unknown>): string {
  const line = (text: string) => text.replace(CLEAN, ' ').trim().slice(0, 300);
  const trailers = edit.trailers.map(([key, value]) => `${key}: ${line(value)}`);
  return `${line(edit.subject)}\n\n${trailers.join('\n')}\n`;
}
