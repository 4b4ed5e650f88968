/** Started by admission.ts on one core: the whole injector but for the CA, which is in this process. */
import { parseSpiffeId, type SigningRequest } from '@chainmail/pki';
import { checkCsr, createRoot, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { createLogger } from '@chainmail/runtime';
import { parseCommand } from '../command-line.ts';
import { runInjector } from '../run-injector.ts';

const trustDomain = 'cluster.local';
const id = parseSpiffeId(`spiffe://${trustDomain}/ns/chainmail-system/sa/chainmail-injector`);
const root = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs: 86_400_000 });
const issuer = await openIssuer(trustDomain, root);
const signer = {
  async sign({ csrPem }: SigningRequest) {
    const csr = checkCsr(csrPem);
    if (!csr.ok) throw new Error(csr.reason);
    const template = { id, publicKey: csr.publicKey, dnsNames: ['localhost'], nowMs: Date.now(), ttlMs: 3_600_000 };
    const svid = await issueSvid(issuer, template);
    return { chainPem: [svid.certificatePem], trustAnchorsPem: [issuer.bundle.pem], bundleSequence: 1 };
  },
};
const [valuesFile = ''] = process.argv.slice(2);
const files = ['--values', valuesFile, '--ca', 'unused:1', '--token-file', 'x', '--trust-bundle', 'y'];
const command = parseCommand(['--listen', '127.0.0.1:0', ...files]);
const { port } = await runInjector(command, { log: createLogger({ component: 'injector' }), signer });
process.send?.({ port, ca: issuer.certificatePem });
