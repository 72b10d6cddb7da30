/**
 * HTTPS to one exact server: pinned CA, exact subject alternative name, optional SPKI pin, no proxy,
 * no redirect, a time-out for the whole exchange and a cap on the answer. One connection is kept
 * open: its end is the quickest news that the server went away.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import net, { isIP, type LookupFunction, type Socket } from 'node:net';
import tls from 'node:tls';
import { AppError } from '@hackspace/kit/errors.ts';

export interface PinnedOptions {
  url: string;
  /** PEM; nothing else is trusted. */
  ca: string;
  /** The name the certificate must carry, exactly; the host of `url` when absent. */
  san?: string | undefined;
  /** base64 SHA-256 of the certificate's public key (DER SubjectPublicKeyInfo, as in RFC 7469). */
  spki?: string | undefined;
  /** A client certificate. */
  cert?: string | undefined;
  key?: string | undefined;
  /** Milliseconds until a connection must stand, TLS included (default 1000). */
  connectTimeout?: number | undefined;
  /** The connection ended, by whomever. */
  onClose?: (() => void) | undefined;
  lookup?: LookupFunction | undefined;
}

export interface Ask {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Asked when the server has proven who it is, before the first byte of the request leaves. */
  gate?: () => void;
  /** Milliseconds for the whole exchange (default 3000). */
  timeout?: number;
  /** Bytes of body at most (default 64 KiB). */
  maxBytes?: number;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array;
  /** Grows by one with each connection. */
  connection: number;
}

/** `down`: nobody there. `stranger`: not the pinned identity. `nonsense`: not a usable answer. */
export type Trouble = 'down' | 'stranger' | 'nonsense';

export class TransportError extends AppError {
  override readonly name = 'TransportError';
  readonly kind: Trouble;

  constructor(kind: Trouble, message: string) {
    super('unavailable', message);
    this.kind = kind;
  }
}

export interface Pinned {
  ask(request: Ask): Promise<Answer>;
  close(): void;
}

