/**
 * SSL_CTX from keys and anchors in memory. TLS 1.2 and 1.3 only; no tickets, no session cache, no renegotiation: a
 * peer's certificate is checked on every handshake. Invariant: what a context verifies never depends on printed names.
 */
import { addressOf, copyBytes, pin, storeByte, storePointer, textAt } from './ffi.ts';
import * as ssl from './openssl.ts';

/** What we show: PEM of the chain, leaf first, and of the leaf's key. */
export interface OwnCertificate {
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface TlsMaterial {
  readonly role: 'client' | 'server';
  /** Chain and key in PEM; of two with the same key type the first is used. */
  readonly certificates: readonly OwnCertificate[];
  /** PEM of the anchors, or null: then no certificate is asked for (server) or anybody's is accepted (client). */
  readonly anchorsPem: string | null;
  readonly requirePeerCertificate: boolean;
  /** Revocation lists in PEM, or null; then asked about the whole chain, or the leaf only. */
  readonly crlPem?: string | null;
  readonly leafCrlOnly?: boolean;
  readonly allowExpired?: boolean;
  /** A peer whose chain does not verify is let in without being asked further. */
  readonly acceptUntrusted?: boolean;
  /** Without anchors: the peer's certificate is asked for and left to acceptPeer alone. */
  readonly pinned?: boolean;
  readonly minVersion: 'TLSv1_2' | 'TLSv1_3';
  readonly maxVersion: 'TLSv1_2' | 'TLSv1_3';
  readonly ciphers: string;
  readonly groups: string;
  readonly alpn: readonly string[];
}

export class TlsMaterialError extends Error {}

const versions = { TLSv1_2: 0x0303n, TLSv1_3: 0x0304n } as const;
const defaultGroups = 'X25519MLKEM768:X25519:P-256';
/** AES-128 first: the fastest where the processor has AES, and all that P-256 certificates ask for. */
const ciphersuites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const ciphers12 =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:' +
  'ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384';

/** Five full records, what a session reads at once; held only while bytes are in it (RELEASE_BUFFERS). */
const readBufferBytes = 82_432n;
const modes = 1n | 2n | 16n; // PARTIAL_WRITE | MOVING_WRITE_BUFFER | RELEASE_BUFFERS
/**
 * NO_TICKET, NO_COMPRESSION, the server's preference, NO_RENEGOTIATION, and no certificate compression in either
 * direction: OpenSSL would run brotli at its highest quality over our chain in every client handshake (2.5 ms).
 */
const options = (1n << 14n) | (1n << 17n) | (1n << 22n) | (1n << 30n) | (1n << 32n) | (1n << 33n);
const partialChain = 0x80000n;
const crlCheck = 0x4n;
const crlCheckAll = 0x8n;
const noCheckTime = 0x200000n;
const noPassword = pin(Buffer.alloc(8));

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1');
}

function check(ok: boolean, what: string): void {
  if (ok) return;
  const { reason } = ssl.takeError();
  throw new TlsMaterialError(reason === '' ? what : `${what}: ${reason}`);
}

/** Runs `use` over a memory BIO on the text; the BIO and the bytes live until it returns. */
function withPem<T>(pem: string, use: (bio: bigint) => T): T {
  const bytes = Buffer.from(`${pem}\n`, 'latin1'); // never empty: an empty buffer has no address
  const bio = ssl.bioOf(addressOf(bytes), BigInt(bytes.length));
  check(bio !== 0n, 'no memory for a BIO');
  try {
    return use(bio);
  } finally {
    ssl.bioFree(bio, 0n);
    bytes.fill(0);
  }
}

/** The certificates of a PEM text as handles, which `use` borrows. */
function withCertificates(pem: string, what: string, use: (certificates: readonly bigint[]) => void): void {
  const found: bigint[] = [];
  try {
    withPem(pem, (bio) => {
      for (let c = next(bio); c !== 0n; c = next(bio)) found.push(c);
    });
    ssl.errorClear(0n, 0n); // the end of the text counts as an error
    check(found.length > 0, `${what}: no certificate in the PEM`);
    use(found);
  } finally {
    for (const c of found) ssl.x509Free(c, 0n);
  }
}

