/** What a manifest is made of: no dates, no undefined, nothing that a parser would have to guess. */
export type Value = string | number | boolean | Value[] | { [key: string]: Value };

// Words and shapes that some parser, YAML 1.1 or 1.2, would not read as text.
const PLAIN = /^[A-Za-z./][A-Za-z0-9./_-]*$/;
const GUESSED =
  /^(\.?[\d_]*e[+-]?\d+|y|n|yes|no|on|off|true|false|null|\.(inf|nan)|[+-]?\.?\d.*|[.-]+)$/i;

/**
 * One YAML document, keys in the order given, that parsers of YAML 1.1 and 1.2 read alike: text is
 * bare only where no parser guesses, else a JSON string, which both versions share.
 * Written here since the `yaml` package's stringify takes some fifteen times as long.
 */
export function toYaml(value: { [key: string]: Value }): string {
  const lines: string[] = [];
  mapping(value, '', lines);
  return lines.join('\n') + '\n';
}

function mapping(value: { [key: string]: Value }, indent: string, lines: string[]): void {
  for (const [key, child] of Object.entries(value)) {
    entry(`${indent}${scalar(key)}:`, child, indent, lines);
  }
}

function entry(head: string, child: Value, indent: string, lines: string[]): void {
  if (Array.isArray(child)) {
    if (child.length === 0) lines.push(`${head} []`);
    else {
      lines.push(head);
      for (const item of child) sequenceItem(item, indent + '  ', lines);
    }
  } else if (typeof child === 'object') {
    if (Object.keys(child).length === 0) lines.push(`${head} {}`);
    else {
      lines.push(head);
      mapping(child, indent + '  ', lines);
    }
  } else lines.push(`${head} ${scalar(child)}`);
}

function sequenceItem(item: Value, indent: string, lines: string[]): void {
  if (typeof item !== 'object' || Object.keys(item).length === 0) {
    lines.push(
      `${indent}- ${typeof item === 'object' ? (Array.isArray(item) ? '[]' : '{}') : scalar(item)}`,
    );
    return;
  }
  const start = lines.length;
  if (Array.isArray(item)) { for (const inner of item) sequenceItem(inner, indent + '  ', lines); }
  else mapping(item, indent + '  ', lines);
  lines[start] = `${indent}- ${lines[start]!.slice(indent.length + 2)}`;
}

function scalar(value: string | number | boolean): string {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError('manifests hold whole numbers only');
    return String(value);
  }
  if (typeof value === 'boolean') return String(value);
  if (PLAIN.test(value) && !GUESSED.test(value)) return value;
  // JSON leaves C1 controls, U+2028/9 and lone surrogates as they are; YAML 1.1 does not take them.
  return JSON.stringify(value).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
