/** Keys and certificates of one bed: a CA, a certificate for each component, the key of service-account tokens. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { plan } from './address-plan.ts';

const run = promisify(execFile);

const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** The components that speak to the API server, with what their certificates say. */
const clients = {
  admin: '/O=system:masters/CN=kubernetes-admin',
  'controller-manager': '/CN=system:kube-controller-manager',
  scheduler: '/CN=system:kube-scheduler',
  proxy: '/CN=system:kube-proxy',
  coredns: '/CN=system:coredns',
  kubelet: `/O=system:nodes/CN=system:node:${plan.nodeName}`,
} as const;

const apiNames = [
  'DNS:localhost',
  ...['', '.default', '.default.svc', `.default.svc.${plan.clusterDomain}`].map((s) => `DNS:kubernetes${s}`),
  'IP:127.0.0.1',
  `IP:${plan.nodeIp}`,
  `IP:${plan.apiService}`,
].join(',');

/** Writes NAME.key, NAME.crt and NAME.kubeconfig into the folder. */
export async function makeKeys(dir: string): Promise<void> {
  await authority(dir);
  serviceAccountKey(dir);
  await Promise.all([
    certificate(dir, 'apiserver', '/CN=kube-apiserver', apiNames),
    certificate(dir, 'apiserver-kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client', ''),
    ...Object.entries(clients).map(([name, subject]) =>
      certificate(dir, name, subject, name === 'kubelet' ? `DNS:${plan.nodeName},IP:${plan.nodeIp}` : ''),
    ),
  ]);
  for (const name of Object.keys(clients))
    fs.writeFileSync(path.join(dir, `${name}.kubeconfig`), kubeconfig(dir, name));
}

async function authority(dir: string): Promise<void> {
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
  await run(
    'openssl',
    ['req', '-x509', ...ec, '-days', '30', '-subj', '/CN=ca', '-keyout', 'ca.key', '-out', 'ca.crt'].concat(
      extensions.flatMap((e) => ['-addext', e]),
    ),
    { cwd: dir },
  );
}

/** RSA, as clusters have it: RS256 in the tokens. */
function serviceAccountKey(dir: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  fs.writeFileSync(path.join(dir, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  fs.writeFileSync(path.join(dir, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

async function certificate(dir: string, name: string, subject: string, names: string): Promise<void> {
  const extensions = [
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=clientAuth,serverAuth',
    ...(names === '' ? [] : [`subjectAltName=${names}`]),
  ].join('\n');
  fs.writeFileSync(path.join(dir, `${name}.ext`), extensions);
  const files = { key: `${name}.key`, csr: `${name}.csr`, crt: `${name}.crt`, ext: `${name}.ext` };
  await run('openssl', ['req', ...ec, '-subj', subject, '-keyout', files.key, '-out', files.csr], { cwd: dir });
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-days', '30', '-extfile', files.ext];
  await run('openssl', ['x509', '-req', '-in', files.csr, ...signed, '-out', files.crt], { cwd: dir });
}

function kubeconfig(dir: string, name: string): string {
  const file = (suffix: string) => path.join(dir, suffix);
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bed', cluster: { server: plan.apiServer, 'certificate-authority': file('ca.crt') } }],
    users: [{ name, user: { 'client-certificate': file(`${name}.crt`), 'client-key': file(`${name}.key`) } }],
    contexts: [{ name: 'bed', context: { cluster: 'bed', user: name } }],
    'current-context': 'bed',
  });
}
