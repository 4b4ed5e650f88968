/**
 * Which of a server's certificates a client may be shown, by the name it asks for, as Envoy chooses: an exact name,
 * then a wildcard of one label, then the first certificate; without a name all of them. Key types are OpenSSL's choice.
 */
import { commonNameOf, readCertificate, readPemCertificates } from '@chainmail/pki/verify';

export class CertificateChoice {
  /** Indexes of all certificates. */
  readonly everything: readonly number[];
  readonly #byName = new Map<string, number[]>();

  /** PEM chains in the order of the configuration. @throws PemError, DerError */
  constructor(chains: readonly string[]) {
    this.everything = chains.map((_, i) => i);
    chains.forEach((pem, i) => {
      for (const name of new Set(namesOf(pem))) {
        const known = this.#byName.get(name);
        if (known === undefined) this.#byName.set(name, [i]);
        else known.push(i);
      }
    });
  }

  /** Indexes of the certificates that fit; never empty. serverName in lower case, '' for none. */
  for(serverName: string): readonly number[] {
    if (serverName === '') return this.everything;
    const dot = serverName.indexOf('.');
    const wildcard = dot < 0 ? '' : `*${serverName.slice(dot)}`;
    return this.#byName.get(serverName) ?? this.#byName.get(wildcard) ?? this.everything.slice(0, 1);
  }
}

/** DNS names of the leaf; its common name only where it has none. */
function namesOf(chainPem: string): readonly string[] {
  const [leaf] = readPemCertificates(chainPem);
  if (leaf === undefined) return [];
  const { dnsNames, subject } = readCertificate(leaf);
  if (dnsNames.length > 0) return dnsNames.map((n) => n.toLowerCase());
  const common = commonNameOf(subject);
  return common === undefined ? [] : [common.toLowerCase()];
}
