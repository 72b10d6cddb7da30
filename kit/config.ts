import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { type Document, isScalar, LineCounter, parseDocument, stringify, visit } from 'yaml';
import { z } from 'zod';
import { AppError, type Fault, fileReason } from './errors.ts';

export { readSecret, Secret } from './secret.ts';

const UNITS: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** `30s`, `15m`, `1h`, `7d`, `500ms`: read as milliseconds. */
export function duration() {
  return z.string().regex(
    /^\d{1,9}(ms|s|m|h|d|w)$/,
    'must be a duration such as 30s, 15m, 1h or 7d',
  )
    .transform((text) => {
      const unit = text.replace(/^\d+/, '');
      return Number.parseInt(text, 10) * UNITS[unit]!;
    });
}

/** The path of a file that holds a secret; relative paths are relative to the config file. */
export function secretFile() {
  return z.string().min(1).max(4096).meta({ format: 'path' });
}

/** Where a service listens. Loopback unless the config says otherwise. */
export function listen(defaultPort: number) {
  return z.strictObject({
    host: z.string().min(1).default('127.0.0.1').describe('0.0.0.0 in a container'),
    port: z.number().int().min(0).max(65535).default(defaultPort).describe('0 takes a free one'),
    drain: duration().refine((ms) => ms <= 6000, 'must be at most 6s').prefault('0s').describe(
      'Behind a load balancer: so long `/readyz` says no before the door closes',
    ),
  }).prefault({}).describe('Where the service listens');
}

export interface LoadOptions {
  /** Path of the YAML file. */
  file: string;
  /** Overrides: `PREFIX_LISTEN__PORT=1` sets `listen.port`; names compare without case. */
  envPrefix: string;
  env?: Record<string, string | undefined>;
}

/**
 * Reads a service's one YAML file, lays environment overrides over it and checks it.
 * Every key ending in `File` or `Dir` (and items of keys ending in `Files`) becomes an absolute path.
 * Throws AppError `invalid` with ALL faults at once, each with its path.
 */
export async function loadConfig<S extends z.ZodType>(
  schema: S,
  options: LoadOptions,
): Promise<z.output<S>> {
  let text: string;
  try {
    text = await readFile(options.file, 'utf8');
  } catch (cause) {
    throw new AppError('invalid', `Cannot read config ${options.file}: ${fileReason(cause)}`);
  }
  return parseConfig(schema, text, { ...options, base: dirname(resolve(options.file)) });
}

/** `loadConfig` without the file: `base` is the folder relative paths start from. */
export function parseConfig<S extends z.ZodType>(
  schema: S,
  text: string,
  options: LoadOptions & { base: string },
): z.output<S> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { uniqueKeys: false, prettyErrors: true, lineCounter });
  const faults: Fault[] = document.errors.map((e) => ({
    path: e.linePos ? `line ${e.linePos[0].line}` : '',
    message: e.message.split('\n')[0]!,
  }));
  faults.push(...repeatedKeys(document, lineCounter));
  let raw: unknown;
  if (faults.length === 0) {
    try {
      raw = document.toJS({ maxAliasCount: 20 }) ?? {};
    } catch {
      faults.push({ path: '', message: 'too many aliases' });
    }
  }
  if (faults.length === 0) {
    overlay(raw, options.envPrefix, options.env ?? process.env);
    const result = schema.safeParse(raw);
    if (result.success) return absolute(result.data, options.base) as z.output<S>;
    for (const issue of result.error.issues) faults.push(...flatten(issue));
  }
  const list = faults.map((f) => `  ${f.path || '(root)'}: ${f.message}`).join('\n');
  throw new AppError('invalid', `Cannot use config ${options.file}:\n${list}`, { faults });
}

/** The parser's own check compares each key with all others of its map: slow with 2,000 feeds. */
function repeatedKeys(document: Document.Parsed, lines: LineCounter): Fault[] {
  const faults: Fault[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) {
          const at = lines.linePos(key.range?.[0] ?? 0);
          faults.push({ path: `line ${at.line}`, message: 'Map keys must be unique' });
        }
        seen.add(key.value);
      }
    },
  });
  return faults;
}

function flatten(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: dotted([...issue.path, key]),
      message: 'unknown key',
    }));
  }
  return [{ path: dotted(issue.path), message: issue.message }];
}

function dotted(path: PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key),
    '',
  );
}

/** Only keys below an object that is there, or new leaves of the root, can be set from outside. */
function overlay(root: unknown, prefix: string, env: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith(`${prefix}_`)) continue;
    const path = name.slice(prefix.length + 1).split('__');
    let node = root as Record<string, unknown>;
    for (const [i, part] of path.entries()) {
      if (typeof node !== 'object' || node === null) break;
      const wanted = part.replaceAll('_', '').toLowerCase();
      const key = Object.keys(node).find((k) => k.toLowerCase() === wanted) ?? camel(part);
      if (i === path.length - 1) node[key] = scalar(value);
      else node = (node[key] ??= {}) as Record<string, unknown>;
    }
  }
}

function camel(part: string): string {
  return part.toLowerCase().replaceAll(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

function scalar(value: string): unknown {
  if (/^(true|false)$/.test(value)) return value === 'true';
  return /^-?\d{1,15}$/.test(value) ? Number(value) : value;
}

function absolute(value: unknown, base: string, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => absolute(item, base, key.replace(/s$/, '')));
  if (typeof value === 'object' && value !== null) {
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [k, absolute(v, base, k)]),
    );
  }
  if (typeof value === 'string' && /(File|Dir)$/.test(key) && !isAbsolute(value)) {
    return resolve(base, value);
  }
  return value;
}

const SENSITIVE = /(password|secret|token|key|share|credential|cookie|passphrase)/i;

/** The effective config as YAML. Values of telling names are hidden; paths of secret files are not. */
export function printConfig(config: unknown): string {
  const hide = (value: unknown, key: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => hide(item, key));
    if (value instanceof Map) return hide(Object.fromEntries(value), key);
    if (typeof value === 'object' && value !== null) {
      if ('toJSON' in value) return (value as { toJSON(): unknown }).toJSON();
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, hide(v, k)]));
    }
    if (typeof value === 'string') {
      if (SENSITIVE.test(key) && !/(File|Files|Dir|Path|Url|Id)$/.test(key)) return '[redacted]';
      return value.replace(/(\w+:\/\/)[^/@\s]*@/, '$1[redacted]@').replace(/\?.*$/, '?[redacted]');
    }
    return value;
  };
  return stringify(hide(config, ''));
}
