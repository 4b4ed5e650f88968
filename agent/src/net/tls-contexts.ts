/**
 * TLS contexts of a worker, made from specs and the secrets they name, shared by everything with the same key.
 * Invariants: a context whose secrets are not there refuses; a rotation makes a new context for new handshakes and
 * leaves live connections on the old one; a secret that does not load leaves the last good context in use.
 */
import { readCertificate, readPemCertificates } from '@chainmail/pki/verify';
import type { SecretSpec, TlsCommonSpec } from '../model/tls.ts';
import { TlsContextHandle, type TlsMaterial } from '../sys/tls-context.ts';
import { Anchors } from './anchors.ts';
import { CertificateChoice } from './certificate-choice.ts';
import { PeerCheck, trustDomainOf } from './peer-check.ts';
import type { TlsEnd } from './tls-end.ts';

/** Everything one handshake needs. */
export interface TlsContext {
  /** The handle with the certificates that fit the name a client asks for ('' for none). */
  handleFor(serverName: string): TlsContextHandle;
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
  /** Open connections that were made with it. */
  readonly connections = new Set<TrackedConnection>();
  #current: MadeContext | null = null;
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

  #freeCurrent(): void {
    for (const handle of this.#current?.handles ?? []) handle.free();
    this.#current = null;
  }

  /** Connections whose peer is no longer vouched for by the anchors of now. */
  *orphans(): Iterable<TrackedConnection> {
    const { trustedCa } = this.#spec;
    if (trustedCa === null || this.connections.size === 0) return;
    const anchors = new Anchors(this.#contexts.trust(trustedCa).bundlePem);
    for (const connection of this.connections) {
      const peer = connection.tlsEnd?.peer ?? null;
      if (peer !== null && !anchors.vouchFor(peer)) yield connection;
    }
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
        this.#freeCurrent();
        this.#inputs = [];
        throw new Error('the certificate has expired and there is no other yet');
      }
      const made = this.#make(inputs);
      this.#freeCurrent();
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

  #make(inputs: readonly SecretSpec[]): MadeContext {
    const spec = this.#spec;
    const certificates = inputs.filter((s) => s.kind === 'certificate');
    const trust = inputs.find((s) => s.kind === 'trust');
    const anchors = trust?.bundlePem ?? null;
    const rules = spec.peerRules;
    const pinned = rules !== undefined && rules.certificateHashes.length + rules.spkiHashes.length > 0;
    const localPrincipal = principalOf(certificates[0]);
    if (spec.requireSvid && anchors === null) throw new Error('a peer must be an SVID, but there are no trust anchors');
    const check =
      anchors === null && !pinned
        ? null
        : new PeerCheck({
            subjectAltNames: spec.subjectAltNames,
            certificateHashes: rules?.certificateHashes ?? [],
            spkiHashes: rules?.spkiHashes ?? [],
            svid:
              spec.requireSvid && anchors !== null
                ? { anchorsPem: anchors, trustDomain: trustDomainOf(localPrincipal) }
                : null,
            nowMs: this.#contexts.nowMs,
          });
    const material: TlsMaterial = {
      role: this.#role,
      certificates,
      anchorsPem: anchors,
      requirePeerCertificate: this.#role === 'client' || spec.requireClientCertificate === true,
      crlPem: trust?.crlPem ?? null,
      leafCrlOnly: rules?.leafCrlOnly ?? false,
      allowExpired: rules?.allowExpired ?? false,
      acceptUntrusted: rules?.acceptUntrusted ?? false,
      pinned,
      minVersion: spec.minVersion,
      maxVersion: spec.maxVersion,
      ciphers: spec.ciphers,
      groups: spec.groups,
      alpn: spec.alpn,
    };
    return makeContext(material, check, localPrincipal);
  }

  free(): void {
    this.#freeCurrent();
    this.#problem = 'the TLS context is no longer configured';
  }
}

/** The main thread withdraws a certificate by giving it no content. */
function isWithdrawn(secret: SecretSpec): boolean {
  return secret.kind === 'certificate' && secret.chainPem === '';
}

/** A context and everything of it that must be freed. */
interface MadeContext extends TlsContext {
  readonly handles: readonly TlsContextHandle[];
}

/** One handle with all certificates (OpenSSL chooses by key type), and one for each name that calls for fewer. */
function makeContext(material: TlsMaterial, check: PeerCheck | null, localPrincipal: string): MadeContext {
  const handles = [new TlsContextHandle(material)];
  const [all] = handles;
  if (all === undefined) throw new Error('unreachable');
  if (material.role === 'client' || material.certificates.length < 2) {
    return { handles, handleFor: () => all, check, localPrincipal };
  }
  const choice = new CertificateChoice(material.certificates.map((c) => c.chainPem));
  const made = new Map<string, TlsContextHandle>([[choice.everything.join(), all]]);
  const handleFor = (serverName: string): TlsContextHandle => {
    const fitting = choice.for(serverName);
    let handle = made.get(fitting.join());
    if (handle === undefined) {
      const certificates = fitting.flatMap((i) => material.certificates[i] ?? []);
      handle = new TlsContextHandle({ ...material, certificates });
      made.set(fitting.join(), handle);
      handles.push(handle);
    }
    return handle;
  };
  return { handles, handleFor, check, localPrincipal };
}

/** What is kept of a connection to look after it when trust changes. */
export interface TrackedConnection {
  readonly tlsEnd: TlsEnd | null;
  abort(reason: 'local', detail: string): void;
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

  /** Open connections whose peers the trust anchors in this secret no longer vouch for. */
  orphansOf(secret: string): readonly TrackedConnection[] {
    if (this.#secrets.get(secret)?.kind !== 'trust') return [];
    return [...this.#slots.values()].filter((s) => s.uses(secret)).flatMap((s) => [...s.orphans()]);
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
