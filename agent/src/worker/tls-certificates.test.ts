import { createHash, X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import test from 'ava';
import type { DownstreamTlsSpec, PeerRulesSpec, SecretSpec } from '../model/tls.ts';
import { Client, catalog, Rig, serve, until, web } from './test-rig.ts';
import { chain, cluster, endpoints, listener, meshTls, TestCa } from './testing.ts';

const ca = new TestCa();
const foreign = new TestCa();
test.after.always(() => {
  ca.remove();
  foreign.remove();
});

type Leaf = ReturnType<TestCa['leaf']>;
const serverLeaf = ca.leaf(`URI:${catalog},DNS:catalog.example`);
const noRules: PeerRulesSpec = {
  allowExpired: false,
  acceptUntrusted: false,
  leafCrlOnly: false,
  certificateHashes: [],
  spkiHashes: [],
};
const plain: DownstreamTlsSpec = {
  ...meshTls,
  minVersion: 'TLSv1_2',
  alpn: [],
  requireSvid: false,
  requireClientCertificate: true,
};

/** A TLS server whose application says who it believes the client to be. */
async function server(
  spec: Partial<DownstreamTlsSpec> = {},
  secrets: readonly SecretSpec[] = [],
  connectTimeoutMs = 15_000,
): Promise<{ rig: Rig; stop: () => void }> {
  const app = await serve((socket) => {
    socket.on('error', () => {});
    socket.write('hello');
  });
  const rig = new Rig();
  const errors = rig.apply({
    secrets: [ca.trust, serverLeaf, ...secrets],
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', app.port)],
    listeners: [
      listener(
        [chain('in', 'app', { tls: { ...plain, ...spec }, transportSocketConnectTimeoutMs: connectTimeoutMs })],
        {
          tlsInspector: true,
        },
      ),
    ],
  });
  if (errors.length > 0) throw new Error(errors.join());
  return {
    rig,
    stop: () => {
      rig.stop();
      app.server.close();
    },
  };
}

interface Attempt {
  readonly socket: tls.TLSSocket;
  readonly received: string;
  readonly error: string;
  readonly shown: string;
}

async function attempt(port: number, leaf: Leaf | null, more: tls.ConnectionOptions = {}): Promise<Attempt> {
  const own = leaf === null ? {} : { cert: leaf.chainPem, key: leaf.keyPem };
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...own, ...more });
  let received = '';
  let error = '';
  let shown = '';
  let over = false;
  socket.on('secureConnect', () => {
    shown = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
  });
  socket.on('data', (d: Buffer) => {
    received += d.toString();
  });
  socket.on('error', (e) => {
    error = e.message;
  });
  socket.on('close', () => {
    over = true;
  });
  await until('an answer', () => over || received !== '');
  return { socket, received, error, shown };
}

const sansOnly = [{ type: 'uri', match: { kind: 'exact', value: web, ignoreCase: false } }] as const;
const good = ca.leaf(`URI:${web}`);
const revoked = ca.leaf(`URI:${web}`);
const crlPem = ca.crl(revoked);

/** Envoy 1.40's alerts, by number (RFC 8446 6). */
const alerts: readonly (readonly [
  string,
  Leaf | null,
  number,
  number,
  'ssl.fail_verify_no_cert' | 'ssl.fail_verify_error' | 'ssl.fail_verify_san',
])[] = [
  ['no certificate', null, 116, 40, 'ssl.fail_verify_no_cert'],
  ['a certificate of another CA', foreign.leaf(`URI:${web}`), 48, 48, 'ssl.fail_verify_error'],
  ['an expired certificate', ca.leaf(`URI:${web}`, { expired: true }), 45, 45, 'ssl.fail_verify_error'],
  ['a revoked certificate', revoked, 44, 44, 'ssl.fail_verify_error'],
  ['another name', ca.leaf(`URI:${catalog}`), 46, 46, 'ssl.fail_verify_san'],
];

