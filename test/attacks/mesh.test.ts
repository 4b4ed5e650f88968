/**
 * Attacks on who one is and what one may have: the CA's token and CSR, the control plane's clients by every rule of
 * X.509-SVID, the webhook's reviews, and files that explode. One mesh of real processes for all.
 */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { createSecureContext } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { createCsr, createKeyPair, readCertificate, readPemCertificates } from '@chainmail/pki';
import { system } from '@chainmail/runtime';
import { meshChannelOptions, serviceDefinition } from '@chainmail/xds/grpc';
import { AggregatedDiscoveryService } from '@chainmail/xds/proto/envoy/service/discovery/v3/ads';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import {
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateService,
} from '@chainmail/xds/proto/istio/v1/auth/ca';
import { ChannelCredentials, Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import test from 'ava';
import { type Leaf, type Material, openSslTime, Signer, sanOfUris } from './certificates.ts';
import { Mesh } from './mesh.ts';
import { send } from './wire.ts';

const mesh = new Mesh();
let root: Signer;
test.before(async () => {
  await mesh.start();
  root = Signer.of(mesh.root);
});
test.after.always(async () => {
  root?.remove();
  await mesh.stop();
});

const day = 86_400_000;
const webId = 'spiffe://cluster.local/ns/shop/sa/web';
const ads = serviceDefinition(AggregatedDiscoveryService).deltaAggregatedResources;

/** A stream as an agent opens it, with any certificate and any node: 'served', or the status it ended with. */
function discover(material: Material | null, node: object): Promise<string> {
  const own = material === null ? {} : { key: material.keyPem, cert: material.chainPem };
  const context = createSecureContext({ ca: mesh.bundle, ...own });
  const credentials = ChannelCredentials.createFromSecureContext(context, { checkServerIdentity: () => undefined });
  const client = new Client(`127.0.0.1:${mesh.controlPort}`, credentials, meshChannelOptions('control'));
  const deadline = new Date(Date.now() + 12_000);
  const stream = client.makeBidiStreamRequest(ads.path, ads.requestSerialize, ads.responseDeserialize, { deadline });
  return new Promise((resolve) => {
    const done = (outcome: string): void => {
      stream.cancel();
      client.close();
      resolve(outcome);
    };
    stream.on('data', (response: DeltaDiscoveryResponse) => done(`served ${response.resources.length > 0}`));
    stream.on('error', (error: ServiceError) => done(status[error.code] ?? ''));
    const typeUrl = 'type.googleapis.com/envoy.config.listener.v3.Listener';
    stream.write(create(DeltaDiscoveryRequestSchema, { typeUrl, node }));
  });
}

const nodeOf = (pod: string): object => ({ id: `sidecar~10.0.0.1~${pod}.shop~shop.svc.cluster.local` });
const web = nodeOf('web-1');
const san = `URI:${webId}`;

test.serial('control serves web, as web, with a proper SVID', async (t) => {
  t.is(await discover(root.issue({ san }), web), 'served true');
});

/** Each would be web-1's configuration for somebody who is not web. The chain holds in all: the mesh's root signed. */
const notSvids: readonly (readonly [name: string, leaf: Leaf])[] = [
  ['two URIs', { san: sanOfUris(webId, 'spiffe://cluster.local/ns/shop/sa/admin') }],
  ['two URIs, ours last', { san: sanOfUris('https://x', webId) }],
  ['no URI', { san: 'DNS:web.shop' }],
  ['no subjectAltName', { san: null }],
  ['a slash behind', { san: `${san}/` }],
  ['a dot segment', { san: 'URI:spiffe://cluster.local/ns/shop/sa/admin/../web' }],
  ['an empty segment', { san: 'URI:spiffe://cluster.local/ns//shop/sa/web' }],
  ['an escape', { san: 'URI:spiffe://cluster.local/ns/shop/sa/%77eb' }],
  ['a query', { san: `${san}?x` }],
  ['a port', { san: 'URI:spiffe://cluster.local:1/ns/shop/sa/web' }],
  ['user info', { san: 'URI:spiffe://x@cluster.local/ns/shop/sa/web' }],
  ['upper case in the path', { san: 'URI:spiffe://cluster.local/ns/shop/sa/Web' }],
  ['a NUL behind', { san: sanOfUris(`${webId}\0`) }],
  ['a NUL and another domain', { san: sanOfUris(`${webId}\0.evil.local/ns/x`) }],
  ['no path', { san: 'URI:spiffe://cluster.local' }],
  ['another trust domain', { san: 'URI:spiffe://evil.local/ns/shop/sa/web' }],
  ['another account', { san: 'URI:spiffe://cluster.local/ns/shop/sa/webx' }],
  ['another namespace', { san: 'URI:spiffe://cluster.local/ns/shop2/sa/web' }],
  ['a CA certificate', { san, constraints: 'critical,CA:TRUE' }],
  ['keyCertSign', { san, usage: 'critical,digitalSignature,keyCertSign' }],
  ['cRLSign', { san, usage: 'critical,digitalSignature,cRLSign' }],
  ['keyUsage not critical', { san, usage: 'digitalSignature' }],
  ['no keyUsage', { san, usage: null }],
  ['no digitalSignature', { san, usage: 'critical,keyAgreement' }],
  ['for servers only', { san, purposes: 'serverAuth' }],
  ['for clients only', { san, purposes: 'clientAuth' }],
  ['an unknown critical extension', { san, more: ['1.2.3.4.5=critical,DER:0500'] }],
  ['expired', { san, from: openSslTime(Date.now() - 2 * day), to: openSslTime(Date.now() - 60_000) }],
  ['not valid yet', { san, from: openSslTime(Date.now() + 3_600_000) }],
];

test.serial('control serves nobody whose certificate breaks a rule, though the root has signed it', async (t) => {
  for (const [name, leaf] of notSvids) {
    const outcome = await discover(root.issue(leaf), web);
    t.true(['UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNAVAILABLE'].includes(outcome), `${name}: ${outcome}`);
  }
  t.is(await discover(null, web), 'UNAVAILABLE', 'no certificate');
  t.is(await discover(root.own, web), 'UNAVAILABLE', "the root's own certificate");
  const foreign = Signer.root('/O=Chainmail');
  t.teardown(() => foreign.remove());
  t.is(await discover(foreign.issue({ san }), web), 'UNAVAILABLE', 'another root');
  t.is(await discover(foreign.own, web), 'UNAVAILABLE', 'self-signed');
  const leaf = root.below(root.issue({ san, constraints: 'critical,CA:TRUE', usage: 'critical,keyCertSign' }));
  t.teardown(() => leaf.remove());
  t.is(await discover(leaf.issue({ san }), web), 'UNAVAILABLE', 'below a root that allows no intermediates');
});

/** CVE-2026-31838 class: a proper SVID, and somebody else's node. */
test.serial('a workload gets no configuration but its own, whatever its node says', async (t) => {
  const own = root.issue({ san });
  const nodes: readonly [name: string, node: object][] = [
    ["another account's pod", nodeOf('admin-1')],
    ['a pod that is not there', nodeOf('ghost-1')],
    ['a path for a name', { id: 'sidecar~1~../admin-1.shop~x' }],
    ['metadata over the id', { ...web, metadata: { POD_NAME: 'admin-1', POD_NAMESPACE: 'shop' } }],
    ['a prototype for a name', { id: 'x', metadata: { POD_NAME: '__proto__', POD_NAMESPACE: 'constructor' } }],
    ['no pod at all', { id: 'router' }],
    ['nothing', {}],
  ];
  const outcomes = await Promise.all(nodes.map(async ([name, node]) => [name, await discover(own, node)] as const));
  for (const [name, outcome] of outcomes) {
    t.true(['PERMISSION_DENIED', 'INVALID_ARGUMENT'].includes(outcome), `${name}: ${outcome}`);
  }
  const axb = root.issue({ san: 'URI:spiffe://cluster.local/ns/shop/sa/axb' });
  t.is(await discover(axb, nodeOf('dotted-1')), 'PERMISSION_DENIED', 'a dot is a dot (CVE-2026-39350)');
  t.is(mesh.dead, '');
});

test.serial('the debug page of the control plane answers to names of this machine only', async (t) => {
  const ask = async (host: string): Promise<number | undefined> =>
    (await send(mesh.metricsPort, `GET /debug/agents HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))
      .statuses[0];
  for (const host of ['localhost', '127.0.0.1:15014', '[::1]:1']) t.is(await ask(host), 200, host);
  for (const host of ['evil.test', '127.0.0.1.evil.test', 'localhost.evil.test:1']) t.is(await ask(host), 403, host);
});

const csrService = serviceDefinition(IstioCertificateService).createCertificate;

interface Asked {
  readonly csr: string;
  readonly ttl?: bigint;
  readonly authorization: readonly string[];
}

/** The chain, or the status with its reason. */
function askCa({ csr, ttl = 0n, authorization }: Asked): Promise<readonly string[] | string> {
  const context = createSecureContext({ ca: mesh.bundle });
  const credentials = ChannelCredentials.createFromSecureContext(context, { checkServerIdentity: () => undefined });
  const client = new Client(`127.0.0.1:${mesh.caPort}`, credentials, {
    ...meshChannelOptions('ca'),
    'grpc.max_send_message_length': -1,
  });
  const metadata = new Metadata();
  for (const value of authorization) metadata.add('authorization', value);
  const { path, requestSerialize, responseDeserialize } = csrService;
  const message = create(IstioCertificateRequestSchema, { csr, validityDuration: ttl });
  return new Promise((resolve) => {
    const answer = (error: ServiceError | null, value?: IstioCertificateResponse): void => {
      client.close();
      resolve(error === null ? (value?.certChain ?? []) : `${status[error.code]}: ${error.details}`);
    };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, answer);
  });
}

const bearer = (token: string): string[] => [`Bearer ${token}`];

test.serial('the CA believes the token and nothing else', async (t) => {
  const csr = createCsr((await createKeyPair()).privateKey);
  const now = Math.floor(Date.now() / 1000);
  const token = mesh.token('web', 'web-1');
  const [head = '', claims = '', signature = ''] = token.split('.');
  const unsigned = Buffer.from('{"alg":"none","kid":"k"}').toString('base64url');
  const kubernetes = (value: object): Readonly<Record<string, unknown>> => ({ 'kubernetes.io': value });
  const account = { name: 'web', uid: 'uid-of-web' };
  const refused: readonly [name: string, authorization: readonly string[]][] = [
    ['none', []],
    ['two tokens', [`Bearer ${token}`, `Bearer ${mesh.token('admin', 'admin-1')}`]],
    ['another scheme', [`Basic ${token}`]],
    ['alg none (CVE-2015-9235)', bearer(`${unsigned}.${claims}.`)],
    ['alg none with a signature', bearer(`${unsigned}.${claims}.${signature}`)],
    ['HS256 with the public key', bearer(mesh.token('web', 'web-1', 'shop', {}, { alg: 'HS256' }))],
    ['a key inside the header', bearer(mesh.token('web', 'web-1', 'shop', {}, { kid: 'x', jwk: {} }))],
    ['crit', bearer(mesh.token('web', 'web-1', 'shop', {}, { crit: ['b64'], b64: false }))],
    ['a key id of a prototype', bearer(mesh.token('web', 'web-1', 'shop', {}, { kid: '__proto__' }))],
    ['claims of another', bearer(`${head}.${mesh.token('admin', 'admin-1').split('.')[1]}.${signature}`)],
    ['a zero signature (CVE-2022-21449)', bearer(`${head}.${claims}.${Buffer.alloc(64).toString('base64url')}`)],
    ['expired', bearer(mesh.token('web', 'web-1', 'shop', { exp: now - 1 }))],
    ['no expiry', bearer(mesh.token('web', 'web-1', 'shop', { exp: null }))],
    ['an expiry that is no number', bearer(mesh.token('web', 'web-1', 'shop', { exp: '9999999999' }))],
    ['not valid yet', bearer(mesh.token('web', 'web-1', 'shop', { nbf: now + 600 }))],
    ['another audience', bearer(mesh.token('web', 'web-1', 'shop', { aud: ['https://kubernetes.default.svc'] }))],
    ['an audience that contains ours', bearer(mesh.token('web', 'web-1', 'shop', { aud: 'chainmail-ca-x' }))],
    ['another issuer', bearer(mesh.token('web', 'web-1', 'shop', { iss: 'https://evil' }))],
    [
      'a subject that is not the account',
      bearer(mesh.token('web', 'web-1', 'shop', { sub: 'system:serviceaccount:shop:admin' })),
    ],
    ['a pod of another account', bearer(mesh.token('web', 'admin-1'))],
    ['a pod that is not there', bearer(mesh.token('web', 'web-9'))],
    ['no pod', bearer(mesh.token('web', null))],
    ['a pod with a path for a name', bearer(mesh.token('web', '../../etc/passwd'))],
    ['a namespace with a path', bearer(mesh.token('web', 'web-1', '../shop'))],
    ['an account with a slash', bearer(mesh.token('web/../admin', 'web-1'))],
    [
      'a pod of an earlier life',
      bearer(
        mesh.token(
          'web',
          'web-1',
          'shop',
          kubernetes({ namespace: 'shop', serviceaccount: account, pod: { name: 'web-1', uid: 'old' } }),
        ),
      ),
    ],
    [
      'a pod in the system namespace that is not there',
      bearer(mesh.token(system.caServiceAccount, 'web-1', system.namespace)),
    ],
    ['64 KiB', bearer(`${head}.${'a'.repeat(65_536)}.${signature}`)],
  ];
  for (const [name, authorization] of refused) {
    const outcome = await askCa({ csr, authorization });
    t.true(typeof outcome === 'string', `${name}: ${outcome}`);
    // A client of gRPC cannot send two of them: that is its own error.
    if (authorization.length < 2) t.false(String(outcome).startsWith('INTERNAL'), `${name}: ${outcome}`);
  }
  const answer = await askCa({ csr, authorization: bearer(token) });
  t.true(Array.isArray(answer), `the token itself is good: ${answer}`);
});

test.serial('a request for a certificate says nothing but its key', async (t) => {
  const authorization = bearer(mesh.token('web', 'web-1'));
  const wishing = Signer.root('/O=x');
  t.teardown(() => wishing.remove());
  const { privateKey } = await createKeyPair();
  const csr = createCsr(privateKey);
  const body = csr.split('\n').slice(1, -2).join('\n');
  const bad: readonly [name: string, asked: Omit<Asked, 'authorization'>][] = [
    ['8 KiB and more', { csr: 'x'.repeat(9000) }],
    ['a megabyte', { csr: 'x'.repeat(1_000_000) }],
    ['twenty megabytes', { csr: 'x'.repeat(20_000_000) }],
    ['nothing', { csr: '' }],
    ['two requests', { csr: csr + csr }],
    ['a certificate', { csr: mesh.bundle }],
    [
      'another signature',
      { csr: csr.replace(body, `${body.slice(0, -6)}${body.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'}`) },
    ],
    [
      'deep DER',
      {
        csr: `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from('30803080'.repeat(1000), 'hex').toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
      },
    ],
    [
      'a length of 4 GiB',
      {
        csr: `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from('3084ffffffff00', 'hex').toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
      },
    ],
    ['100 years', { csr, ttl: 3_153_600_000n }],
    ['2^63 - 1 seconds', { csr, ttl: 9_223_372_036_854_775_807n }],
    ['negative', { csr, ttl: -1n }],
  ];
  for (const [name, asked] of bad) {
    const outcome = await askCa({ ...asked, authorization });
    t.true(typeof outcome === 'string' && !outcome.startsWith('INTERNAL'), `${name}: ${outcome}`);
  }
  t.is(mesh.dead, '');
});

test.serial(
  'names in the request are not in the certificate; a flood is turned away and logged in lines',
  async (t) => {
    const authorization = bearer(mesh.token('a.b', 'dotted-1'));
    const { execFileSync } = await import('node:child_process');
    const wish = [
      '-addext',
      'subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/admin,DNS:chainmail-control.chainmail-system.svc',
    ];
    const more = ['-addext', 'basicConstraints=critical,CA:TRUE', '-subj', '/CN=admin/O=system:masters'];
    const csr = execFileSync(
      'openssl',
      [
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        mesh.file('k'),
        ...wish,
        ...more,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    ).toString();
    const chain = await askCa({ csr, authorization });
    if (typeof chain === 'string') throw new Error(chain);
    const leaf = readCertificate(readPemCertificates(chain[0] ?? '')[0] ?? new Uint8Array());
    t.deepEqual(leaf.uris, ['spiffe://cluster.local/ns/shop/sa/a.b']);
    t.deepEqual(leaf.dnsNames, []);
    t.false(leaf.isCa);
    t.true(leaf.subjectIsEmpty);
    const flood = await Promise.all(Array.from({ length: 120 }, () => askCa({ csr, authorization: ['Bearer a.b.c'] })));
    t.true(flood.some((f) => String(f).startsWith('RESOURCE_EXHAUSTED')));
    for (const line of mesh.outputOf(0).split('\n').slice(0, -1)) JSON.parse(line);
    t.false(mesh.outputOf(0).includes(mesh.token('web', 'web-1').split('.')[2] ?? '?'));
  },
);

/** Status and body of a review. */
function review(
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly body: string }> {
  return new Promise((resolve) => {
    const options = {
      port: mesh.injectorPort,
      host: '127.0.0.1',
      path: '/inject',
      method: 'POST',
      rejectUnauthorized: false,
    };
    const request = https.request(
      { ...options, headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += String(chunk);
        });
        response.on('end', () => resolve({ code: response.statusCode ?? 0, body: text }));
      },
    );
    request.on('error', (error) => resolve({ code: 0, body: error.message }));
    request.end(body);
  });
}

const reviewOf = (object: string): string =>
  `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","namespace":"shop","operation":"CREATE","kind":{"group":"","version":"v1","kind":"Pod"},"object":${object}}}`;
const benign =
  '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"chainmail.dev/inject":"enabled"}},"spec":{"containers":[{"name":"app","image":"x"}]}}';

test.serial('the webhook survives what is posted to it, and the next pod is treated as before', async (t) => {
  let before = await review(reviewOf(benign));
  for (let i = 0; i < 100 && before.code === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100)); // until it holds its certificate
    before = await review(reviewOf(benign));
  }
  t.is(before.code, 200, before.body);
  t.true(before.body.includes('"patch"'), before.body);
  const rss = mesh.rss();
  const deep = (n: number): string => `${'['.repeat(n)}${']'.repeat(n)}`;
  const bad: readonly [name: string, body: string | Buffer][] = [
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['NUL bytes', Buffer.alloc(1000)],
    ['8 MiB', 'x'.repeat(8 * 1024 * 1024)],
    ['6 MiB of depth', reviewOf(deep(3_000_000))],
    ['depth in a pod', reviewOf(benign.replace('"image":"x"', `"image":"x","args":${deep(100_000)}`))],
    [
      '6 MiB of keys',
      reviewOf(`{"metadata":{"labels":{${Array.from({ length: 300_000 }, (_, i) => `"k${i}":"v"`).join(',')}}}}`),
    ],
    ['a prototype', `{"__proto__":{"patch":"x","polluted":true},${reviewOf(benign).slice(1)}`],
    ['a prototype in the pod', reviewOf(benign.replace('"metadata":', '"__proto__":{"polluted":1},"metadata":'))],
    [
      'a prototype among labels',
      reviewOf(
        benign.replace(
          '"labels":{',
          '"labels":{"__proto__":{"polluted":"1"},"constructor":{"prototype":{"polluted":1}},',
        ),
      ),
    ],
    [
      'annotations that are a prototype',
      reviewOf(benign.replace('"labels":', '"annotations":{"__proto__":null,"hasOwnProperty":"x"},"labels":')),
    ],
    ['containers that are no list', reviewOf(benign.replace('[{"name":"app","image":"x"}]', '{"length":1e9}'))],
    ['ports beyond numbers', reviewOf(benign.replace('"image":"x"', '"image":"x","ports":[{"containerPort":1e308}]'))],
    ['a name of line ends', reviewOf(benign.replace('"name":"p"', '"name":"\\n{\\"level\\":\\"error\\"}\\n"'))],
    ['a uid of an object', reviewOf(benign).replace('"uid":"u"', '"uid":{"toString":1}')],
  ];
  for (const [name, body] of bad) {
    const { code } = await review(body);
    t.true([0, 200, 400, 413, 500].includes(code), `${name}: ${code}`);
    t.is(mesh.dead, '', name);
  }
  t.is((await review(reviewOf(benign), { 'content-type': 'text/plain' })).code, 415);
  t.deepEqual(await review(reviewOf(benign)), before);
  for (const line of mesh
    .outputOf(2)
    .split('\n')
    .filter((l) => l !== ''))
    t.notThrows(() => JSON.parse(line), line);
  t.true(mesh.rss() - rss < 400 * 1024 * 1024);
});

