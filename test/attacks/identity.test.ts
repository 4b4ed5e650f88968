/**
 * Who may say who one is: chains that do not hold, and names that only look right. The agent takes an Envoy file here,
 * so these are the rules that hold for every TLS context; X.509-SVID's own are in mesh.test.ts.
 */
import type { ConnectionOptions } from 'node:tls';
import test from 'ava';
import { startNaiveProxy } from '../fakes/naive-proxy.ts';
import { Agent } from './agent.ts';
import { startApp } from './app.ts';
import { type Material, openSslTime, Signer, sanOfUris } from './certificates.ts';
import { send } from './wire.ts';

const day = 86_400_000;
const good = 'spiffe://cluster.local/ns/shop/sa/a.b';
const serverId = 'spiffe://cluster.local/ns/shop/sa/server';
const root = Signer.root();
const foreign = Signer.root('/O=mesh root'); // the same subject, another key
const signers: Signer[] = [root, foreign];
test.after.always(() => {
  for (const s of signers) s.remove();
});

const intermediate = (more: readonly string[], constraints = 'critical,CA:TRUE'): Signer => {
  const usage = { san: null, constraints, usage: 'critical,keyCertSign', purposes: null, more, subject: '/O=between' };
  const signer = root.below(root.issue(usage));
  signers.push(signer);
  return signer;
};
const leafAsSigner = (): Signer => {
  const signer = root.below(root.issue({ san: `URI:${good}` }));
  signers.push(signer);
  return signer;
};

interface Impostor {
  readonly name: string;
  readonly material: () => Material | null;
  /** 'handshake': closed before a byte is read; 'policy': the name is another one. */
  readonly refusedBy: 'handshake' | 'policy';
  /** Gets past a proxy that lets OpenSSL verify and looks for a text in the printed names. */
  readonly foolsNaive: boolean;
}

