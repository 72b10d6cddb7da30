import { z } from 'zod';

/** One key of a config, as the docs show it. */
export interface Row {
  key: string;
  type: string;
  /** Undefined when the key must be given; `optional` when nothing stands in for it. */
  fallback: string | undefined;
  text: string;
}

type Schema = {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
};

/**
 * The keys of a zod schema, depth first: the docs are made from what the service checks, so they
 * cannot tell something else. `*` stands for a name of one's own, `[]` for the items of a list.
 */
export function rowsOf(schema: z.ZodType): Row[] {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema;
  const rows: Row[] = [];
  walk(json, '', true, rows);
  return rows;
}

function walk(schema: Schema, key: string, required: boolean, rows: Row[]): void {
  const branches = [
    schema,
    ...(schema.anyOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.allOf ?? []),
  ];
  if (key) {
    rows.push({
      key,
      type: typeOf(schema),
      fallback: schema.default !== undefined
        ? JSON.stringify(schema.default)
        : required
        ? undefined
        : 'optional',
      text: schema.description ?? '',
    });
  }
  const kinds = branches.filter((branch) => kindOf(branch)).length;
  const seen = new Set<string>();
  for (const branch of branches) {
    for (const [name, child] of Object.entries(branch.properties ?? {})) {
      const path = key ? `${key}.${name}` : name;
      if (seen.has(path)) continue;
      seen.add(path);
      if (kinds < 2) {
        walk(child, path, branch.required?.includes(name) ?? false, rows);
        continue;
      }
      // One of several kinds of thing: a key may be of some only, or be required by some only.
      const holders = branches.filter((each) => each.properties?.[name]);
      const needing = holders.filter((each) => each.required?.includes(name));
      if (name === 'kind') {
        walk({ anyOf: holders.map((each) => each.properties!.kind!) }, path, true, rows);
        continue;
      }
      const at = rows.length;
      walk(child, path, needing.length === holders.length, rows);
      const names = (list: Schema[]) => list.map((each) => `\`${kindOf(each)}\``).join(', ');
      const notes = [
        holders.length < kinds ? `of ${names(holders)}` : '',
        needing.length > 0 && needing.length < holders.length
          ? `required by ${names(needing)}`
          : '',
      ].filter(Boolean).join('; ');
      const row = rows[at]!;
      if (notes) row.text = `${row.text}${row.text ? ' ' : ''}(${notes})`;
    }
    if (typeof branch.additionalProperties === 'object') {
      nested(branch.additionalProperties, `${key}.*`, rows);
    }
    if (branch.items) nested(branch.items, `${key}[]`, rows);
  }
}

function kindOf(schema: Schema): unknown {
  return schema.properties?.kind?.const;
}

/** The inside of a map or list is worth rows only when it has keys itself. */
function nested(schema: Schema, key: string, rows: Row[]): void {
  const inner: Row[] = [];
  walk(schema, key, true, inner);
  rows.push(...inner.slice(1));
}

function typeOf(schema: Schema): string {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(typeOf))].join(' or ');
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.pattern?.includes('ms|s|m|h|d|w')) return 'duration';
  if (schema.type === 'array') return `list of ${schema.items ? typeOf(schema.items) : 'anything'}`;
  if (schema.type === 'object') return schema.properties ? 'keys below' : 'map';
  if (schema.type === 'integer' || schema.type === 'number') {
    const { minimum: low, maximum: high } = schema;
    const bounded = low !== undefined && high !== undefined && high < Number.MAX_SAFE_INTEGER;
    return bounded ? `${schema.type} ${low}–${high}` : String(schema.type);
  }
  if (schema.format === 'uri') return 'URL';
  if (schema.format === 'path') return 'path of a file';
  return String(schema.type ?? 'any');
}

/** The rows as a Markdown table. */
export function tableOf(rows: Row[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const lines = rows.map((row) => {
    const fallback = row.fallback === undefined
      ? '**required**'
      : row.fallback === 'optional'
      ? ''
      : `\`${row.fallback}\``;
    return `| \`${row.key}\` | ${cell(row.type)} | ${cell(fallback)} | ${cell(row.text)} |`;
  });
  return ['| key | type | default | what it does |', '| --- | --- | --- | --- |', ...lines].join(
    '\n',
  );
}

const BEGIN = '<!-- config table: made by `npm run docs`, do not edit -->';
const END = '<!-- end of config table -->';

/** The document with its table replaced. Throws when it has no place for one. */
export function withTable(document: string, table: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error(`Cannot place the table: no line "${BEGIN}"`);
  return `${document.slice(0, from)}${BEGIN}\n\n${table}\n\n${document.slice(to)}`;
}
