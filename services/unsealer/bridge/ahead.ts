/** For tests: an API server whose clock is ahead. Go programs ask the kernel for the time, so none can be told another. */
import https from 'node:https';
import { createPrivateKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { ControlPlane } from '../../../tests/peers/kubernetes.ts';
import type { Certificate } from '../../../tests/peers/lib/tls.ts';

export interface Ahead extends AsyncDisposable {
  url: string;
}

/**
 * Stands before the real API server and changes two things: the Date of each answer, and the times in
 * the tokens it issues, signed anew by the cluster's own key. That is all a wrong clock shows outside.
 */
export async function startAhead(
  kube: ControlPlane,
  seconds: number,
  certificate: Certificate,
): Promise<Ahead> {
  const key = createPrivateKey(kube.tokenKey());
  const later = async (token: string): Promise<string> => {
    const { kid, alg } = decodeProtectedHeader(token);
    const { iat, nbf, exp, ...claims } = decodeJwt(token);
    const times = { iat: iat! + seconds, nbf: nbf! + seconds, exp: exp! + seconds };
    return await new SignJWT({ ...claims, ...times })
      .setProtectedHeader({ kid: kid!, alg: alg! }).sign(key);
  };
  const server = https.createServer({ cert: certificate.cert, key: certificate.key });
  server.on('request', async (request, response) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    const text = Buffer.concat(parts).toString();
    const body = text ? { body: JSON.parse(text) } : {};
    const accept = String(request.headers.accept ?? '*/*');
    const options = { method: request.method!, headers: { accept }, ...body };
    const answer = await kube.ask(request.url!, options);
    let json = answer.json();
    if (json.kind === 'TokenRequest' && json.status?.token) {
      json = { ...json, status: { ...json.status, token: await later(json.status.token) } };
    }
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      date: new Date(Date.now() + seconds * 1000).toUTCString(),
    }).end(JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