export function createPinned(options: PinnedOptions): Pinned {
  const url = new URL(options.url);
  if (url.protocol !== 'https:') {
    throw new AppError('invalid', `Cannot use ${url.origin}: only https proves who answers`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const san = options.san ?? host;
  const port = Number(url.port || 443);
  const proven = new WeakMap<Socket, number>();
  let connections = 0;
  // Once: parsing certificates is the dear part of trying a node that is down.
  const secureContext = tls.createSecureContext({
    ca: options.ca,
    minVersion: 'TLSv1.2',
    ...(options.cert ? { cert: options.cert, key: options.key } : {}),
  });

  const connect = (done: (error: Error | null, socket?: Socket) => void) => {
    let settled = false;
    let secure: tls.TLSSocket | undefined;
    // TCP by itself: a refused connection, the usual case while a node starts, then costs no TLS.
    const raw = net.connect({
      host,
      port,
      ...(options.lookup ? { lookup: options.lookup } : {}),
    });
    const settle = (error: Error | null) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      if (!error) return done(null, secure);
      secure?.destroy();
      raw.destroy();
      done(error);
    };
    const timer = setTimeout(
      () => settle(new TransportError('down', 'no connection in time')),
      options.connectTimeout ?? 1000,
    );
    raw.on('error', (error) => settle(classify(error)));
    raw.once('close', () => settle(new TransportError('down', 'the connection was closed')));
    raw.once('connect', () => {
      raw.setNoDelay(true);
      raw.setKeepAlive(true, 5000);
      const socket = secure = tls.connect({
        socket: raw,
        secureContext,
        rejectUnauthorized: true,
        ALPNProtocols: ['http/1.1'],
        ...(isIP(san) ? {} : { servername: san }),
        // Ours replaces the default check, which would take a common name or a wildcard.
        checkServerIdentity: (_host, certificate) => refusal(certificate, san, options.spki),
      });
      socket.once('secureConnect', () => {
        const wrong = socket.authorized
          ? refusal(socket.getPeerCertificate(), san, options.spki)
          : new TransportError('stranger', 'its certificate is not of the pinned CA');
        if (wrong) return settle(wrong);
        proven.set(socket, ++connections);
        settle(null);
      });
      socket.on('error', (error) => settle(classify(error)));
      socket.once('close', () => {
        settle(new TransportError('down', 'the connection was closed'));
        if (proven.has(socket)) options.onClose?.();
      });
    });
  };

  class Agent extends https.Agent {
    override createConnection(
      _options: unknown,
      done?: (error: Error | null, socket: Socket) => void,
    ): undefined {
      connect(done as (error: Error | null, socket?: Socket) => void);
    }
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });

  function ask(request: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { body } = request;
      let over = false;
      const outgoing = https.request({
        agent,
        host,
        port,
        method: request.method,
        path: request.path,
        headers: {
          Host: url.host,
          Accept: 'application/json',
          ...(body ? { 'Content-Length': String(body.length) } : {}),
          ...request.headers,
        },
      });
      // `outgoing` is destroyed before the promise settles: whoever zeroes the body zeroes it last.
      const finish = (error: Error | null, answer?: Answer) => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        if (!error) return resolve(answer!);
        outgoing.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => finish(new TransportError('down', 'no answer in time')),
        request.timeout ?? 3000,
      );
      outgoing.on('error', (error) => finish(classify(error)));
      outgoing.on('close', () => finish(new TransportError('down', 'the connection was closed')));
      outgoing.on('socket', (socket) => {
        if (over) return;
        // Fail closed: a runtime that did not use our connection proves nothing.
        if (!proven.has(socket)) {
          return finish(new TransportError('stranger', 'the connection was not verified'));
        }
        try {
          request.gate?.();
        } catch (error) {
          return finish(error as Error);
        }
        // Headers, body and end apart: written together, node would copy the body into a buffer that
        // nobody zeroes.
        outgoing.flushHeaders();
        if (body) outgoing.write(body, () => outgoing.end());
        else outgoing.end();
      });
      outgoing.on('response', (incoming) => {
        const limit = request.maxBytes ?? 65_536;
        const parts: Uint8Array[] = [];
        let size = 0;
        incoming.on('data', (part: Uint8Array) => {
          size += part.length;
          if (size <= limit) return void parts.push(part);
          finish(new TransportError('nonsense', `the answer is larger than ${limit} bytes`));
        });
        incoming.on('error', (error) => finish(classify(error)));
        incoming.on('end', () => {
          const whole = new Uint8Array(Buffer.concat(parts));
          finish(null, {
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: whole,
            connection: proven.get(incoming.socket as Socket) ?? connections,
          });
        });
      });
    });
  }
  return { ask, close: () => agent.destroy() };
}

/** Exactly this name among the SANs; no wildcard, no common name. */
function refusal(
  certificate: tls.PeerCertificate,
  san: string,
  spki: string | undefined,
): Error | undefined {
  const names = (certificate.subjectaltname ?? '').split(', ');
  const wanted = isIP(san) ? `IP Address:${san}` : `DNS:${san}`;
  if (!names.includes(wanted)) {
    const shown = names.slice(0, 5).join(', ').slice(0, 200) || 'none';
    return new TransportError('stranger', `its certificate is for ${shown}, not for ${wanted}`);
  }
  if (spki === undefined) return undefined;
  const der = new X509Certificate(certificate.raw).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  if (createHash('sha256').update(der).digest('base64') === spki) return undefined;
  return new TransportError('stranger', 'its public key is not the pinned one');
}

/** Codes of TLS and of X.509 verification: somebody is there, but is not who it must be. */
const IDENTITY =
  /CERT|ISSUER|SIGNATURE|CA_|_CA|SSL|TLS|ALTNAME|PURPOSE|SELF_SIGNED|EPROTO|HANDSHAKE/;

function classify(error: Error): Error {
  if (error instanceof AppError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code.startsWith('HPE_')) {
    return new TransportError('nonsense', `the answer is not HTTP (${code})`);
  }
  if (IDENTITY.test(code)) return new TransportError('stranger', `TLS refused: ${code}`);
  return new TransportError('down', code ? `no connection (${code})` : 'no connection');
}

/** PEM certificates from a file. Throws AppError `invalid`. */
export async function readCa(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new AppError('invalid', `Cannot read CA file ${path}: ${cause.code}`, { cause });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new AppError('invalid', `Cannot use CA file ${path}: it holds no PEM certificate`);
}
