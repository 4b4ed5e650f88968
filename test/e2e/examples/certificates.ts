/** A certificate authority and leaves in files, as the TLS examples make them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface Leaf {
  readonly certificate: string;
  readonly key: string;
}

export class Authority {
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), 'examples-ca-'));

  constructor() {
    this.#openssl('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=ca');
  }

  get file(): string {
    return path.join(this.dir, 'ca.crt');
  }

  leaf(dnsName: string): Leaf {
    const at = (end: string): string => path.join(this.dir, `${dnsName}.${end}`);
    this.#openssl('req', ...fresh, '-keyout', at('key'), '-out', at('csr'), '-subj', `/CN=${dnsName}`);
    fs.writeFileSync(at('ext'), `subjectAltName=DNS:${dnsName}`);
    const signed = ['-in', at('csr'), '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', at('ext')];
    this.#openssl('x509', '-req', ...signed, '-days', '2', '-out', at('crt'));
    return { certificate: at('crt'), key: at('key') };
  }

  remove(): void {
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.dir, stdio: 'pipe' });
  }
}

const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