function next(bio: bigint): bigint {
  return ssl.pemReadX509(bio, 0n, 0n, noPassword);
}

function useCertificate(ctx: bigint, chainPem: string, keyPem: string): void {
  withCertificates(chainPem, 'certificate chain', ([leaf = 0n, ...chain]) => {
    check(ssl.ctxUseCertificate(ctx, leaf) === 1, 'certificate');
    for (const c of chain) check(ssl.ctxCtrl(ctx, ssl.ctrl.chainCertificate, 1n, c) === 1, 'certificate chain');
  });
  const key = withPem(keyPem, (bio) => ssl.pemReadKey(bio, 0n, 0n, noPassword));
  check(key !== 0n, 'private key');
  const used = ssl.ctxUseKey(ctx, key);
  ssl.keyFree(key, 0n);
  check(used === 1 && ssl.ctxCheckKey(ctx, 0n) === 1, 'private key does not fit the certificate');
}

function trust(ctx: bigint, material: TlsMaterial, anchorsPem: string): void {
  const store = ssl.ctxStore(ctx, 0n);
  withCertificates(anchorsPem, 'trust anchors', (anchors) => {
    for (const a of anchors) {
      check(ssl.storeAdd(store, a) === 1, 'trust anchor');
      if (material.role === 'server') check(ssl.ctxAddClientCa(ctx, a) === 1, 'trust anchor');
    }
  });
  ssl.storeSetFlags(store, partialChain); // an intermediate may be the anchor, as in Envoy
  if (material.allowExpired === true) ssl.storeSetFlags(store, noCheckTime);
  if (typeof material.crlPem === 'string') revoke(store, material.crlPem, material.leafCrlOnly === true);
  askForCertificate(ctx, material);
}

function askForCertificate(ctx: bigint, material: TlsMaterial): void {
  ssl.ctxSetVerify(ctx, material.requirePeerCertificate ? 3n : 1n, 0n);
  ssl.ctxSetVerifyCallback(ctx, verifyCallback, 0n);
}

/** From now on a certificate without a list of its issuer is refused, too: a missing list must not be a way in. */
function revoke(store: bigint, crlPem: string, leafOnly: boolean): void {
  const count = withPem(crlPem, (bio) => {
    let n = 0;
    for (;;) {
      const crl = ssl.pemReadCrl(bio, 0n, 0n, noPassword);
      if (crl === 0n) return n;
      const added = ssl.storeAddCrl(store, crl);
      ssl.crlFree(crl, 0n);
      check(added === 1, 'revocation list');
      n++;
    }
  });
  ssl.errorClear(0n, 0n); // the end of the text counts as an error
  check(count > 0, 'no revocation list in the PEM');
  ssl.storeSetFlags(store, leafOnly ? crlCheck : crlCheck | crlCheckAll);
}

/** ALPN names in wire form: each with its length in front. */
export function alpnWire(names: readonly string[]): Buffer {
  return Buffer.concat(
    names.map((n) => {
      check(n.length > 0 && n.length < 256, `ALPN name "${n}"`);
      return Buffer.from(String.fromCharCode(n.length) + n, 'latin1');
    }),
  );
}

