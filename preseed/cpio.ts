/** Pure: an archive in cpio's newc form, as the kernel unpacks it over an initrd (Documentation/driver-api/early-userspace/buffer-format.rst). */

export interface Entry {
  /** Path without a leading slash; folders on the way are made. */
  path: string;
  content: Uint8Array;
  /** Permission bits, default 0o644. */
  mode?: number;
}

/** The same entries give the same bytes: owner root, no time. */
export function cpio(entries: Entry[]): Uint8Array {
  const folders = new Set<string>();
  for (const { path } of entries) {
    const parts = path.split('/');
    for (let n = 1; n < parts.length; n++) folders.add(parts.slice(0, n).join('/'));
  }
  const members = [
    ...[...folders].sort().map((path) => ({ path, mode: 0o040755, content: new Uint8Array() })),
    ...entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))
      .map(({ path, content, mode = 0o644 }) => ({ path, mode: 0o100000 | mode, content })),
    { path: 'TRAILER!!!', mode: 0, content: new Uint8Array() },
  ];
  const blocks = members.flatMap(({ path, mode, content }, index) => {
    const name = new TextEncoder().encode(`${path}\0`);
    const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    return [padded(new TextEncoder().encode(header), name), padded(content)];
  });
  return join(blocks);
}

/** Parts in one, filled with zeros to a multiple of four. */
function padded(...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return join([...parts, new Uint8Array((4 - (length % 4)) % 4)]);
}

function join(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
