/**
 * The keys of one direction of a TLS 1.3 connection: key and IV of a traffic secret, and the secret that follows it
 * (RFC 8446 sections 7.1 to 7.3). Invariant: sequence numbers begin anew with every key and never repeat within one.
 */
import { Aead, type AeadName, type HashName, hmac, nonceBytes } from '../sys/aead.ts';

interface Suite {
  readonly aead: AeadName;
  readonly hash: HashName;
  readonly keyBytes: number;
}

/** The suites of TLS 1.3 that we offer, by OpenSSL's names. */
const suites: Readonly<Record<string, Suite>> = {
  TLS_AES_128_GCM_SHA256: { aead: 'AES-128-GCM', hash: 'SHA256', keyBytes: 16 },
  TLS_AES_256_GCM_SHA384: { aead: 'AES-256-GCM', hash: 'SHA384', keyBytes: 32 },
  TLS_CHACHA20_POLY1305_SHA256: { aead: 'ChaCha20-Poly1305', hash: 'SHA256', keyBytes: 32 },
};

/**
 * HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context; `length` is at most that of the hash, so one block is
 * all there is.
 */
export function expandLabel(hash: HashName, secret: Uint8Array, label: string, length: number): Uint8Array {
  const name = `tls13 ${label}`;
  const info = Buffer.from(`\0${String.fromCharCode(length, name.length)}${name}\0\x01`, 'latin1');
  return hmac(hash, secret, info).subarray(0, length);
}

export class TrafficKeys {
  /** Of the next record. */
  sequence = 0;
  aead: Aead;
  readonly #suite: Suite;
  readonly #direction: 'seal' | 'open';
  #secret: Uint8Array;

  /** secret: taken over. @throws Error for a suite that is not one of ours, or without memory. */
  constructor(suite: string, secret: Uint8Array, direction: 'seal' | 'open') {
    const known = suites[suite];
    if (known === undefined) throw new Error(`no keys for the cipher suite ${suite}`);
    this.#suite = known;
    this.#direction = direction;
    this.#secret = secret;
    this.aead = this.#expand();
  }

  #expand(): Aead {
    const { aead, hash, keyBytes } = this.#suite;
    const key = expandLabel(hash, this.#secret, 'key', keyBytes);
    const iv = expandLabel(hash, this.#secret, 'iv', nonceBytes);
    const made = new Aead(aead, key, iv, this.#direction);
    key.fill(0);
    return made;
  }

  /** The next generation, after a KeyUpdate. */
  update(): void {
    const { hash } = this.#suite;
    const next = expandLabel(hash, this.#secret, 'traffic upd', this.#secret.length);
    this.#secret.fill(0);
    this.#secret = next;
    const before = this.aead;
    this.aead = this.#expand();
    before.free();
    this.sequence = 0;
  }

  free(): void {
    this.#secret.fill(0);
    this.aead.free();
  }
}