function setProtocol(ctx: bigint, material: TlsMaterial): void {
  ssl.ctxCtrl(ctx, ssl.ctrl.minVersion, versions[material.minVersion], 0n);
  ssl.ctxCtrl(ctx, ssl.ctrl.maxVersion, versions[material.maxVersion], 0n);
  ssl.ctxCtrl(ctx, ssl.ctrl.mode, modes, 0n);
  // Without read-ahead: what comes behind the handshake is left in the socket.
  ssl.ctxSetReadBuffer(ctx, readBufferBytes);
  ssl.ctxCtrl(ctx, ssl.ctrl.sessionCacheMode, 0n, 0n);
  ssl.ctxSetOptions(ctx, options);
  ssl.ctxSetNumTickets(ctx, 0n);
  const suites = cString(ciphersuites);
  check(ssl.ctxSetCiphersuites(ctx, addressOf(suites)) === 1, 'cipher suites');
  const list = cString(material.ciphers === '' ? ciphers12 : material.ciphers);
  check(ssl.ctxSetCipherList(ctx, addressOf(list)) === 1, `ciphers "${material.ciphers}"`);
  const groups = cString(material.groups === '' ? defaultGroups : material.groups);
  check(ssl.ctxCtrl(ctx, ssl.ctrl.groupsList, 0n, addressOf(groups)) === 1, `groups "${material.groups}"`);
}

/** An SSL_CTX and what our callbacks need of it. Connections hold their own reference, so it may be freed under them. */
export class TlsContextHandle {
  readonly role: 'client' | 'server';
  /** Our ALPN list in our order, in wire form; stays put for OpenSSL. */
  readonly alpn: Buffer;
  readonly alpnAddress: bigint;
  readonly acceptsUntrusted: boolean;
  readonly isPinned: boolean;
  #ctx: bigint;

