/** The contract of clients over TLS between SPIFFE identities: one suite for grpc-js and for the agent's own client. */
import { connect as connectTls, type SecureVersion } from 'node:tls';
import { create, fromBinary } from '@bufbuild/protobuf';
import { type CsrSigner, parseSpiffeId, type SigningRequest, type TrustBundle, WorkloadIdentity } from '@chainmail/pki';
import { checkCsr, createRoot, type Issuer, issueSvid, openIssuer } from '@chainmail/pki/authority';
import { ManualClock } from '@chainmail/runtime';
import { Server, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import {
  type IstioCertificateRequest,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
  IstioCertificateService,
} from '../gen/istio/v1/auth/ca_pb.js';
import { csrPath } from './csr-signer.ts';
import { serviceDefinition } from './service-definition.ts';
import { peerSvid, spiffeServerCredentials } from './spiffe-credentials.ts';
import type { SpiffeChannelOptions } from './spiffe-tls.ts';

/** A client on one connection, which it opens at its first call. Rejections say UNAVAILABLE when there is none. */
export interface RpcClient {
  call(path: string, message: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export type OpenRpcClient = (address: string, serverName: string, tls: SpiffeChannelOptions) => RpcClient;

const trustDomain = 'cluster.local';
const controlId = 'spiffe://cluster.local/ns/chainmail-system/sa/chainmail-control';
const webId = 'spiffe://cluster.local/ns/shop/sa/web';
const serverName = 'chainmail-control.chainmail-system.svc';

/** TLS looks at the real clock: the manual one starts there and moves by seconds only. */
async function makeMesh() {
  const clock = new ManualClock(Date.now());
  const root = await createRoot({ trustDomain, nowMs: clock.now(), lifetimeMs: 3_600_000 });
  const issuer = await openIssuer(trustDomain, root);
  return { clock, issuer };
}

function signerFor(issuer: Issuer, id: string, clock: ManualClock): CsrSigner {
  return {
    async sign({ csrPem }: SigningRequest) {
      const csr = checkCsr(csrPem);
      if (!csr.ok) throw new Error(csr.reason);
      const template = { id: parseSpiffeId(id), publicKey: csr.publicKey, dnsNames: [] };
      const svid = await issueSvid(issuer, { ...template, nowMs: clock.now(), ttlMs: 20_000 });
      return { chainPem: [svid.certificatePem], trustAnchorsPem: [issuer.bundle.pem], bundleSequence: 1 };
    },
  };
}

async function identityOf(t: ExecutionContext, issuer: Issuer, id: string, clock: ManualClock) {
  const options = { signer: signerFor(issuer, id, clock), trustDomain, clock, random: () => 0.5 };
  const identity = new WorkloadIdentity(options);
  t.teardown(() => identity.stop());
  identity.start();
  await identity.ready();
  await new Promise((resolve) => setImmediate(resolve));
  return identity;
}

/** A server that answers who the client is, or why it does not believe it. */
async function serve(t: ExecutionContext, identity: WorkloadIdentity, bundle: TrustBundle, clock: ManualClock) {
  const server = new Server();
  server.addService(serviceDefinition(IstioCertificateService), {
    createCertificate(
      call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
      done: sendUnaryData<IstioCertificateResponse>,
    ) {
      const verdict = peerSvid(call, [bundle], clock.now());
      const answer = verdict.ok ? verdict.spiffeId : `${verdict.code}: ${verdict.reason}`;
      done(null, create(IstioCertificateResponseSchema, { certChain: [answer] }));
    },
  });
  const credentials = spiffeServerCredentials({ identity, clients: 'with-certificate' });
  t.teardown(() => {
    server.forceShutdown();
    credentials.close();
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, p) => (error === null ? resolve(p) : reject(error))),
  );
  return `127.0.0.1:${port}`;
}

interface Caller {
  readonly address: string;
  readonly bundle: TrustBundle;
  readonly identity?: WorkloadIdentity;
  readonly expected?: readonly string[];
  readonly clock: ManualClock;
}

/** What every client that verifies a server by its SVID must do and refuse. */
export function spiffeClientContract(open: OpenRpcClient): void {
  const connect = (t: ExecutionContext, { address, identity, clock, bundle, expected }: Caller): RpcClient => {
    const client = open(address, serverName, {
      bundles: () => [bundle],
      expected: expected ?? [controlId],
      clock,
      ...(identity === undefined ? {} : { identity: () => identity.current() }),
    });
    t.teardown(() => client.close());
    return client;
  };
  const ask = async (client: RpcClient): Promise<string> =>
    fromBinary(IstioCertificateResponseSchema, await client.call(csrPath, new Uint8Array(0))).certChain[0] ?? '';

  test('both sides know each other by their SPIFFE IDs', async (t) => {
    const { clock, issuer } = await makeMesh();
    const { bundle } = issuer;
    const address = await serve(t, await identityOf(t, issuer, controlId, clock), bundle, clock);
    const identity = await identityOf(t, issuer, webId, clock);
    t.is(await ask(connect(t, { address, bundle, identity, clock })), webId);
  });

  test('TLS 1.3 and nothing older', async (t) => {
    const { clock, issuer } = await makeMesh();
    const address = await serve(t, await identityOf(t, issuer, controlId, clock), issuer.bundle, clock);
    const material = (await identityOf(t, issuer, webId, clock)).current();
    const own = { key: material?.keyPem, cert: material?.chainPem, ca: issuer.bundle.pem };
    const port = Number(address.split(':')[1]);
    const options = { host: '127.0.0.1', port, ...own, checkServerIdentity: () => undefined, ALPNProtocols: ['h2'] };
    const shake = (maxVersion: SecureVersion): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({ ...options, minVersion: 'TLSv1.2', maxVersion }, () => {
          resolve(socket.getProtocol() ?? '');
          socket.destroy();
        });
        socket.once('error', (error) => resolve(error.message));
      });
    t.is(await shake('TLSv1.3'), 'TLSv1.3');
    t.regex(await shake('TLSv1.2'), /protocol version/);
  });

  test('a client checks the id of the server', async (t) => {
    const { clock, issuer } = await makeMesh();
    const { bundle } = issuer;
    const identity = await identityOf(t, issuer, webId, clock);
    const address = await serve(t, identity, bundle, clock);
    const refused = ask(connect(t, { address, bundle, identity, clock }));
    await t.throwsAsync(refused, { message: /the peer is .*\/sa\/web, expected .*chainmail-control/ });
    t.is(await ask(connect(t, { address, bundle, identity, clock, expected: [controlId, webId] })), webId);
  });

  test('a client without a certificate, or of another root, does not get in', async (t) => {
    const { clock, issuer } = await makeMesh();
    const { bundle } = issuer;
    const address = await serve(t, await identityOf(t, issuer, controlId, clock), bundle, clock);
    await t.throwsAsync(ask(connect(t, { address, bundle, clock })), { message: /UNAVAILABLE/ });
    const { issuer: foreign } = await makeMesh();
    const identity = await identityOf(t, foreign, webId, clock);
    await t.throwsAsync(ask(connect(t, { address, bundle, identity, clock })), { message: /UNAVAILABLE/ });
  });

  test('the server rules on the SVID at the time of the call, on an old connection too', async (t) => {
    const { clock, issuer } = await makeMesh();
    const { bundle } = issuer;
    const address = await serve(t, await identityOf(t, issuer, controlId, clock), bundle, clock);
    const later = new ManualClock(clock.now());
    const identity = await identityOf(t, issuer, webId, later);
    const client = connect(t, { address, bundle, identity, clock: later });
    t.is(await ask(client), webId);
    clock.advance(21_000);
    t.regex(await ask(client), /^expired/);
  });

  test('rotation: the next connection presents and gets the newest certificates; without one there is none', async (t) => {
    const { clock, issuer } = await makeMesh();
    const { bundle } = issuer;
    const server = await identityOf(t, issuer, controlId, clock);
    const address = await serve(t, server, bundle, clock);
    const identity = await identityOf(t, issuer, webId, clock);
    t.is(await ask(connect(t, { address, bundle, identity, clock })), webId);
    const rotated = [server, identity].map(
      (i) => new Promise<void>((resolve) => i.subscribe((event) => event.type === 'rotated' && resolve())),
    );
    clock.advance(11_000);
    await Promise.all(rotated);
    clock.advance(10_000); // the first certificates have expired by now
    t.is(await ask(connect(t, { address, bundle, identity, clock })), webId);
    identity.stop();
    const own = ask(connect(t, { address, bundle, identity, clock }));
    await t.throwsAsync(own, { message: /no valid certificate of our own/ });
  });

  test('a server whose certificate has expired serves nobody', async (t) => {
    const { clock, issuer } = await makeMesh();
    const { bundle } = issuer;
    const identity = await identityOf(t, issuer, webId, clock);
    const dying = new ManualClock(clock.now());
    const failing = { sign: signerFor(issuer, controlId, dying).sign };
    const server = new WorkloadIdentity({ signer: failing, trustDomain, clock: dying, random: () => 0.5 });
    t.teardown(() => server.stop());
    server.start();
    await server.ready();
    await new Promise((resolve) => setImmediate(resolve));
    const address = await serve(t, server, bundle, clock);
    t.is(await ask(connect(t, { address, bundle, identity, clock })), webId);
    failing.sign = () => Promise.reject(new Error('the CA is down'));
    const expired = new Promise<void>((resolve) => server.subscribe((event) => event.type === 'expired' && resolve()));
    dying.advance(20_001);
    await expired;
    await t.throwsAsync(ask(connect(t, { address, bundle, identity, clock })), { message: /UNAVAILABLE/ });
  });
}