/** Unauthenticated, as anybody who reaches the port: bodies that do not end. */
test.serial('a hundred reviews that never end do not fill the memory of the webhook', async (t) => {
  const before = mesh.rss();
  const agent = new https.Agent({ maxSockets: 100, rejectUnauthorized: false });
  const options = { port: mesh.injectorPort, host: '127.0.0.1', path: '/inject', method: 'POST', agent };
  const headers = { 'content-type': 'application/json', 'content-length': 7 * 1024 * 1024 };
  const half = Buffer.alloc(5 * 1024 * 1024, ' ');
  const codes: number[] = [];
  const open = Array.from({ length: 100 }, () => {
    const request = https.request({ ...options, headers }, (response) => {
      codes.push(response.statusCode ?? 0);
      response.resume();
    });
    request.on('error', () => {});
    request.write(half);
    return request;
  });
  const end = performance.now() + 8000;
  while (!codes.includes(503) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  const grown = mesh.rss() - before;
  for (const request of open) request.destroy();
  agent.destroy();
  t.true(codes.includes(503), codes.join());
  t.true(grown < 250 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.is((await review(reviewOf(benign))).code, 200, 'and afterwards all is as before');
});

/** CVE-2003-1564 (billion laughs), CVE-2022-3064: a text that is small and a value that is not. */
test.serial('a folder with files that explode is reported, and the rest of it stays in force', async (t) => {
  const laughs = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++) {
    const [to, from] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
    laughs.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join(', ')}]`);
  }
  mesh.put('laughs.yaml', `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: laughs }\n${laughs.join('\n')}\n`);
  mesh.put('deep.yaml', `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: deep }\ndata: ${'['.repeat(50_000)}\n`);
  mesh.put('deep.json', '['.repeat(500_000));
  mesh.put('circle.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: &m { name: circle, self: *m }\n');
  mesh.put(
    'proto.yaml',
    'apiVersion: v1\nkind: Service\nmetadata: { name: s, namespace: __proto__ }\n__proto__: { polluted: 1 }\nspec: { __proto__: { type: ExternalName } }\n',
  );
  mesh.put('nul.yaml', 'apiVersion: v1\0kind: Pod\n');
  mesh.put('large.yaml', `# ${'x'.repeat(9 * 1024 * 1024)}\n`);
  const metric = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${mesh.metricsPort}/metrics`);
    return Number(/^chainmail_control_object_problems (\d+)$/m.exec(await response.text())?.[1]);
  };
  const end = performance.now() + 20_000;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  t.is(mesh.dead, '');
  while ((await metric()) < 5 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
  t.true((await metric()) >= 5, String(await metric()));
  t.is(await discover(root.issue({ san }), web), 'served true');
  t.is(mesh.dead, '');
  t.true(readFileSync(mesh.file('objects/laughs.yaml')).length < 1000, 'a small text');
});
