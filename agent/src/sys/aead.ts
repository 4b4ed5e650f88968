/**
 * Authenticated encryption as TLS 1.3 uses it for records (RFC 8446 sections 5.2 and 5.3), and HMAC for its keys, by
 * OpenSSL's EVP. Addresses are the caller's, who has held them against their regions.
 * Invariants: a nonce is made of the sequence number alone, so one key never sees two records with the same; what
 * does not authenticate is told as that, whatever was written by then.
 */
import { addressOf, pin } from './ffi.ts';
import { big } from './libc.ts';
import * as ssl from './openssl.ts';

export type AeadName = 'AES-128-GCM' | 'AES-256-GCM' | 'ChaCha20-Poly1305';
export type HashName = 'SHA256' | 'SHA384';

export const tagBytes = 16;
export const nonceBytes = 12;
/** Additional data: the header of a record. */
const headerBytes = 5n;

const setTag = 0x11n; // EVP_CTRL_AEAD_SET_TAG
const getTag = 0x10n; // EVP_CTRL_AEAD_GET_TAG
const tagLength = BigInt(tagBytes);

const nonce = new DataView(new ArrayBuffer(16));
const nonceAddress = pin(nonce);
const outLengthAddress = pin(new Int32Array(2));
/** A byte for each type of a record, which is encrypted behind its content. */
const typesAddress = pin(Uint8Array.from({ length: 32 }, (_, i) => i));
const typeAddresses: readonly bigint[] = Array.from({ length: 32 }, (_, i) => typesAddress + BigInt(i));

const ciphers = new Map<AeadName, bigint>();

/** Fetched once in a thread and kept. */
function cipherOf(name: AeadName): bigint {
  const known = ciphers.get(name);
  if (known !== undefined) return known;
  const cipher = ssl.cipherFetch(0n, addressOf(Buffer.from(`${name}\0`, 'latin1')), 0n);
  if (cipher === 0n) throw new Error(`OpenSSL has no ${name}`);
  ciphers.set(name, cipher);
  return cipher;
}

/** One key in one direction; refuses once it is freed. */
export class Aead {
  /** 0 when it is freed. */
  #context: bigint;
  readonly #iv: readonly [number, number, number];

  /** @throws Error when there is no memory or no such cipher; never with key material in it. iv: nonceBytes long. */
  constructor(name: AeadName, key: Uint8Array, iv: Uint8Array, direction: 'seal' | 'open') {
    const words = new DataView(iv.buffer, iv.byteOffset, nonceBytes);
    this.#iv = [words.getUint32(0), words.getUint32(4), words.getUint32(8)];
    this.#context = ssl.cipherContextNew(0n, 0n);
    const init = direction === 'seal' ? ssl.encryptInit : ssl.decryptInit;
    if (this.#context !== 0n && init(this.#context, cipherOf(name), 0n, addressOf(key), nonceAddress) === 1) return;
    this.free();
    throw new Error(`no context for ${name}`);
  }

  /** RFC 8446 section 5.3: the sequence number, padded to the left, over the static IV. */
  #setNonce(sequence: number): void {
    const [a, b, c] = this.#iv;
    nonce.setUint32(0, a);
    nonce.setUint32(4, b ^ Math.floor(sequence / 0x1_0000_0000));
    nonce.setUint32(8, c ^ (sequence >>> 0));
  }

  /**
   * Encrypts `length` bytes and the type behind them, and writes the tag behind that: length + 1 + tagBytes at `to`,
   * which does not overlap. `header`: the five bytes that are authenticated too. False when OpenSSL refuses.
   */
  seal(sequence: number, header: bigint, from: bigint, length: number, type: number, to: bigint): boolean {
    this.#setNonce(sequence);
    const context = this.#context;
    const behind = to + BigInt(length);
    return (
      context !== 0n &&
      ssl.encryptInit(context, 0n, 0n, 0n, nonceAddress) === 1 &&
      ssl.encryptUpdate(context, 0n, outLengthAddress, header, headerBytes) === 1 &&
      (length === 0 || ssl.encryptUpdate(context, to, outLengthAddress, from, big(length)) === 1) &&
      ssl.encryptUpdate(context, behind, outLengthAddress, typeAddresses[type] as bigint, 1n) === 1 &&
      ssl.encryptFinal(context, behind + 1n, outLengthAddress) === 1 &&
      ssl.cipherContextCtrl(context, getTag, tagLength, behind + 1n) === 1
    );
  }

  /**
   * Decrypts `length` bytes, behind which their tag lies, to `to`, which does not overlap. False when they are not
   * authentic: then what was written must not be used.
   */
  open(sequence: number, header: bigint, from: bigint, length: number, to: bigint): boolean {
    this.#setNonce(sequence);
    const context = this.#context;
    const size = BigInt(length);
    return (
      context !== 0n &&
      ssl.decryptInit(context, 0n, 0n, 0n, nonceAddress) === 1 &&
      ssl.cipherContextCtrl(context, setTag, tagLength, from + size) === 1 &&
      ssl.decryptUpdate(context, 0n, outLengthAddress, header, headerBytes) === 1 &&
      ssl.decryptUpdate(context, to, outLengthAddress, from, size) === 1 &&
      ssl.decryptFinal(context, to + size, outLengthAddress) === 1
    );
  }

  free(): void {
    if (this.#context !== 0n) ssl.cipherContextFree(this.#context, 0n);
    this.#context = 0n;
  }
}

/** HMAC of the data with that key. */
export function hmac(hash: HashName, key: Uint8Array, data: Uint8Array): Uint8Array {
  const digest = hash === 'SHA256' ? ssl.mdSha256(0n, 0n) : ssl.mdSha384(0n, 0n);
  const out = new Uint8Array(hash === 'SHA256' ? 32 : 48);
  const made = ssl.hmac(digest, addressOf(key), big(key.length), addressOf(data), big(data.length), addressOf(out), 0n);
  if (made === 0n) throw new Error('no memory for a HMAC');
  return out;
}
