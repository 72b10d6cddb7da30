import { AppError } from '@hackspace/kit/errors.ts';

/** A folder of a revision: where in `bytes` the id of each entry begins. */
interface Tree {
  bytes: Buffer;
  files: Map<string, number>;
  folders: Map<string, number>;
}

/** Bytes of trees that are kept at most; the folder of 10,000 tenants has 340 kB. */
const KEPT = 16 * 1024 * 1024;

/**
 * Finds files of a revision by reading each folder on the way once. Asked path by path, git would
 * inflate the folder of all tenants for each. A tree never changes under its id, so what is kept
 * stays right; the longest unused go first.
 */
export class Trees {
  readonly #contents: (name: string) => Promise<Buffer | undefined>;
  readonly #kept = new Map<string, Tree>();
  readonly #reading = new Map<string, Promise<Tree>>();
  #size = 0;

  /** `contents` reads the object behind a name as git understands it. */
  constructor(contents: (name: string) => Promise<Buffer | undefined>) {
    this.#contents = contents;
  }

  /** The blob at a path of a commit, if it is one. */
  async find(commit: string, path: string): Promise<string | undefined> {
    const parts = path.split('/');
    const file = parts.pop()!;
    let name = `${commit}^{tree}`;
    for (const part of parts) {
      const tree = await this.#tree(name);
      const at = tree.folders.get(part);
      if (at === undefined) return undefined;
      name = idAt(tree, at);
    }
    const tree = await this.#tree(name);
    const at = tree.files.get(file);
    return at === undefined ? undefined : idAt(tree, at);
  }

  #tree(name: string): Tree | Promise<Tree> {
    const kept = this.#kept.get(name);
    if (kept) {
      this.#kept.delete(name);
      this.#kept.set(name, kept);
      return kept;
    }
    let reading = this.#reading.get(name);
    if (!reading) {
      reading = this.#read(name).finally(() => this.#reading.delete(name));
      this.#reading.set(name, reading);
    }
    return reading;
  }

  async #read(name: string): Promise<Tree> {
    const bytes = await this.#contents(name);
    if (!bytes) throw new AppError('unavailable', 'Cannot read the repository: a tree is missing');
    const tree = parseTree(bytes);
    this.#kept.set(name, tree);
    this.#size += bytes.length;
    for (const [oldest, { bytes: { length } }] of this.#kept) {
      if (this.#size <= KEPT || oldest === name) break;
      this.#kept.delete(oldest);
      this.#size -= length;
    }
    return tree;
  }
}

const idAt = (tree: Tree, at: number) => tree.bytes.toString('hex', at, at + 20);

/** `mode SP name NUL id`, again and again; whatever is neither file nor folder is left out. */
function parseTree(bytes: Buffer): Tree {
  const tree: Tree = { bytes, files: new Map(), folders: new Map() };
  for (let start = 0; start < bytes.length;) {
    const space = bytes.indexOf(0x20, start);
    const end = bytes.indexOf(0, space);
    const mode = bytes.toString('latin1', start, space);
    const name = bytes.toString('utf8', space + 1, end);
    if (mode === '40000') tree.folders.set(name, end + 1);
    else if (mode.startsWith('10')) tree.files.set(name, end + 1);
    start = end + 21;
  }
  return tree;
}