for (const [what, leaf, alert13, alert12, stat] of alerts) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${what}: the alert over ${version}`, async (t) => {
      const trust: SecretSpec = { name: 'trust-bundle', kind: 'trust', bundlePem: bundleOf(ca), crlPem };
      const { rig, stop } = await server({ subjectAltNames: sansOnly }, [trust]);
      const { error, received } = await attempt(rig.port, leaf, { maxVersion: version });
      t.is(received, '');
      t.regex(error, new RegExp(`alert number ${version === 'TLSv1.3' ? alert13 : alert12}\\b`));
      t.is(rig.stat(stat), 1);
      t.is(rig.stat('downstream_cx_active'), 0);
      stop();
    });
  }
}

function bundleOf(...cas: readonly TestCa[]): string {
  return cas.map(({ trust }) => (trust.kind === 'trust' ? trust.bundlePem : '')).join('\n');
}

test('beside a revocation list, a certificate that is not on it is welcome', async (t) => {
  const trust: SecretSpec = { name: 'trust-bundle', kind: 'trust', bundlePem: bundleOf(ca), crlPem };
  for (const leafCrlOnly of [false, true]) {
    const { rig, stop } = await server({ peerRules: { ...noRules, leafCrlOnly } }, [trust]);
    const { received, socket } = await attempt(rig.port, good);
    t.is(received, 'hello');
    socket.destroy();
    stop();
  }
});

test('a list of another CA says nothing, and what nobody has spoken about is refused', async (t) => {
  const trust: SecretSpec = { name: 'trust-bundle', kind: 'trust', bundlePem: bundleOf(ca), crlPem: foreign.crl() };
  const { rig, stop } = await server({}, [trust]);
  const { received } = await attempt(rig.port, good);
  t.is(received, '');
  t.is(rig.stat('ssl.fail_verify_error'), 1);
  stop();
});

test('a certificate that is not required and does not verify is refused all the same', async (t) => {
  const { rig, stop } = await server({ requireClientCertificate: false });
  t.is((await attempt(rig.port, foreign.leaf(`URI:${web}`))).received, '');
  const { received, socket } = await attempt(rig.port, null);
  t.is(received, 'hello');
  socket.destroy();
  stop();
});

test('allow_expired_certificate', async (t) => {
  const { rig, stop } = await server({ peerRules: { ...noRules, allowExpired: true } });
  const { received, socket } = await attempt(rig.port, ca.leaf(`URI:${web}`, { expired: true }));
  t.is(received, 'hello');
  socket.destroy();
  t.is((await attempt(rig.port, foreign.leaf(`URI:${web}`))).received, '', 'the chain still counts');
  stop();
});

test('ACCEPT_UNTRUSTED lets a foreign certificate in as nobody', async (t) => {
  const { rig, stop } = await server({ peerRules: { ...noRules, acceptUntrusted: true } });
  const { received, socket } = await attempt(rig.port, foreign.leaf(`URI:${web}`));
  t.is(received, 'hello');
  const [edge] = rig.engine.edges.takeChanges()?.filter((e) => e.direction === 'inbound') ?? [];
  t.is(edge?.peer, '', 'no name comes from a chain that nobody has verified');
  socket.destroy();
  await until('closed', () => rig.stat('downstream_cx_active') === 0);
  t.is(rig.stat('ssl.fail_verify_error'), 1);
  stop();
});

test('pinned certificates and keys, with and without a CA', async (t) => {
  const pinned = foreign.leaf(`URI:${web}`);
  const x509 = new X509Certificate(pinned.chainPem);
  const certificateHashes = [x509.fingerprint256.replaceAll(':', '').toLowerCase()];
  const spki = x509.publicKey.export({ type: 'spki', format: 'der' });
  const spkiHashes = [createHash('sha256').update(spki).digest('base64')];
  for (const pins of [{ certificateHashes }, { spkiHashes }]) {
    const { rig, stop } = await server({ trustedCa: null, peerRules: { ...noRules, ...pins } });
    const { received, socket } = await attempt(rig.port, pinned);
    t.is(received, 'hello');
    socket.destroy();
    t.regex((await attempt(rig.port, good)).error, /alert number 46\b/);
    t.is(rig.stat('ssl.fail_verify_cert_hash'), 1);
    t.is((await attempt(rig.port, null)).received, '', 'a certificate is required');
    stop();
  }
  const both = await server({ peerRules: { ...noRules, certificateHashes } });
  t.is((await attempt(both.rig.port, pinned)).received, '', 'beside a CA the chain counts as well');
  both.stop();
});

test('the certificate goes by name, then by key type', async (t) => {
  const ecdsa = ca.leaf('DNS:a.example,DNS:*.wild.example', { name: 'ecdsa' });
  const rsa = ca.leaf('DNS:a.example', { name: 'rsa', rsa: true });
  const other = ca.leaf('DNS:b.example', { name: 'other' });
  const { rig, stop } = await server({ certificates: ['ecdsa', 'rsa', 'other'], requireClientCertificate: false }, [
    ecdsa,
    rsa,
    other,
  ]);
  const print = ({ chainPem }: Leaf): string => new X509Certificate(chainPem).fingerprint256;
  const shownTo = async (servername: string, more: tls.ConnectionOptions = {}): Promise<string> => {
    const { shown, socket } = await attempt(rig.port, null, { servername, ...more });
    socket.destroy();
    return shown;
  };
  t.is(await shownTo('a.example'), print(ecdsa));
  t.is(await shownTo('A.EXAMPLE', { sigalgs: 'rsa_pss_rsae_sha256' }), print(rsa));
  t.is(await shownTo('b.example'), print(other));
  t.is(await shownTo('x.wild.example'), print(ecdsa));
  t.is(await shownTo('nobody.example'), print(ecdsa), 'the first where no name fits');
  t.is(await shownTo(''), print(ecdsa));
  stop();
});

test('TLS 1.2 with the ciphers and groups that are configured, and no others', async (t) => {
  const { rig, stop } = await server({
    maxVersion: 'TLSv1_2',
    ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384',
    groups: 'P-384',
    requireClientCertificate: false,
  });
  const { socket, received } = await attempt(rig.port, null);
  t.is(received, 'hello');
  t.is(socket.getProtocol(), 'TLSv1.2');
  t.is(socket.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384');
  const key = socket.getEphemeralKeyInfo();
  t.is(key !== null && 'name' in key ? key.name : '', 'secp384r1');
  socket.destroy();
  const noCipher = await attempt(rig.port, null, { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' });
  t.regex(noCipher.error, /alert number 40\b/);
  t.regex((await attempt(rig.port, null, { ecdhCurve: 'prime256v1' })).error, /alert number 40\b/);
  stop();
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion}: no ticket is given and no session is resumed`, async (t) => {
    const { rig, stop } = await server();
    let offered = 0;
    const first = await attempt(rig.port, good, { maxVersion });
    first.socket.on('session', () => offered++);
    const session = first.socket.getSession();
    t.is(first.socket.getTLSTicket(), undefined);
    first.socket.destroy();
    const second = await attempt(rig.port, good, { maxVersion, ...(session === undefined ? {} : { session }) });
    t.is(second.received, 'hello');
    t.false(second.socket.isSessionReused());
    t.is(offered, 0);
    t.is(rig.stat('ssl.handshake'), 2);
    second.socket.destroy();
    stop();
  });
}

