import { AppError } from '@hackspace/kit/errors.ts';
import { readSecret } from '@hackspace/kit/config.ts';
import { z } from 'zod';
import { jsonClient } from '../http.ts';
import { parseTrailers } from './git.ts';
import { type Backend, cleanPerson, type Commit, type Person, RaceLost } from './store.ts';

export interface ForgejoOptions {
  /** `https://git.example`, the root of a Forgejo or Gitea. */
  url: string;
  owner: string;
  repo: string;
  branch: string;
  committer: Person;
  tokenFile: string;
}

const file = z.object({ path: z.string(), sha: z.string(), type: z.string() });
const blob = z.object({ content: z.string(), encoding: z.literal('base64') });
const tree = z.object({ tree: z.array(file), truncated: z.boolean(), total_count: z.number() });
const branch = z.object({ commit: z.object({ id: z.string() }) });
const written = z.object({ commit: z.object({ sha: z.string() }) });
const commits = z.array(z.object({
  sha: z.string(),
  commit: z.object({
    message: z.string(),
    author: z.object({ name: z.string() }),
    committer: z.object({ date: z.string() }),
  }),
}));

/**
 * Forgejo or Gitea through the contents API. The API guards files, not the branch: every file goes
 * with the id of the blob it replaces, without which it would be overwritten silently.
 */
export async function forgejo(options: ForgejoOptions): Promise<Backend> {
  const token = await readSecret(options.tokenFile);
  const client = jsonClient({
    name: 'the forge',
    url: options.url,
    headers: () => ({ Authorization: `token ${token.reveal()}` }),
    maxBytes: 32 * 1024 * 1024,
  });
  const enc = encodeURIComponent;
  const repo = `api/v1/repos/${enc(options.owner)}/${enc(options.repo)}`;
  const committer = cleanPerson(options.committer);

  async function head(): Promise<string | undefined> {
    const { status, json } = await client.get(`${repo}/branches/${enc(options.branch)}`);
    if (status === 200) return branch.parse(json).commit.id;
    if (status !== 404) throw failed('read from', status, json);
    // An empty repository has no branch; a repository that is not there, or not ours, is an error.
    const there = await client.get(repo);
    if (there.status === 200 && (there.json as { empty?: boolean }).empty) return undefined;
    throw failed('read from', 404, there.json);
  }

  /** The files of one folder, not of those below it. */
  async function folder(revision: string, path: string): Promise<z.output<typeof file>[]> {
    const { status, json } = await client.get(
      `${repo}/contents/${path.split('/').map(enc).join('/')}?ref=${enc(revision)}`,
    );
    if (status === 404) return [];
    if (status !== 200) throw failed('read from', status, json);
    return Array.isArray(json) ? z.array(file).parse(json) : [];
  }

  async function write(parent: string | undefined, commit: Commit): Promise<string> {
    const date = new Date(commit.time * 1000).toISOString();
    const { status, json } = await client.post(`${repo}/contents`, {
      branch: options.branch,
      ...(parent === undefined ? { new_branch: options.branch } : {}),
      message: commit.message,
      author: commit.author,
      committer,
      dates: { author: date, committer: date },
      files: commit.files.map(({ path, bytes, replaces }) => ({
        operation: bytes === null ? 'delete' : replaces ? 'update' : 'create',
        path,
        ...(bytes === null ? {} : { content: Buffer.from(bytes).toString('base64') }),
        ...(replaces ? { sha: replaces } : {}),
      })),
    });
    if (status === 201) return written.parse(json).commit.sha;
    throw failed('write to', status, json);
  }

  return {
    maxBatch: 1,
    head,
    async stat(revision, paths) {
      const folders = new Set(paths.map((path) => path.slice(0, path.lastIndexOf('/'))));
      const listed = await Promise.all([...folders].map((f) => folder(revision, f)));
      const ids = new Map(
        listed.flat().filter((f) => f.type === 'file').map((f) => [f.path, f.sha]),
      );
      return new Map(paths.filter((p) => ids.has(p)).map((p) => [p, ids.get(p)!]));
    },
    async blob(id) {
      const { status, json } = await client.get(`${repo}/git/blobs/${enc(id)}`);
      if (status !== 200) throw failed('read from', status, json);
      return new Uint8Array(Buffer.from(blob.parse(json).content, 'base64'));
    },
    async list(revision, path) {
      const found = new Map<string, string>();
      for (let page = 1, seen = 0;; page++) {
        const { status, json } = await client.get(
          `${repo}/git/trees/${enc(revision)}?recursive=true&per_page=1000&page=${page}`,
        );
        if (status !== 200) throw failed('read from', status, json);
        const answer = tree.parse(json);
        for (const entry of answer.tree) {
          if (entry.type === 'blob' && entry.path.startsWith(`${path}/`)) {
            found.set(entry.path, entry.sha);
          }
        }
        seen += answer.tree.length;
        if (answer.tree.length === 0 || seen >= answer.total_count) return found;
      }
    },
    async publish(parent, [commit]) {
      return [await write(parent, commit!)];
    },
    async log(path, limit) {
      const { status, json } = await client.get(
        `${repo}/commits?sha=${enc(options.branch)}&path=${enc(path)}&limit=${limit}` +
          '&stat=false&verification=false&files=false',
      );
      if (status === 404 || status === 409) return [];
      if (status !== 200) throw failed('read from', status, json);
      return commits.parse(json).map(({ sha, commit }) => ({
        commit: sha,
        author: commit.author.name,
        time: new Date(commit.committer.date).toISOString(),
        subject: commit.message.split('\n')[0]!,
        trailers: parseTrailers(commit.message.split('\n\n').slice(1).join('\n')),
      }));
    },
    async close() {},
  };
}

/**
 * What an answer means. 403 is both "somebody was faster" and "not allowed", told apart by its text;
 * 404, 409, 422 and 500 while writing may all be a race, or our own write that has landed already.
 */
function failed(attempt: 'read from' | 'write to', status: number, json: unknown): Error {
  const text = String((json as { message?: unknown } | undefined)?.message ?? '').slice(0, 300);
  const cause = new Error(`${status} ${text}`);
  if (attempt === 'write to') {
    const race = status === 409 || status === 422 || status === 500 || status === 404 ||
      (status === 403 && /cannot lock ref/.test(text));
    if (race) return new RaceLost(`${status} ${text}`);
  }
  if (status === 401 || status === 403 || status === 404) {
    return new AppError('forbidden', `Cannot ${attempt} the tenants repo: the forge forbids it`, {
      cause,
    });
  }
  return new AppError('unavailable', `Cannot ${attempt} the tenants repo: answer ${status}`, {
    cause,
  });
}
