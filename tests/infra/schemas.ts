/** JSON schemas for kubeconform, made of what a running API server says of itself: its kinds and its CRDs'. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Kubernetes } from '../peers/kubernetes.ts';

interface Schema {
  [key: string]: unknown;
  properties?: Record<string, Schema>;
}

/** Unknown fields are faults, as under `--validate=strict`; what may be a number or text may be either. */
function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict);
  if (typeof value !== 'object' || value === null) return value;
  const schema = value as Schema;
  if (schema.format === 'int-or-string' || schema['x-kubernetes-int-or-string']) {
    return { oneOf: [{ type: 'string' }, { type: 'integer' }] };
  }
  const inner = (k: string, v: unknown) =>
    k === 'properties' && typeof v === 'object'
      ? Object.fromEntries(Object.entries(v as Schema).map(([name, each]) => [name, strict(each)]))
      : strict(v);
  const out: Schema = Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, inner(k, v)]));
  if (
    typeof out.properties === 'object' && out.additionalProperties === undefined &&
    !schema['x-kubernetes-preserve-unknown-fields']
  ) out.additionalProperties = false;
  return out;
}

/** The definitions that one of them needs, itself included: a schema file must stand alone. */
function closure(definitions: Record<string, Schema>, name: string, found: Record<string, Schema>) {
  if (found[name] || !definitions[name]) return found;
  found[name] = definitions[name];
  const refs = JSON.stringify(definitions[name]).matchAll(/"#\/definitions\/([^"]+)"/g);
  for (const [, other] of refs) closure(definitions, other!, found);
  return found;
}

/** Writes those of `kinds` (`apiVersion Kind`) below `folder`; returns the `-schema-location` template. */
export async function writeSchemas(
  cluster: Kubernetes,
  folder: string,
  kinds: Set<string>,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const answer = await cluster.call('/openapi/v2', { timeoutMs: 60_000 });
  const definitions = answer.definitions as Record<string, Schema>;
  for (const [name, schema] of Object.entries(definitions)) {
    const names = schema['x-kubernetes-group-version-kind'] as
      | { group: string; version: string; kind: string }[]
      | undefined;
    for (const { group, version, kind } of names ?? []) {
      if (!kinds.has(`${group ? `${group}/` : ''}${version} ${kind}`)) continue;
      const needed = strict(closure(definitions, name, {}));
      // kubeconform takes the version for the group where there is none.
      const file = `${group || version}_${version}_${kind}.json`.toLowerCase();
      const content = { $ref: `#/definitions/${name}`, definitions: needed };
      writeFileSync(join(folder, file), JSON.stringify(content));
    }
  }
  return join(folder, '{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json');
}
