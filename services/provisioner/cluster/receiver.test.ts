import { Secret } from '@hackspace/kit/secret.ts';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { fluxReceiver } from './receiver.ts';

test('Flux is woken with a signature; what comes meanwhile is told by one more call; failures are quiet', async () => {
  const got: string[] = [];
  let fail = 0;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString();
    const mac = createHmac('sha256', 'the key').update(body).digest('hex');
    if (request.headers['x-signature'] !== `sha256=${mac}`) got.push('BAD SIGNATURE');
    else got.push(JSON.parse(body).revision);
    response.writeHead(fail-- > 0 ? 500 : 200).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/abc`;
  const receiver = fluxReceiver(url, new Secret('the key'));
  for (const revision of ['a', 'b', 'c', 'd']) receiver.woken(revision);
  await receiver.close();
  expect(got).toEqual(['a', 'd']);
  fail = 1;
  receiver.woken('e');
  await receiver.close();
  expect(got.slice(2)).toEqual(['e', 'e']);
  server.closeAllConnections();
  server.close();
  receiver.woken('f'); // nobody listens: it gives up by itself and throws nothing
  await receiver.close();
});
