/** A throw-away CA and two SVIDs for the mutual-TLS rows, made with openssl so that no code under test makes them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export interface BenchCertificates {
  readonly ca: string;
  readonly client: { readonly cert: string; readonly key: string; readonly id: string };
  readonly server: { readonly cert: string; readonly key: string; readonly id: string };
}

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function makeCertificates(dir: string): BenchCertificates {
  const at = (name: string): string => path.join(dir, name);
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/O=bench',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-addext',
    'subjectAltName=URI:spiffe://bench.local',
  );
  const leaf = (name: string): { cert: string; key: string; id: string } => {
    const id = `spiffe://bench.local/ns/bench/sa/${name}`;
    openssl('req', ...newKey, '-new', '-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`));
    fs.writeFileSync(
      at(`${name}.ext`),
      `basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:${id},DNS:mesh.local\n`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      at(`${name}.ext`),
      '-out',
      at(`${name}.crt`),
    );
    return { cert: at(`${name}.crt`), key: at(`${name}.key`), id };
  };
  return { ca: at('ca.crt'), client: leaf('client'), server: leaf('server') };
}
