/**
 * Why a fetch failed, in words for people: no URL, no header, no credential. `createSource` puts
 * "Cannot fetch source x: " in front and makes an AppError of it, a StalledError when `stalled`.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
  /** Only a human can mend it: credentials, an address that is gone, a refused host. */
  readonly stalled: boolean;
  /** Seconds, as the upstream asked for (`Retry-After`). */
  readonly retryAfter: number | undefined;
  /** The HTTP status, where that is the fault. */
  readonly status: number | undefined;

  constructor(
    why: string,
    options: { stalled?: boolean; retryAfter?: number | undefined; status?: number } = {},
  ) {
    super(why);
    this.status = options.status;
    this.stalled = options.stalled ?? false;
    this.retryAfter = options.retryAfter;
  }
}

const WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ConnectionRefused: 'connection refused',
  ECONNRESET: 'connection was cut',
  ConnectionClosed: 'connection was cut',
  ConnectionReset: 'connection was cut',
  EPIPE: 'connection was cut',
  ENOTFOUND: 'host name is unknown',
  EAI_AGAIN: 'host name cannot be resolved now',
  EHOSTUNREACH: 'host is unreachable',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  CERT_HAS_EXPIRED: 'certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate is signed by an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate is signed by an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate is signed by an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate is for another name',
  HPE_HEADER_OVERFLOW: 'answer headers are too large',
  HPE_INVALID_CONSTANT: 'answer is not HTTP',
  HPE_INVALID_CONTENT_LENGTH: 'answer is not HTTP',
};

/** Words for what the network threw; the message of the original is never passed on. */
export function networkFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const code = String((error as NodeJS.ErrnoException | undefined)?.code ?? '');
  const known = WORDS[code];
  if (known) return new Fault(known);
  const message = error instanceof Error ? error.message : '';
  if (/certificate|self.signed|UnknownIssuer|CERT_/i.test(`${code} ${message}`)) {
    return new Fault('certificate is not trusted');
  }
  if (/socket hang up|aborted|closed|reset|terminated|premature/i.test(message)) {
    return new Fault('connection was cut');
  }
  return new Fault(/^[A-Z][A-Z0-9_]{2,60}$/.test(code) ? `network error ${code}` : 'network error');
}
