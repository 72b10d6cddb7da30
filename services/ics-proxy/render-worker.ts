import { parentPort } from 'node:worker_threads';
import { useCompileCache } from '@hackspace/kit/compile-cache.ts';
import { describe } from '@hackspace/kit/errors.ts';
import type { Call, Reply } from './renderer.ts';

// The far side of `createWorkerRenderer`: one call after the other, in the order they came.
const port = parentPort!;
useCompileCache();
const ready = import('./render.ts').then(({ createInlineRenderer }) => createInlineRenderer());
let tail: Promise<unknown> = Promise.resolve();

port.on('message', (call: Call) => {
  tail = tail.then(async () => {
    let reply: Reply;
    try {
      const renderer = await ready;
      const method = renderer[call.method] as (...args: unknown[]) => Promise<unknown>;
      reply = { id: call.id, value: await method(...call.arguments) };
    } catch (error) {
      reply = { id: call.id, error: describe(error) };
    }
    port.postMessage(reply);
  });
});
