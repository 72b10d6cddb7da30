import { Worker } from 'node:worker_threads';
import type { Occurrence } from './calendar/agenda.ts';
import type { MergeOptions } from './calendar/merge.ts';
import type { MergeReport } from './calendar/report.ts';
import type { SourcePolicy } from './calendar/policy.ts';
import type { Encoding } from './document.ts';

/** What a parsed source holds, for health. */
export interface SourceFacts {
  bytes: number;
  components: number;
  /** What the parser put aside: shown to admins, never served. The first of them are listed. */
  quarantinedCount: number;
  quarantined: { reason: string; line: number; excerpt?: string }[];
}

/** A merge report without what is too much to carry from thread to thread. */
export type ReportSummary = Omit<MergeReport, 'quarantined' | 'duplicates'>;

export interface RenderRequest {
  sources: { key: string; id: string; policy: SourcePolicy; stale?: { since: number } }[];
  options: MergeOptions;
  encodings: Encoding[];
  /** What is served now: when the result has the same basis, its bytes are not sent. */
  previousBasis?: string | undefined;
}

export interface Rendered {
  etagBasis: string;
  components: number;
  report: ReportSummary;
  /** Absent when `previousBasis` is still right. */
  content?: { bytes: Uint8Array; encoded: Partial<Record<Encoding, Uint8Array>> };
}

export interface AgendaRequest {
  bytes: Uint8Array;
  /** Where UIDs may come from, and those that the merge renamed. */
  sources: { key: string; id: string }[];
  renamed: { source: string; to: string }[];
  /** Epoch milliseconds. */
  from: number;
  to: number;
  zone: string;
  limit: number;
}

/** Parses, merges, compresses and expands: everything heavy, so that it can be off the request path. */
export interface Renderer {
  /** Takes a source's bytes over, for good; the parse is kept until the next `put` or `drop`. */
  put(key: string, bytes: Uint8Array): Promise<SourceFacts>;
  drop(key: string): Promise<void>;
  /** Throws when none of the sources has been put. */
  render(request: RenderRequest): Promise<Rendered>;
  agenda(request: AgendaRequest): Promise<Occurrence[]>;
  close(): Promise<void>;
}

type Method = 'put' | 'drop' | 'render' | 'agenda';
export type Call = { id: number; method: Method; arguments: unknown[] };
export type Reply = { id: number; value: unknown } | { id: number; error: string };

/** The memory of bytes that nobody else uses, to be moved to another thread instead of copied. */
export function movable(...parts: (Uint8Array | undefined)[]): ArrayBuffer[] {
  return parts.flatMap((part) =>
    part?.buffer instanceof ArrayBuffer && part.byteLength === part.buffer.byteLength
      ? [part.buffer]
      : []
  );
}

/** The renderer in a thread of its own: a big merge does not hold up answers. */
export function createWorkerRenderer(): Renderer {
  const worker = new Worker(new URL('./render-worker.ts', import.meta.url), {
    // Merging makes little garbage and much that stays: a large nursery would only be resident.
    resourceLimits: { maxYoungGenerationSizeMb: 16 },
  });
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let last = 0;
  let dead: Error | undefined;

  function fail(error: Error): void {
    dead = error;
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  }
  worker.on('message', (reply: Reply) => {
    const call = pending.get(reply.id);
    pending.delete(reply.id);
    if (!call) return;
    if ('error' in reply) call.reject(new Error(reply.error));
    else call.resolve(reply.value);
  });
  worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => fail(dead ?? new Error('the render thread ended')));

  function call<T>(method: Method, args: unknown[], move: ArrayBuffer[] = []): Promise<T> {
    if (dead) return Promise.reject(dead);
    return new Promise<T>((resolve, reject) => {
      const id = ++last;
      pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage({ id, method, arguments: args } satisfies Call, move);
    });
  }
  return {
    put: (key, bytes) => call('put', [key, bytes], movable(bytes)),
    drop: (key) => call('drop', [key]),
    render: (request) => call('render', [request]),
    agenda: (request) => call('agenda', [request]),
    async close() {
      dead = new Error('the render thread was stopped');
      await worker.terminate();
    },
  };
}
