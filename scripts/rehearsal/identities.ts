/** A root and one SVID below it, for both ends of the rehearsal's mutual TLS; they go with its folder. */
import fs from 'node:fs';
import path from 'node:path';
import { createRoot, issueSvid, openIssuer } from '../../lib/pki/src/authority.ts';
import { createKeyPair, parseSpiffeId } from '../../lib/pki/src/index.ts';

export interface Identity {
  readonly id: string;
  readonly anchors: string;
  readonly chain: string;
  readonly key: string;
}

const trustDomain = 'rehearsal.local';
const hourMs = 3_600_000;

export async function makeIdentity(dir: string): Promise<Identity> {
  const nowMs = Date.now();
  const root = await createRoot({ trustDomain, nowMs, lifetimeMs: hourMs });
  const { publicKey, keyPem } = await createKeyPair();
  const id = `spiffe://${trustDomain}/ns/rehearsal/sa/agent`;
  const issuer = await openIssuer(trustDomain, root);
  const svid = await issueSvid(issuer, { id: parseSpiffeId(id), publicKey, dnsNames: [], nowMs, ttlMs: hourMs });
  const file = (name: string, text: string): string => {
    fs.writeFileSync(path.join(dir, name), text, { mode: 0o600 });
    return path.join(dir, name);
  };
  return {
    id,
    anchors: file('anchors.pem', root.certificatePem),
    chain: file('chain.pem', svid.certificatePem),
    key: file('key.pem', keyPem),
  };
}
