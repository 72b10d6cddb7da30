import { parentPort } from 'node:worker_threads';
import { describe } from '@hackspace/kit/errors.ts';
import { createInlineRenderer } from './render.ts';
import type { Call, Reply } from './renderer.ts';

// The far side of `createWorkerRenderer`: one call after the other, in the order they came.
const renderer = createInlineRenderer();
const port = parentPort!;
let tail: Promise<unknown> = Promise.resolve();

port.on('message', (call: Call) => {
  tail = tail.then(async () => {
    let reply: Reply;
    try {
      const method = renderer[call.method] as (...args: unknown[]) => Promise<unknown>;
      reply = { id: call.id, value: await method(...call.arguments) };
    } catch (error) {
      reply = { id: call.id, error: describe(error) };
    }
    port.postMessage(reply);
  });
});
