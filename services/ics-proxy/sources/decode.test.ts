import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readBody } from './decode.ts';

const never = new AbortController().signal;

/** An answer as a runtime could hand it over, whatever it checks itself. */
function answerOf(headers: Record<string, string>, complete = true) {
  const stream = new PassThrough();
  return {
    stream,
    answer: Object.assign(stream, { headers, complete }) as unknown as IncomingMessage,
  };
}
const read = (answer: IncomingMessage) =>
  readBody(answer, 1_000, 200, never).then(
    (bytes) => Buffer.from(bytes).toString(),
    (fault: Error) => fault.message,
  );

test('a runtime that ends a short body quietly is not believed', async () => {
  const { stream, answer } = answerOf({ 'content-length': '100' });
  stream.end('only this');
  expect(await read(answer)).toBe('answer was cut half-way');
  const cut = answerOf({}, false);
  cut.stream.end('only this');
  expect(await read(cut.answer)).toBe('answer was cut half-way');
});

test('a whole body is whole', async () => {
  const { stream, answer } = answerOf({ 'content-length': '5' });
  stream.end('whole');
  expect(await read(answer)).toBe('whole');
  const body = gzipSync('whole');
  const zipped = answerOf({ 'content-encoding': ' GZIP ', 'content-length': String(body.length) });
  zipped.stream.end(body);
  expect(await read(zipped.answer)).toBe('whole');
});

test('what announces too much is refused unread; silence and cancelling end the rest', async () => {
  expect(await read(answerOf({ 'content-length': '1001' }).answer)).toBe(
    'answer is larger than 1000 bytes',
  );
  expect(await read(answerOf({}).answer)).toBe('answer went silent half-way');
  const controller = new AbortController();
  const work = readBody(answerOf({}).answer, 1_000, 10_000, controller.signal);
  controller.abort(new Error('aborted'));
  await expect(work).rejects.toThrow('connection was cut');
});
