import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

/** A DNS server that answers the n-th A question with the n-th address, and the last from then on. */
export async function startFlippingDns(addresses: string[]) {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', (question, from) => {
    let end = 12; // after the header: labels, a zero, type and class
    while (question[end]) end += question[end]! + 1;
    end += 5;
    const isA = question.readUInt16BE(end - 4) === 1;
    const header = Buffer.from(question.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(isA ? 1 : 0, 6);
    header.fill(0, 8, 12);
    const parts = [header, question.subarray(12, end)];
    if (isA) {
      const address = addresses[Math.min(asked++, addresses.length - 1)]!;
      // a pointer to the name, type A, class IN, TTL 0, four octets
      parts.push(
        Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
      );
    }
    socket.send(Buffer.concat(parts), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    server: `127.0.0.1:${(socket.address() as AddressInfo).port}`,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}
