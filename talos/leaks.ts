/** Pure: whether a text gives away a Talos cluster's secrets. */
import { parse } from 'yaml';

/** What nobody commits on purpose, whoever's it is. */
const patterns: [RegExp, string][] = [
  [/-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/, 'a private key in PEM'],
  [
    /LS0tLS1CRUdJTi[A-Za-z0-9+/]{0,40}(?:UFJJVkFURSBLRV|BSSVZBVEUgS0V|QUklWQVRFIEtFW)/,
    'a private key in PEM, base64',
  ],
  [/AGE-SECRET-KEY-1[A-Z0-9]{40,}/, 'an age identity'],
  [/\b(?=[a-z.]*\d)[a-z0-9]{6}\.[a-z0-9]{16}\b/, 'a bootstrap or machine token'],
  [/secretbox(?:encryption)?secret:\s*["']?[A-Za-z0-9+/]{40,}/i, 'an etcd encryption key'],
];

/** Every secret of a talosctl secrets file that is long enough to search for: as written, and decoded if it is base64 of text. */
export function secretValues(secretsYaml: string): string[] {
  const values = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node === 'string') {
      if (node.length < 16) return;
      values.add(node);
      const text = decoded(node);
      // Of a PEM block any line of the body will do; the rendered config indents it.
      for (const line of text?.split('\n') ?? []) {
        if (line.length >= 32 && !line.startsWith('-----')) values.add(line);
      }
    } else if (node && typeof node === 'object') {
      for (const value of Object.values(node)) walk(value);
    }
  };
  walk(parse(secretsYaml));
  return [...values];
}

function decoded(value: string): string | undefined {
  if (!/^[A-Za-z0-9+/]+=*$/.test(value)) return undefined;
  const text = atob(value.length % 4 === 0 ? value : '');
  return text.startsWith('-----BEGIN') ? text : undefined;
}

/** What is wrong with one text, in words that do not repeat the secret; empty when nothing is. */
export function leaksIn(text: string, values: string[]): string[] {
  const found = patterns.filter(([pattern]) => pattern.test(text)).map(([, what]) => what);
  if (values.some((value) => text.includes(value))) found.push("a value of this cluster's secrets");
  return found;
}
