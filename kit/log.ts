import {
  configureSync,
  getLogger,
  type LogLevel,
  type LogRecord,
  type Sink,
} from '@logtape/logtape';
import { JWT_PATTERN, redactByField } from '@logtape/redaction';
import { describe } from './errors.ts';

export { getLogger };

export interface LogOptions {
  service: string;
  level?: LogLevel;
  /** Takes one JSON line without its newline. Standard output when absent. */
  write?: (line: string) => void;
}

/** Field names whose values never reach a line, whatever they hold. */
const FIELDS = [
  /pass(word|phrase|wd)/i,
  /secret/i,
  /^(access|refresh|id|bearer|session|feed|root|reviewer)?_?-?token$/i,
  /jwt/i,
  /^(auth|authorization|proxy-authorization|cookie|set-cookie)$/i,
  /^(share|shares|key|keys|privatekey|kek|jwe)$/i,
  /^query$/i,
  /e-?mail/i,
];

const PATTERNS: [RegExp, string][] = [
  [JWT_PATTERN.pattern instanceof RegExp ? JWT_PATTERN.pattern : /$^/g, '[jwt]'],
  // JWEs in compact form have an empty second part with alg dir
  [/\beyJ[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+/g, '[jwe]'],
  [/\b(Bearer|Basic|Digest)\s+[^\s"',]+/gi, '$1 [redacted]'],
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@"]+@/gi, '$1[redacted]@'],
  // the query of anything that looks like a URL or a path
  [/((?:\b[a-z][a-z0-9+.-]*:\/\/|\/)[^\s"?]*)\?[^\s"']+/gi, '$1?[redacted]'],
  [/\b[0-9a-f]{64,66}\b/gi, '[hex]'],
  [/\bhvs\.[\w-]{20,}|\bs\.[A-Za-z0-9]{24}\b/g, '[vault token]'],
];

/** The text with whatever looks like a credential taken out. */
export function redactText(text: string): string {
  return PATTERNS.reduce((line, [pattern, to]) => line.replace(pattern, to), text);
}

/**
 * Sends every logger of the process to JSON lines, one event a line, redacted by field name and
 * by pattern. Call once from `main.ts`; tests give `write`.
 */
export function setupLogging(options: LogOptions): void {
  const write = options.write ?? ((line: string) => void process.stdout.write(line + '\n'));
  const sink: Sink = (record) => write(format(options.service, record));
  configureSync({
    reset: true,
    sinks: { out: redactByField(sink, { fieldPatterns: FIELDS, action: () => '[redacted]' }) },
    loggers: [
      { category: [], sinks: ['out'], lowestLevel: options.level ?? 'info' },
      { category: ['logtape', 'meta'], sinks: ['out'], lowestLevel: 'warning' },
    ],
  });
}

function format(service: string, record: LogRecord): string {
  const message = record.message.map((part) => typeof part === 'string' ? part : show(part)).join(
    '',
  );
  const line: Record<string, unknown> = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    service,
    logger: record.category.join('.'),
    message,
  };
  for (const [key, value] of Object.entries(record.properties)) {
    if (!(key in line)) line[key] = value;
  }
  return JSON.stringify(line, (_, value) => {
    if (typeof value === 'string') return redactText(value);
    if (value instanceof Error) return redactText(describe(value));
    if (value instanceof Uint8Array) return `[${value.length} bytes]`;
    if (typeof value === 'bigint') return String(value);
    return value;
  });
}

function show(part: unknown): string {
  return part instanceof Error ? describe(part) : String(part);
}