  /** @throws TlsMaterialError saying which part is bad; never with key material in it. */
  constructor(material: TlsMaterial) {
    this.role = material.role;
    this.acceptsUntrusted = material.acceptUntrusted === true;
    this.isPinned = material.anchorsPem === null && material.pinned === true;
    this.alpn = alpnWire(material.alpn);
    this.alpnAddress = this.alpn.length > 0 ? addressOf(this.alpn) : 0n;
    ssl.errorClear(0n, 0n);
    this.#ctx = ssl.ctxNew(ssl.tlsMethod(0n, 0n), 0n);
    check(this.#ctx !== 0n, 'no memory for a TLS context');
    try {
      this.#configure(material);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  get handle(): bigint {
    return this.#ctx;
  }

  #configure(material: TlsMaterial): void {
    const ctx = this.#ctx;
    setProtocol(ctx, material);
    if (material.maxVersion === 'TLSv1_3') ssl.ctxSetKeylog(ctx, keylogCallback);
    for (const c of [...material.certificates].reverse()) useCertificate(ctx, c.chainPem, c.keyPem);
    if (material.anchorsPem !== null) trust(ctx, material, material.anchorsPem);
    else if (this.isPinned) askForCertificate(ctx, material);
    if (this.alpn.length === 0) return;
    const length = BigInt(this.alpn.length);
    if (material.role === 'server') ssl.ctxSetAlpnSelect(ctx, alpnCallback, 0n);
    else check(ssl.ctxSetAlpnProtos(ctx, this.alpnAddress, length) === 0, 'ALPN list');
  }

  free(): void {
    if (this.#ctx !== 0n) ssl.ctxFree(this.#ctx, 0n);
    this.#ctx = 0n;
  }
}

/** Whoever does a handshake: gives its context and judges the peer after OpenSSL has verified the chain. */
export interface HandshakeOwner {
  readonly context: TlsContextHandle;
  /** The chain does not verify; the reason for the log. */
  chainRefused(reason: string): void;
  /** The verified peer's chain in DER, leaf first. False refuses with the alert certificate_unknown. Must not throw. */
  acceptPeer(chain: readonly Buffer[]): boolean;
  /** TLS 1.3: the first secret of what the client, or the server, will send as application data. Must not throw. */
  secret(sender: 'client' | 'server', bytes: Buffer): void;
}

/** The handshake that runs right now on this thread: the callbacks below are its. */
let current: HandshakeOwner | null = null;

/** One step of SSL_do_handshake, with the callbacks going to the owner. */
export function stepHandshake(handle: bigint, owner: HandshakeOwner): number {
  current = owner;
  try {
    return ssl.sslHandshake(handle);
  } finally {
    current = null;
  }
}

const derPointer = Buffer.alloc(8);
const derPointerAddress = pin(derPointer);

/** DER of an X509 handle. */
export function derOf(x509: bigint): Buffer {
  const length = ssl.x509ToDer(x509, 0n);
  if (length <= 0) return Buffer.alloc(0);
  const out = Buffer.alloc(length);
  derPointer.writeBigUInt64LE(addressOf(out), 0);
  ssl.x509ToDer(x509, derPointerAddress);
  return out;
}

/** Chains above this are cut off; the check of the chain's length sees one too many. */
const maxPresented = 8;

function presentedChain(store: bigint): Buffer[] {
  const leaf = ssl.verifyLeaf(store, 0n);
  const chain = leaf === 0n ? [] : [derOf(leaf)];
  const stack = ssl.verifyUntrusted(store, 0n);
  const count = stack === 0n ? 0 : Math.min(ssl.stackCount(stack, 0n), maxPresented);
  for (let i = 0; i < count; i++) {
    const item = ssl.stackItem(stack, BigInt(i));
    if (item !== leaf) chain.push(derOf(item));
  }
  return chain;
}

/** Not one of X509_V_ERR_*: OpenSSL answers with the alert certificate_unknown, as Envoy does for a foreign name. */
const refusedByUs = 9999n;

function verify(store: bigint): number {
  const owner = current;
  if (owner === null) return 0;
  if (!owner.context.isPinned && ssl.verifyCertificate(store, 0n) !== 1) {
    const code = BigInt(ssl.verifyGetError(store, 0n));
    owner.chainRefused(textAt(ssl.verifyErrorText(code, 0n)));
    return owner.context.acceptsUntrusted ? 1 : 0;
  }
  if (owner.acceptPeer(presentedChain(store))) return 1;
  ssl.verifySetError(store, refusedByUs);
  return 0;
}

const verifyCallback = ssl.callback(['pointer', 'pointer'], (store) => {
  try {
    return verify(store as bigint);
  } catch {
    return 0; // an exception must not cross C; refusing is the safe side
  }
});

/** Lines as of the key log of NSS: a label, the client's random and the secret in hexadecimal. */
const applicationSecret = /^(CLIENT|SERVER)_TRAFFIC_SECRET_0 [0-9a-f]{64} ([0-9a-f]+)$/;

const keylogCallback = ssl.callback(['pointer', 'pointer'], (_ssl, line) => {
  const [, sender, hex] = applicationSecret.exec(textAt(line as bigint)) ?? [];
  if (hex === undefined) return 0;
  const secret = Buffer.alloc(hex.length / 2); // not of the pool that other buffers share
  secret.write(hex, 'hex');
  current?.secret(sender === 'CLIENT' ? 'client' : 'server', secret);
  return 0;
});

/** Offset in `ours` of the first of our names that the client offers too, or -1. */
export function chooseAlpn(ours: Uint8Array, offered: Uint8Array): number {
  for (let i = 0; i < ours.length; i += 1 + (ours[i] ?? 0)) {
    const size = 1 + (ours[i] ?? 0);
    for (let j = 0; j < offered.length; j += 1 + (offered[j] ?? 0)) {
      if (Buffer.compare(ours.subarray(i, i + size), offered.subarray(j, j + 1 + (offered[j] ?? 0))) === 0) return i;
    }
  }
  return -1;
}

const alpnAck = 0;
const alpnNone = 3;

const alpnCallback = ssl.callback(
  ['pointer', 'pointer', 'pointer', 'pointer', 'uint32', 'pointer'],
  (_ssl, out, outLength, offered, offeredLength) => {
    const context = current?.context;
    if (context === undefined) return alpnNone;
    const at = chooseAlpn(context.alpn, copyBytes(offered as bigint, offeredLength as number));
    if (at < 0) return alpnNone; // no overlap: the handshake goes on without ALPN, as in Envoy
    storePointer(out as bigint, context.alpnAddress + BigInt(at + 1));
    storeByte(outLength as bigint, context.alpn[at] ?? 0);
    return alpnAck;
  },
);
