/** Tells people: Matrix, ntfy or any JSON hook. A condition is told once, again each hour, and when it ends. */
import { randomUUID } from 'node:crypto';
import { AppError } from '@hackspace/kit/errors.ts';
import { getLogger } from '@hackspace/kit/log.ts';
import { readSecret } from '@hackspace/kit/secret.ts';
import type { AlertConfig } from './config.ts';

const log = getLogger(['unsealer', 'alerts']);

export interface Message {
  title: string;
  text: string;
}

export interface Alerts {
  /** While it lasts, call as often as you like. */
  raise(key: string, message: Message): void;
  clear(key: string): void;
  /** What is raised now. */
  active(): { key: string; title: string }[];
}

export interface AlertOptions {
  helper: string;
  send: ((message: Message & { key: string; ended: boolean }) => Promise<void>)[];
  repeat?: number;
  now?: () => number;
}

export function createAlerts(options: AlertOptions): Alerts {
  const { repeat = 3_600_000, now = () => performance.now() } = options;
  const raised = new Map<string, { title: string; at: number }>();
  const tell = (key: string, message: Message, ended: boolean) => {
    for (const [i, send] of options.send.entries()) {
      const said = { key, ended, title: `${options.helper}: ${message.title}`, text: message.text };
      send(said).catch((error) => {
        const reason = error instanceof AppError ? error.message : 'the request failed';
        log.error('alert not delivered', { hook: i, about: key, reason });
      });
    }
  };
  return {
    raise(key, message) {
      const known = raised.get(key);
      if (known && now() - known.at < repeat) return;
      raised.set(key, { title: message.title, at: now() });
      log.warn('alert', { about: key, title: message.title, text: message.text });
      tell(key, message, false);
    },
    clear(key) {
      const known = raised.get(key);
      if (!known) return;
      raised.delete(key);
      log.info('alert over', { about: key });
      tell(key, { title: `over: ${known.title}`, text: 'It is well again' }, true);
    },
    active: () => [...raised].map(([key, { title }]) => ({ key, title })),
  };
}

/** One hook. The error it throws names its number, never the URL: a hook's URL is often its password. */
export function alertSender(config: AlertConfig): AlertOptions['send'][number] {
  return async (message) => {
    const url = config.urlFile ? (await readSecret(config.urlFile)).reveal().trim() : config.url;
    const token = config.tokenFile && (await readSecret(config.tokenFile)).reveal();
    const auth = token ? { Authorization: `Bearer ${token}` } : {};
    const common = {
      timeout: 10_000,
      redirect: 'error' as const,
      retry: 0,
      throwHttpErrors: false,
    };
    // Loaded when first needed: most processes never send an alert.
    const { default: ky } = await import('ky');
    const request = () => {
      if (config.type === 'ntfy') {
        // Header values are Latin-1: ntfy decodes RFC 2047.
        const title = `=?UTF-8?B?${Buffer.from(message.title).toString('base64')}?=`;
        const headers = { ...auth, Title: title, Priority: message.ended ? 'default' : 'high' };
        return ky.post(url, { ...common, headers, body: message.text });
      }
      if (config.type === 'matrix') {
        const room = encodeURIComponent(config.room!);
        const path = `_matrix/client/v3/rooms/${room}/send/m.room.message/${randomUUID()}`;
        const json = { msgtype: 'm.text', body: `${message.title}\n${message.text}` };
        return ky.put(new URL(path, url.replace(/\/?$/, '/')), { ...common, headers: auth, json });
      }
      return ky.post(url, { ...common, headers: auth, json: message });
    };
    let status: number;
    try {
      const response = await request();
      status = response.status;
      await response.body?.cancel();
    } catch {
      throw new AppError('unavailable', `Cannot deliver alert by ${config.type}: no answer`);
    }
    if (status >= 300) {
      throw new AppError('unavailable', `Cannot deliver alert by ${config.type}: ${status}`);
    }
  };
}
