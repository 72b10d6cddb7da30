import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { gate } from '@hackspace/kit/gate.ts';
import { sha256Later } from '@hackspace/kit/guard.ts';
import { checkCalendar } from './body.ts';
import { Fault } from './fault.ts';
import type { FetchResult, Validators } from './source.ts';

const MAX_FILES = 1_000;
/** A file touched this recently may change again within the same tick of its clock. */
const SETTLED_MS = 2_000;
/** More at a time are no faster: it is one disk. */
const reading = gate(4);
const CRLF = new Uint8Array([0x0d, 0x0a]);

/**
 * A file, or the `*.ics` of one directory (not below it) in the order of their names. Unchanged is
 * known by time and size. In a directory a file that cannot be used is left out with a warning;
 * a link that leads out of it is such a file. Throws Fault; stalled when the path itself is wrong.
 */
export function fetchFile(
  path: string,
  maxBytes: number,
  previous: Validators | undefined,
): Promise<FetchResult> {
  return reading(() => fetchNow(path, maxBytes, previous));
}

async function fetchNow(
  path: string,
  maxBytes: number,
  previous: Validators | undefined,
): Promise<FetchResult> {
  const real = await realpath(path).catch(refuse);
  const info = await lstat(real).catch(refuse);
  const warnings: string[] = [];
  const files = info.isDirectory() ? await list(real, warnings) : [{ path: real, name: '', info }];
  const newest = Math.max(0, ...files.map((file) => file.info.mtimeMs));
  const signature = createHash('sha256')
    .update(files.map((f) => `${f.name}/${f.info.mtimeMs}/${f.info.size}\n`).join(''))
    .digest('hex');
  if (previous?.signature === signature) return { status: 'unchanged', validators: previous };

  const parts: Uint8Array[] = [];
  let left = maxBytes;
  for (const file of files) {
    try {
      const bytes = await read(file.path, left);
      left -= bytes.length;
      checkCalendar(bytes);
      parts.push(bytes, CRLF);
    } catch (error) {
      if (!info.isDirectory() || !(error instanceof Fault) || left <= 0) throw error;
      warnings.push(`Left out ${file.name}: ${error.message}`);
    }
  }
  if (parts.length === 0) throw new Fault('directory holds no usable .ics file');
  if (!info.isDirectory()) parts.pop();
  const bytes = parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
  const sha256 = await sha256Later(bytes);
  const validators: Validators = { sha256 };
  if (Date.now() - newest > SETTLED_MS) validators.signature = signature;
  if (previous?.sha256 === sha256) return { status: 'unchanged', validators };
  return { status: 'fresh', bytes, validators, ...(warnings.length > 0 ? { warnings } : {}) };
}

interface Entry {
  path: string;
  name: string;
  info: Stats;
}

async function list(folder: string, warnings: string[]): Promise<Entry[]> {
  const names = (await readdir(folder).catch(refuse))
    .filter((name) => /\.ics$/i.test(name) && !name.startsWith('.'))
    .sort();
  if (names.length > MAX_FILES) throw new Fault(`directory holds more than ${MAX_FILES} files`);
  const entries: Entry[] = [];
  for (const name of names) {
    try {
      const path = await realpath(join(folder, name));
      if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
        warnings.push(`Left out ${name}: link leads out of the directory`);
        continue;
      }
      const info = await lstat(path);
      if (info.isFile()) entries.push({ path, name, info });
    } catch {
      warnings.push(`Left out ${name}: cannot be read`);
    }
  }
  return entries;
}

async function read(path: string, maxBytes: number): Promise<Uint8Array> {
  // NONBLOCK: a fifo put in the file's place must not hold the loop
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(path, flags).catch(refuse);
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new Fault('not a file', { stalled: true });
    if (info.size > maxBytes) throw new Fault(`larger than the ${maxBytes} bytes left`);
    const buffer = new Uint8Array(info.size);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
}

const WORDS: Record<string, string> = {
  ENOENT: 'no such file or directory',
  EACCES: 'access is refused',
  EPERM: 'access is refused',
  ENOTDIR: 'no such file or directory',
  ELOOP: 'link is not followed',
};

function refuse(error: NodeJS.ErrnoException): never {
  throw new Fault(WORDS[error.code ?? ''] ?? 'cannot be read', { stalled: true });
}
