/**
 * Which certificate the webhook serves. Invariant: a new one is served only when API servers trust its root; until then
 * the one before goes on, to its end.
 */
import {
  fingerprint,
  type IdentityEvent,
  type IdentityMaterial,
  nodeCrypto,
  readPemCertificates,
  type TrustAnchor,
} from '@chainmail/pki';
import type { SecureServer } from './secure-server.ts';

/** What knows whom API servers trust. */
export interface TrustKeeper {
  offer(bundle: IdentityMaterial['bundle'], ownAnchor: string | undefined): void;
  trusts(anchor: string): boolean;
}

/** Fingerprint of the anchor that a chain leads to; undefined when it leads to none of its bundle. */
export function anchorOf({ chainPem, bundle }: IdentityMaterial): string | undefined {
  const last = readPemCertificates(chainPem).at(-1);
  if (last === undefined) return undefined;
  const isOrSigned = (a: TrustAnchor) => a.sha256 === fingerprint(last) || nodeCrypto.isSignedBy(last, a.fields.der);
  const anchor = bundle.anchors.find(isOrSigned);
  return anchor?.sha256;
}

export class Serving {
  readonly #server: SecureServer;
  readonly #keeper: TrustKeeper | undefined;
  #served: IdentityMaterial | undefined;
  #waiting: IdentityMaterial | undefined;

  /** @param keeper absent where whoever calls the webhook takes the bundle from a file */
  constructor(server: SecureServer, keeper: TrustKeeper | undefined) {
    this.#server = server;
    this.#keeper = keeper;
  }

  /** End of the certificate that is served, in Unix milliseconds. */
  get expiryMs(): number | undefined {
    return this.#served?.notAfterMs;
  }

  /** Why no review can come in, or undefined. */
  get whyNot(): string | undefined {
    if (this.#served !== undefined) return undefined;
    return this.#waiting === undefined ? 'waiting for a certificate' : 'waiting for the caBundle to be published';
  }

  take(event: IdentityEvent): void {
    switch (event.type) {
      case 'rotated':
        this.#waiting = event.material;
        this.#keeper?.offer(event.material.bundle, anchorOf(event.material));
        this.switch();
        return;
      case 'bundle-changed':
        this.#keeper?.offer(event.material.bundle, anchorOf(event.material));
        return;
      case 'expired':
        this.#waiting = undefined;
        this.#served = undefined;
        this.#server.setCertificate(undefined);
        return;
    }
  }

  /** Serves what waits, if it may be served. To be called when the keeper's view changed. */
  switch(): void {
    const next = this.#waiting;
    if (next === undefined) return;
    const anchor = anchorOf(next);
    if (this.#keeper !== undefined && (anchor === undefined || !this.#keeper.trusts(anchor))) return;
    this.#waiting = undefined;
    this.#served = next;
    this.#server.setCertificate(next);
  }
}
