/** The CA's own SVID, for its server: signed by itself without a call, renewed like everybody's. */
import { type CsrSigner, formatSpiffeId, WorkloadIdentity, workloadId } from '@chainmail/pki';
import { checkCsr } from '@chainmail/pki/authority';
import { type Clock, type Logger, system } from '@chainmail/runtime';
import type { AuditLog } from './audit.ts';
import type { CertificateAuthority } from './authority.ts';
import { dnsNamesOf } from './csr-service.ts';

export interface OwnIdentityOptions {
  readonly authority: CertificateAuthority;
  readonly audit: AuditLog;
  readonly ttlSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createOwnIdentity(options: OwnIdentityOptions): WorkloadIdentity {
  const { authority, audit, clock, log, ttlSeconds } = options;
  const id = workloadId(authority.trustDomain, system.namespace, system.caServiceAccount);
  const spiffeId = formatSpiffeId(id);
  const serviceAccount = { name: system.caServiceAccount, uid: 'self' };
  const dnsNames = dnsNamesOf({ namespace: system.namespace, serviceAccount, pod: undefined });
  const signer: CsrSigner = {
    async sign({ csrPem }) {
      const csr = checkCsr(csrPem);
      if (!csr.ok) throw new Error(csr.reason);
      const issued = await authority.issue({ id, dnsNames, publicKey: csr.publicKey, ttlSeconds });
      const { serial, sha256: leafSha256, notAfterMs, bundle } = issued;
      const bundleSequence = bundle.sequence;
      audit.issued({ spiffeId, peer: 'self', pod: undefined, serial, leafSha256, notAfterMs, bundleSequence });
      return { chainPem: issued.chainPem, trustAnchorsPem: [bundle.pem], bundleSequence };
    },
  };
  return new WorkloadIdentity({ signer, trustDomain: authority.trustDomain, expectedId: spiffeId, clock, log });
}
