import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the dev world keeps what outlives it, and which ports it takes. */
export interface Place {
  folder: string;
  ports: Record<PortName, number>;
  /** A file of this folder; its own folder is made. */
  file(...parts: string[]): string;
  /** A secret that is made once and kept in a file only its owner reads: the file's path. */
  secret(name: string): string;
  read(path: string): string;
  write(path: string, text: string): string;
  /** A service's config, written as JSON, which is YAML: its path. */
  config(name: string, value: unknown): string;
}

const PORTS = {
  front: 8000,
  icsProxy: 8080,
  provisioner: 8081,
  unsealer: 8082,
  keycloak: 8083,
};
export type PortName = keyof typeof PORTS;

/** `PORT_FRONT=9000 npm start` moves a port; `HACKSPACE_DEV` moves the folder, of which `part` is one. */
export function openPlace(
  env: Record<string, string | undefined>,
  options: { fresh: boolean; part?: string },
): Place {
  const folder = join(env['HACKSPACE_DEV'] ?? '.hackspace', options.part ?? '');
  if (options.fresh) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ports = { ...PORTS };
  for (const name of Object.keys(PORTS) as PortName[]) {
    const variable = `PORT_${name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`;
    const value = env[variable];
    if (value === undefined) continue;
    const port = Number(value);
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new Error(`Cannot use ${variable}: must be a port, 1 to 65535`);
    }
    ports[name] = port;
  }
  const file = (...parts: string[]) => {
    const path = join(folder, ...parts);
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    return path;
  };
  const write = (path: string, text: string) => {
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return {
    folder,
    ports,
    file,
    secret(name) {
      const path = file('secrets', name);
      return existsSync(path) ? path : write(path, randomBytes(32).toString('hex') + '\n');
    },
    read: (path) => readFileSync(path, 'utf8').trim(),
    write,
    config: (name, value) => write(file(name), JSON.stringify(value, null, 2)),
  };
}