test('a handshake that takes too long is cut off, though bytes still trickle in', async (t) => {
  const { rig, stop } = await server({}, [], 150);
  const client = new Client(rig.port);
  client.socket.write(Buffer.from('1603010200010001fc0303', 'hex'));
  const drip = setInterval(() => client.socket.write(Buffer.alloc(1)), 40);
  client.socket.on('error', () => {});
  await until('close', () => client.over, 12_000);
  clearInterval(drip);
  t.is(client.received, '');
  t.is(rig.stat('downstream_cx_active'), 0);
  client.socket.destroy();
  stop();
});

test('a new certificate is shown to new clients, and nobody is cut off', async (t) => {
  const { rig, stop } = await server();
  const before = await attempt(rig.port, good);
  const next = ca.leaf(`URI:${catalog}`);
  rig.apply({ secrets: [next] });
  const after = await attempt(rig.port, good);
  t.is(after.shown, new X509Certificate(next.chainPem).fingerprint256);
  t.not(before.shown, after.shown);
  t.false(before.socket.closed);
  t.is(rig.stat('downstream_cx_active'), 2);
  before.socket.destroy();
  after.socket.destroy();
  stop();
});

test('when an anchor is removed, connections on its word are drained, and only those', async (t) => {
  const both: SecretSpec = { name: 'trust-bundle', kind: 'trust', bundlePem: bundleOf(ca, foreign) };
  const { rig, stop } = await server({}, [both]);
  const stays = await attempt(rig.port, good);
  const goes = await attempt(rig.port, foreign.leaf(`URI:${web}`));
  t.is(goes.received, 'hello');
  rig.apply({ secrets: [{ ...both, bundlePem: bundleOf(foreign, ca) }] });
  t.is(rig.reports.filter((r) => r.includes('anchors')).length, 0, 'another order is no removal');
  rig.apply({ secrets: [{ ...both, bundlePem: bundleOf(ca) }] });
  t.regex(rig.reports.at(-1) ?? '', /drained.*"connections":1/);
  await until('drained', () => goes.socket.closed);
  t.false(stays.socket.closed);
  t.is(rig.stat('downstream_cx_active'), 1);
  stays.socket.destroy();
  stop();
});

test('a burst of handshakes is served in order, and all of it', async (t) => {
  const { rig, stop } = await server();
  const all = await Promise.all(Array.from({ length: 60 }, () => attempt(rig.port, good)));
  t.true(all.every((a) => a.received === 'hello'));
  for (const { socket } of all) socket.destroy();
  await until('closed', () => rig.stat('downstream_cx_active') === 0);
  stop();
});