const san = `URI:${good}`;
const impostors: readonly Impostor[] = [
  { name: 'no certificate', material: () => null, refusedBy: 'handshake', foolsNaive: false },
  {
    name: 'signed by another root of the same name',
    material: () => foreign.issue({ san }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'expired (CVE-2022-21654 class)',
    material: () =>
      root.issue({ san, from: openSslTime(Date.now() - 2 * day), to: openSslTime(Date.now() - day / 24) }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'not valid yet',
    material: () => root.issue({ san, from: openSslTime(Date.now() + day / 24) }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'for servers only (CVE-2022-21657)',
    material: () => root.issue({ san, purposes: 'serverAuth' }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'signed by a leaf',
    material: () => leafAsSigner().issue({ san }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'below an intermediate whose nameConstraints forbid it (CVE-2022-21656)',
    material: () => intermediate(['nameConstraints=critical,permitted;URI:other.local']).issue({ san }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'two intermediates below one that allows none',
    material: () => {
      const first = intermediate([], 'critical,CA:TRUE,pathlen:0');
      const ca = { san: null, constraints: 'critical,CA:TRUE', usage: 'critical,keyCertSign', purposes: null };
      const second = first.below(first.issue({ ...ca, subject: '/O=second' }));
      signers.push(second);
      return second.issue({ san });
    },
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  {
    name: 'a critical extension nobody knows',
    material: () => root.issue({ san, more: ['1.2.3.4.5=critical,DER:0500'] }),
    refusedBy: 'handshake',
    foolsNaive: false,
  },
  // A dot in a name is a dot (CVE-2026-39350), a name is compared as a whole, in its own case.
  {
    name: 'axb for a.b',
    material: () => root.issue({ san: san.replace('a.b', 'axb') }),
    refusedBy: 'policy',
    foolsNaive: false,
  },
  { name: 'a longer name', material: () => root.issue({ san: `${san}c` }), refusedBy: 'policy', foolsNaive: true },
  { name: 'a slash behind', material: () => root.issue({ san: `${san}/` }), refusedBy: 'policy', foolsNaive: true },
  { name: 'a query behind', material: () => root.issue({ san: `${san}?x` }), refusedBy: 'policy', foolsNaive: true },
  {
    name: 'upper case',
    material: () => root.issue({ san: san.replace('a.b', 'A.B') }),
    refusedBy: 'policy',
    foolsNaive: false,
  },
  {
    name: 'another trust domain',
    material: () => root.issue({ san: san.replace('cluster.local', 'cluster.evil') }),
    refusedBy: 'policy',
    foolsNaive: false,
  },
  {
    name: 'the id inside another one',
    material: () => root.issue({ san: `URI:spiffe://evil/${good}` }),
    refusedBy: 'policy',
    foolsNaive: true,
  },
  {
    name: 'a NUL in the id (CVE-2025-66220, CVE-2026-47778)',
    material: () => root.issue({ san: sanOfUris(`${good}\0.evil`) }),
    refusedBy: 'handshake',
    foolsNaive: true,
  },
  {
    name: 'a line end in the id',
    material: () => root.issue({ san: sanOfUris(`${good}\r\nx-admin: 1`) }),
    refusedBy: 'handshake',
    foolsNaive: true,
  },
  {
    name: 'a DNS name that prints as a URI (CVE-2021-44532)',
    material: () => root.issue({ san: '@alt', alt: `DNS.1 = "evil, ${san}"` }),
    refusedBy: 'policy',
    foolsNaive: true,
  },
  {
    name: 'the id as an email name',
    material: () => root.issue({ san: '@alt', alt: `otherName.1 = 1.2.3.4;UTF8:${good}` }),
    refusedBy: 'policy',
    foolsNaive: false,
  },
  { name: 'any DNS name', material: () => root.issue({ san: 'DNS:*' }), refusedBy: 'policy', foolsNaive: false },
  {
    name: 'the id as common name',
    material: () => root.issue({ san: null, subject: '/CN=a.b' }),
    refusedBy: 'policy',
    foolsNaive: false,
  },
];

const server = root.issue({ san: `URI:${serverId},DNS:localhost` });
const pem = (text: string): object => ({ inline_string: text });
const tlsContext = (more: object = {}): Record<string, unknown> => ({
  '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
  require_client_certificate: true,
  common_tls_context: {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: pem(server.chainPem), private_key: pem(server.keyPem) }],
    validation_context: { trusted_ca: pem(root.pem) },
    ...more,
  },
});
const onlyGood = {
  action: 'ALLOW',
  policies: {
    p: { permissions: [{ any: true }], principals: [{ authenticated: { principal_name: { exact: good } } }] },
  },
} as const;
const request = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const clientOf = (material: Material | null): ConnectionOptions => ({
  rejectUnauthorized: false,
  ...(material === null ? {} : { cert: material.chainPem, key: material.keyPem }),
});

test('nobody but a.b is let in, and nobody else reaches the application', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, rbac: onlyGood, tls: tlsContext() });
  t.teardown(() => agent.stop());
  const tls = { tls: clientOf(root.issue({ san })) };
  t.is((await send(agent.port, request, tls)).statuses[0], 200, 'a.b itself');
  app.reset();
  for (const { name, material, refusedBy } of impostors) {
    const { statuses, text, error } = await send(agent.port, request, { tls: clientOf(material()) });
    t.deepEqual(statuses, refusedBy === 'policy' ? [403] : [], `${name}: ${text} ${error}`);
    t.is(app.raw(), '', name);
  }
  const lines = await agent.logged(1 + impostors.filter((i) => i.refusedBy === 'policy').length);
  t.true(lines.every((l) => 'peer' in l && !('x-admin' in l)));
  t.false(agent.stdout.includes('\0'));
});

test('the names fool a proxy that reads what is printed', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const options = { cert: server.chainPem, key: server.keyPem, ca: root.pem, requestCert: true, allow: good };
  const naive = await startNaiveProxy({ upstream: app.port, tls: { ...options, rejectUnauthorized: true } });
  t.teardown(() => naive.close());
  for (const { name, material } of impostors.filter((i) => i.foolsNaive)) {
    const { statuses, error } = await send(naive.port, request, { tls: clientOf(material()) });
    t.deepEqual(statuses, [200], `${name}: ${error}`);
  }
});

/** The signer's own certificate must not authenticate; ours names nobody, so this is the policy's to refuse. */
test('a signing certificate is no client', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, rbac: onlyGood, tls: tlsContext() });
  t.teardown(() => agent.stop());
  const { statuses } = await send(agent.port, request, { tls: clientOf(root.own) });
  t.true(statuses.length === 0 || statuses[0] === 403);
  t.is(app.raw(), '');
});

/** XFCC is made of the certificate, and a name in it cannot start an element of its own. */
test('x-forwarded-client-cert cannot be written by a name in the certificate', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const details = { subject: true, uri: true, dns: true };
  const manager = { forward_client_cert_details: 'SANITIZE_SET', set_current_client_cert_details: details };
  const agent = await Agent.start({ appPort: app.port, tls: tlsContext(), manager });
  t.teardown(() => agent.stop());
  const evil = 'spiffe://cluster.local/ns/shop/sa/evil';
  const material = root.issue({
    san: sanOfUris(`${evil}",URI="${good}`),
    subject: '/O=x";URI=spiffe:\\/\\/cluster.local\\/ns\\/shop\\/sa\\/root,By=y',
  });
  const forged = request.replace('Connection', `X-Forwarded-Client-Cert: By=x;URI=${good}\r\nConnection`);
  await send(agent.port, forged, { tls: clientOf(material) });
  const values = app.requests[0]?.headers.filter(([n]) => n === 'x-forwarded-client-cert').map(([, v]) => v) ?? [];
  t.is(values.length, 1);
  // Read as Envoy documents it: quoted values, ; between pairs, , between elements.
  const bare = (values[0] ?? '').replace(/"(?:\\.|[^"\\])*"/g, '""');
  t.false(bare.includes(','), `one element: ${values[0]}`);
  t.is(bare.split(';').filter((p) => p.startsWith('URI=')).length, 1, values[0]);
});
