import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { describe } from '@hackspace/kit/errors.ts';
import { createInlineRenderer } from './render.ts';
import { type Call, movable, type Rendered, type Reply } from './renderer.ts';

// The far side of `createWorkerRenderer`: one call after the other, in the order they came.
const port = parentPort!;
const renderer = createInlineRenderer();
let tail: Promise<unknown> = Promise.resolve();

// On Linux a priority is a thread's own: where cores are scarce, answers come before merging.
if (process.platform === 'linux') {
  try {
    setPriority(Math.min(19, getPriority() + 5));
  } catch {
    // Not allowed everywhere, and not needed.
  }
}

port.on('message', (call: Call) => {
  tail = tail.then(async () => {
    try {
      const method = renderer[call.method] as (...args: unknown[]) => Promise<unknown>;
      const value = await method(...call.arguments);
      port.postMessage({ id: call.id, value } satisfies Reply, bodies(value));
    } catch (error) {
      port.postMessage({ id: call.id, error: describe(error) } satisfies Reply);
    }
  });
});

/** A rendered feed's bytes leave this thread; nothing here looks at them again. */
function bodies(value: unknown): ArrayBuffer[] {
  const { content } = (value ?? {}) as Partial<Rendered>;
  return content ? movable(content.bytes, ...Object.values(content.encoded)) : [];
}
