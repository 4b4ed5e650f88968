/** Certificates good and bad, made with the openssl command; every rule can be broken on its own. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const config = `[ca]
default_ca = d
[d]
database = index.txt
new_certs_dir = .
default_md = sha256
policy = p
unique_subject = no
rand_serial = yes
[p]
commonName = optional
organizationName = optional
`;

export interface Material {
  /** Leaf first. */
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface Leaf {
  /** In openssl's syntax: `URI:spiffe://...`; `DER:30...`; null leaves it out. */
  readonly san: string | null;
  /** Lines for a section that `san` refers to as @alt. */
  readonly alt?: string;
  readonly usage?: string | null;
  readonly purposes?: string | null;
  readonly constraints?: string;
  readonly more?: readonly string[];
  readonly subject?: string;
  /** YYYYMMDDHHMMSSZ; by default yesterday and tomorrow. */
  readonly from?: string;
  readonly to?: string;
}

const day = 86_400_000;
export const openSslTime = (ms: number): string => `${new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')}`;

/** A signing certificate with its key in a folder of its own. */
export class Signer {
  readonly #dir = fs.mkdtempSync(path.join(os.tmpdir(), 'attack-ca-'));
  /** Intermediates between this and its root. */
  readonly #above: string;
  #serial = 0;

  private constructor(material: Material, above: string) {
    this.#above = above;
    fs.writeFileSync(this.#file('ca.pem'), material.chainPem);
    fs.writeFileSync(this.#file('ca.key'), material.keyPem, { mode: 0o600 });
    fs.writeFileSync(this.#file('index.txt'), '');
    fs.writeFileSync(this.#file('ca.cnf'), config);
  }

  static root(subject = '/O=mesh root'): Signer {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'attack-root-'));
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const names = ['-subj', subject, '-keyout', 'k', '-out', 'c', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    execFileSync('openssl', [...args, ...names], { cwd: dir, stdio: 'pipe' });
    const read = (name: string): string => fs.readFileSync(path.join(dir, name), 'utf8');
    const signer = new Signer({ chainPem: read('c'), keyPem: read('k') }, '');
    fs.rmSync(dir, { recursive: true });
    return signer;
  }

  /** Signs with what somebody else has made. */
  static of(material: Material): Signer {
    return new Signer(material, '');
  }

  /** What this has signed, as a signer itself: an intermediate, or a leaf that has no business to sign. */
  below(material: Material): Signer {
    return new Signer({ ...material, chainPem: firstOf(material.chainPem) }, firstOf(material.chainPem) + this.#above);
  }

  #file(name: string): string {
    return path.join(this.#dir, name);
  }

  get pem(): string {
    return fs.readFileSync(this.#file('ca.pem'), 'utf8');
  }

  /** The signing certificate itself, to be presented as if it were a leaf. */
  get own(): Material {
    return { chainPem: this.pem, keyPem: fs.readFileSync(this.#file('ca.key'), 'utf8') };
  }

  issue(leaf: Leaf): Material {
    const id = `c${this.#serial++}`;
    const openssl = (...args: readonly string[]): void => {
      execFileSync('openssl', args, { cwd: this.#dir, stdio: 'pipe' });
    };
    const { usage = 'critical,digitalSignature', purposes = 'serverAuth,clientAuth' } = leaf;
    const lines = [
      `basicConstraints=${leaf.constraints ?? 'critical,CA:FALSE'}`,
      ...(leaf.san === null ? [] : [`subjectAltName=${leaf.san}`]),
      ...(usage === null ? [] : [`keyUsage=${usage}`]),
      ...(purposes === null ? [] : [`extendedKeyUsage=${purposes}`]),
      ...(leaf.more ?? []),
      ...(leaf.alt === undefined ? [] : ['[alt]', leaf.alt]),
    ];
    fs.writeFileSync(this.#file(`${id}.ext`), `${lines.join('\n')}\n`);
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${id}.key`);
    openssl('req', '-new', '-key', `${id}.key`, '-subj', leaf.subject ?? '/CN=x', '-out', `${id}.csr`);
    const dates = ['-startdate', leaf.from ?? openSslTime(Date.now() - day)];
    dates.push('-enddate', leaf.to ?? openSslTime(Date.now() + day));
    openssl(
      ...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', ...dates],
      ...['-extfile', `${id}.ext`, '-in', `${id}.csr`, '-out', `${id}.pem`],
    );
    const chainPem = fs.readFileSync(this.#file(`${id}.pem`), 'utf8') + this.#above;
    return { chainPem, keyPem: fs.readFileSync(this.#file(`${id}.key`), 'utf8') };
  }

  remove(): void {
    fs.rmSync(this.#dir, { recursive: true, force: true });
  }
}

function firstOf(pem: string): string {
  return `${/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(pem)?.[0] ?? ''}\n`;
}

/** DER of a subjectAltName whose URIs hold any bytes, in openssl's `DER:` syntax. */
export function sanOfUris(...uris: readonly string[]): string {
  const tlv = (tag: number, content: Buffer): Buffer => {
    const length = content.length < 128 ? [content.length] : [0x81, content.length];
    return Buffer.concat([Buffer.from([tag, ...length]), content]);
  };
  const names = uris.map((uri) => tlv(0x86, Buffer.from(uri, 'latin1')));
  return `DER:${tlv(0x30, Buffer.concat(names)).toString('hex')}`;
}
