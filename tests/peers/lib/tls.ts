/** A certificate authority of the test's own, through the openssl program. For tests only: keys lie in a folder. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOk } from './run.ts';

export interface Certificate {
  certFile: string;
  keyFile: string;
  cert: string;
  key: string;
}

export interface IssueOptions {
  /** Distinguished name in openssl's form, `/O=group/CN=name`. */
  subject: string;
  /** Subject alternative names: `DNS:localhost`, `IP:127.0.0.1`. */
  sans?: string[];
  client?: boolean;
}

export interface Authority extends Certificate {
  issue(name: string, options: IssueOptions): Promise<Certificate>;
}

/** Makes a CA (P-256, valid ten years) in `folder`; each certificate lies there as NAME.crt and NAME.key. */
export async function createAuthority(folder: string, name: string): Promise<Authority> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = (n: string, ext: string) => join(folder, `${n}.${ext}`);
  const read = (n: string): Certificate => ({
    certFile: file(n, 'crt'),
    keyFile: file(n, 'key'),
    cert: readFileSync(file(n, 'crt'), 'utf8'),
    key: readFileSync(file(n, 'key'), 'utf8'),
  });
  const newKey = (n: string) =>
    runOk('openssl', [
      'ecparam',
      '-name',
      'prime256v1',
      '-genkey',
      '-noout',
      '-out',
      file(n, 'key'),
    ]);
  const config = (n: string, lines: string[]) => {
    const head = ['[req]', 'distinguished_name=dn', 'prompt=no', '[dn]', 'CN=x', '[ext]'];
    writeFileSync(file(n, 'cnf'), [...head, ...lines, ''].join('\n'));
    return file(n, 'cnf');
  };

  const root = config('ca', ['basicConstraints=critical,CA:true', 'keyUsage=critical,keyCertSign']);
  await newKey('ca');
  await runOk('openssl', [
    ...['req', '-x509', '-new', '-key', file('ca', 'key'), '-out', file('ca', 'crt')],
    ...['-days', '3650', '-subj', `/CN=${name}`, '-config', root, '-extensions', 'ext'],
  ]);

  return {
    ...read('ca'),
    async issue(leaf, { subject, sans = [], client = false }) {
      const use = client ? 'clientAuth' : 'serverAuth';
      const lines = ['basicConstraints=CA:false', `extendedKeyUsage=${use}`];
      if (sans.length > 0) lines.push(`subjectAltName=${sans.join(',')}`);
      const cnf = config(leaf, lines);
      await newKey(leaf);
      await runOk('openssl', [
        ...['req', '-new', '-key', file(leaf, 'key'), '-out', file(leaf, 'csr')],
        ...['-subj', subject, '-config', cnf],
      ]);
      // A serial of its own for each: certificates of one CA are made side by side.
      const serial = `0x${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`;
      await runOk('openssl', [
        ...['x509', '-req', '-in', file(leaf, 'csr'), '-CA', file('ca', 'crt')],
        ...['-CAkey', file('ca', 'key'), '-set_serial', serial, '-days', '3650'],
        ...['-extfile', cnf, '-extensions', 'ext', '-out', file(leaf, 'crt')],
      ]);
      return read(leaf);
    },
  };
}
