/** The contract of signers that ask the mesh CA: one suite for each way to carry the call. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type CsrSigner, parseSpiffeId, type SigningRequest, WorkloadIdentity } from '@chainmail/pki';
import { checkCsr, createRoot, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { UserError } from '@chainmail/runtime';
import { Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import test from 'ava';
import {
  type IstioCertificateRequest,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
  IstioCertificateService,
} from '../gen/istio/v1/auth/ca_pb.js';
import type { CaSignerOptions } from './csr-signer.ts';
import { serviceDefinition } from './service-definition.ts';
import { spiffeServerCredentials } from './spiffe-credentials.ts';

const trustDomain = 'cluster.local';
const caId = 'spiffe://cluster.local/ns/chainmail-system/sa/chainmail-ca';
const webId = 'spiffe://cluster.local/ns/shop/sa/web';

async function newIssuer(): Promise<Issuer> {
  const material = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs: 3_600_000 });
  return openIssuer(trustDomain, material);
}

/** Signs in this process for one id. */
function localSigner(issuer: Issuer, id: string): CsrSigner {
  return {
    async sign({ csrPem, ttlSeconds = 60 }: SigningRequest) {
      const csr = checkCsr(csrPem);
      if (!csr.ok) throw new Error(csr.reason);
      const template = { id: parseSpiffeId(id), publicKey: csr.publicKey, dnsNames: [] };
      const svid = await issueSvid(issuer, { ...template, nowMs: Date.now(), ttlMs: ttlSeconds * 1000 });
      return { chainPem: [svid.certificatePem], trustAnchorsPem: [issuer.bundle.pem], bundleSequence: 1 };
    },
  };
}

interface FakeCa {
  readonly address: string;
  readonly tokens: string[];
  close(): void;
}

/** A CSR service on loopback that answers every token for web and records it. */
async function startCa(issuer: Issuer, serverId: string): Promise<FakeCa> {
  const identity = new WorkloadIdentity({ signer: localSigner(issuer, serverId), trustDomain });
  identity.start();
  await identity.ready();
  const credentials = spiffeServerCredentials({ identity, clients: 'without-certificate' });
  const tokens: string[] = [];
  const server = new Server();
  server.addService(serviceDefinition(IstioCertificateService), {
    createCertificate(
      call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
      done: sendUnaryData<IstioCertificateResponse>,
    ) {
      const token = String(call.metadata.get('authorization')[0]);
      tokens.push(token);
      if (token === 'Bearer bad') return done({ code: status.UNAUTHENTICATED, details: 'the token has expired' });
      const ttlSeconds = Number(call.request.validityDuration);
      localSigner(issuer, webId)
        .sign({ csrPem: call.request.csr, ttlSeconds })
        .then((s) =>
          done(
            null,
            create(IstioCertificateResponseSchema, {
              certChain: [...s.chainPem],
              trustAnchors: [...s.trustAnchorsPem],
              bundleSequence: BigInt(s.bundleSequence),
            }),
          ),
        );
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, p) => (error === null ? resolve(p) : reject(error))),
  );
  const close = (): void => {
    server.forceShutdown();
    credentials.close();
    identity.stop();
  };
  return { address: `127.0.0.1:${port}`, tokens, close };
}

function folder(t: { teardown(f: () => void): void }): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ca-signer-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  return dir;
}

export function csrSignerContract(createSigner: (options: CaSignerOptions) => CsrSigner): void {
  test('a workload gets its identity; token and bundle are read anew for every request', async (t) => {
    const dir = folder(t);
    const issuer = await newIssuer();
    const ca = await startCa(issuer, caId);
    t.teardown(ca.close);
    const tokenPath = path.join(dir, 'token');
    const bundlePath = path.join(dir, 'bundle.pem');
    fs.writeFileSync(tokenPath, 'first\n');
    fs.writeFileSync(bundlePath, issuer.bundle.pem);
    const signer = createSigner({ address: ca.address, trustDomain, trustBundle: { path: bundlePath }, tokenPath });
    const identity = new WorkloadIdentity({ signer, trustDomain, expectedId: webId, ttlSeconds: 30 });
    identity.start();
    const material = await identity.ready();
    t.teardown(() => identity.stop());
    t.is(material.spiffeId, webId);
    t.is(material.sequence, 1);
    fs.writeFileSync(tokenPath, 'bad');
    const refused = await t.throwsAsync(signer.sign({ csrPem: 'x' }), { instanceOf: UserError });
    t.is(refused.code, 'CA_REFUSED');
    t.regex(refused.message, /the token has expired \(UNAUTHENTICATED\)/);
    t.deepEqual(ca.tokens, ['Bearer first', 'Bearer bad']);
  });

  test('an impostor with another SVID of the mesh, or of another root, never sees the token', async (t) => {
    const dir = folder(t);
    const tokenPath = path.join(dir, 'token');
    fs.writeFileSync(tokenPath, 'secret');
    const issuer = await newIssuer();
    const workload = await startCa(issuer, webId);
    t.teardown(workload.close);
    const foreign = await startCa(await newIssuer(), caId);
    t.teardown(foreign.close);
    for (const [ca, reason] of [
      [workload, /the peer is spiffe:\/\/cluster.local\/ns\/shop\/sa\/web, expected .*chainmail-ca/],
      [foreign, /self.signed certificate|unable to (verify|get)/],
    ] as const) {
      const trustBundle = { pem: issuer.bundle.pem };
      const signer = createSigner({ address: ca.address, trustDomain, trustBundle, tokenPath });
      const error = await t.throwsAsync(signer.sign({ csrPem: 'x' }), { instanceOf: UserError });
      t.is(error.code, 'CA_UNREACHABLE');
      t.regex(error.message, reason);
      t.deepEqual(ca.tokens, []);
    }
  });

  test('missing files, an unusable bundle and a dead address say what and where', async (t) => {
    const dir = folder(t);
    const tokenPath = path.join(dir, 'token');
    const issuer = await newIssuer();
    const request = { csrPem: 'x' };
    const base = { address: '127.0.0.1:1', trustDomain, tokenPath, deadlineMs: 3000 };
    const codeOf = async (trustBundle: { path: string } | { pem: string }): Promise<string | undefined> => {
      const signer = createSigner({ ...base, trustBundle });
      const error = await t.throwsAsync(signer.sign(request), { instanceOf: UserError });
      return error?.code;
    };
    t.is(await codeOf({ pem: issuer.bundle.pem }), 'CA_TOKEN_UNREADABLE');
    fs.writeFileSync(tokenPath, 'secret');
    t.is(await codeOf({ path: path.join(dir, 'none') }), 'CA_BUNDLE_UNREADABLE');
    t.is(await codeOf({ pem: 'nothing' }), 'CA_BUNDLE_INVALID');
    t.is(await codeOf({ pem: issuer.bundle.pem }), 'CA_UNREACHABLE');
  });
}
