/**
 * TLS contexts of a worker, made from specs and the secrets they name, shared by everything with the same key.
 * Invariants: a context whose secrets are not there refuses; a rotation makes a new context for new handshakes and
 * leaves live connections on the old one; a secret that does not load leaves the last good context in use.
 */
import { readCertificate, readPemCertificates } from '@chainmail/pki/verify';
import type { SecretSpec, TlsCommonSpec } from '../model/tls.ts';
import { TlsContextHandle, type TlsMaterial } from '../sys/tls-context.ts';
import { PeerCheck, trustDomainOf } from './peer-check.ts';

/** Everything one handshake needs. */
export interface TlsContext {
  readonly handle: TlsContextHandle;
  /** null when no peer certificate is verified. */
  readonly check: PeerCheck | null;
  /** URI SAN of our own certificate, or ''. */
  readonly localPrincipal: string;
}

type Certificate = Extract<SecretSpec, { kind: 'certificate' }>;
type Trust = Extract<SecretSpec, { kind: 'trust' }>;

export interface TlsSpec extends TlsCommonSpec {
  readonly requireClientCertificate?: boolean;
}

/** A context by key: rebuilt when one of its secrets has changed. */
export class TlsContextSlot {
  readonly #contexts: TlsContexts;
  readonly #spec: TlsSpec;
  readonly #role: 'client' | 'server';
  #version = -1;
  #inputs: readonly SecretSpec[] = [];
  #current: TlsContext | null = null;
  #problem = '';

  constructor(contexts: TlsContexts, role: 'client' | 'server', spec: TlsSpec) {
    this.#contexts = contexts;
    this.#role = role;
    this.#spec = spec;
  }

  /** The context for a new handshake. @throws Error saying which secret is missing or bad, when there is none. */
  get(): TlsContext {
    if (this.#version !== this.#contexts.version) this.#refresh();
    if (this.#current === null) throw new Error(this.#problem);
    return this.#current;
  }

  uses(secret: string): boolean {
    return this.#spec.certificates.includes(secret) || this.#spec.trustedCa === secret;
  }

  #refresh(): void {
    this.#version = this.#contexts.version;
    try {
      const inputs = this.#gather();
      if (this.#current !== null && inputs.every((s, i) => s === this.#inputs[i])) return;
      if (inputs.some(isWithdrawn)) {
        // Unlike a bad secret, which leaves the old one in use, an expired one ends it: nothing of it is presented.
        this.#current?.handle.free();
        this.#current = null;
        this.#inputs = [];
        throw new Error('the certificate has expired and there is no other yet');
      }
      const made = this.#make(inputs);
      this.#current?.handle.free();
      this.#current = made;
      this.#inputs = inputs;
      this.#problem = '';
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : 'unknown';
      this.#contexts.report(this.#problem);
    }
  }

  #gather(): readonly SecretSpec[] {
    const { certificates, trustedCa } = this.#spec;
    const own = certificates.map((name) => this.#contexts.certificate(name));
    return trustedCa === null ? own : [...own, this.#contexts.trust(trustedCa)];
  }

  #make(inputs: readonly SecretSpec[]): TlsContext {
    const spec = this.#spec;
    const certificates = inputs.filter((s) => s.kind === 'certificate');
    const anchors = inputs.find((s) => s.kind === 'trust')?.bundlePem ?? null;
    const localPrincipal = principalOf(certificates[0]);
    if (spec.requireSvid && anchors === null) throw new Error('a peer must be an SVID, but there are no trust anchors');
    const check =
      anchors === null
        ? null
        : new PeerCheck({
            subjectAltNames: spec.subjectAltNames,
            svid: spec.requireSvid ? { anchorsPem: anchors, trustDomain: trustDomainOf(localPrincipal) } : null,
            nowMs: this.#contexts.nowMs,
          });
    const material: TlsMaterial = {
      role: this.#role,
      certificates,
      anchorsPem: anchors,
      requirePeerCertificate: this.#role === 'client' || spec.requireClientCertificate === true,
      minVersion: spec.minVersion,
      maxVersion: spec.maxVersion,
      ciphers: spec.ciphers,
      groups: spec.groups,
      alpn: spec.alpn,
    };
    return { handle: new TlsContextHandle(material), check, localPrincipal };
  }

  free(): void {
    this.#current?.handle.free();
    this.#current = null;
    this.#problem = 'the TLS context is no longer configured';
  }
}

/** The main thread withdraws a certificate by giving it no content. */
function isWithdrawn(secret: SecretSpec): boolean {
  return secret.kind === 'certificate' && secret.chainPem === '';
}

function principalOf(certificate: Certificate | undefined): string {
  if (certificate === undefined) return '';
  const [leaf] = readPemCertificates(certificate.chainPem);
  return leaf === undefined ? '' : (readCertificate(leaf).uris[0] ?? '');
}

export class TlsContexts {
  /** Grows with every change of a secret. */
  version = 0;
  readonly nowMs: () => number;
  readonly report: (problem: string) => void;
  readonly #secrets = new Map<string, SecretSpec>();
  readonly #slots = new Map<string, TlsContextSlot>();

  constructor(nowMs: () => number, report: (problem: string) => void) {
    this.nowMs = nowMs;
    this.report = report;
  }

  setSecret(secret: SecretSpec): void {
    this.#secrets.set(secret.name, secret);
    this.version++;
  }

  certificate(name: string): Certificate {
    const secret = this.#secrets.get(name);
    if (secret?.kind !== 'certificate') throw new Error(`secret ${name} is not there yet`);
    return secret;
  }

  trust(name: string): Trust {
    const secret = this.#secrets.get(name);
    if (secret?.kind !== 'trust') throw new Error(`secret ${name} is not there yet`);
    return secret;
  }

  /** The shared slot of a key: the content decides the key, so the first spec stands for all. */
  slot(role: 'client' | 'server', key: string, spec: TlsSpec): TlsContextSlot {
    const id = `${role} ${key}`;
    let slot = this.#slots.get(id);
    if (slot === undefined) {
      slot = new TlsContextSlot(this, role, spec);
      this.#slots.set(id, slot);
    }
    return slot;
  }

  /** Frees the contexts of this role whose keys are used no more; live connections keep theirs. */
  retain(role: 'client' | 'server', keys: ReadonlySet<string>): void {
    for (const [id, slot] of this.#slots) {
      if (!id.startsWith(`${role} `) || keys.has(id.slice(role.length + 1))) continue;
      slot.free();
      this.#slots.delete(id);
    }
  }
}
