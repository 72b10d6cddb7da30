import { AppError } from '@hackspace/kit/errors.ts';
import type { Secret } from '@hackspace/kit/secret.ts';
import { createTransport } from 'nodemailer';
import type { Notifier } from './notify.ts';
import { letter, type Wording } from './templates.ts';

export interface SmtpOptions {
  host: string;
  port: number;
  /** `tls`: from the first byte (465). `starttls`: required. `none`: on loopback only. */
  security: 'tls' | 'starttls' | 'none';
  from: string;
  /** Where alerts go. */
  admin: string;
  user?: string | undefined;
  password?: Secret | undefined;
  timeoutMs?: number;
  wording: Wording;
}

/** Letters by SMTP. No address and no body reaches a log or an error message. */
export function smtp(options: SmtpOptions): Notifier {
  const timeout = options.timeoutMs ?? 10_000;
  const auth = options.user && options.password
    ? { auth: { user: options.user, pass: options.password.reveal() } }
    : {};
  const transport = createTransport({
    host: options.host,
    port: options.port,
    secure: options.security === 'tls',
    requireTLS: options.security === 'starttls',
    ignoreTLS: options.security === 'none',
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...auth,
  });
  // The original error holds the address and what the server said to it.
  function failed(error: unknown): never {
    const { responseCode, code } = error as { responseCode?: number; code?: string };
    throw new AppError('unavailable', `Cannot send a letter: ${responseCode ?? code ?? 'failed'}`);
  }
  async function send(to: string, subject: string, text: string): Promise<void> {
    await transport.sendMail({
      from: options.from,
      to: { name: '', address: to },
      subject,
      text,
      headers: { 'Auto-Submitted': 'auto-generated' },
    }).catch(failed);
  }
  return {
    async check() {
      await transport.verify().catch(failed);
    },
    async tellMember(address, notice) {
      const { subject, text } = letter(notice, options.wording);
      await send(address, subject, text);
    },
    async tellAdmin(text) {
      const subject = `[${options.wording.space}] the provisioner needs you`;
      await send(options.admin, subject, `${text}\n\n${options.wording.portal}\n`);
    },
  };
}
