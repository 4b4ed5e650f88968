import os from 'node:os';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { defaultLogFormat } from '../config/access-log.ts';
import { connection, meshConnection } from '../policy/testing/request.ts';
import { compileLogLine } from './access-log.ts';
import { compileFormat, compileHeaderFormat, compileTextLine, type LineWriter } from './format.ts';
import { LineBuffer } from './line-buffer.ts';
import { type RecordOptions, record } from './testing/record.ts';

function written(line: LineWriter, of: RecordOptions): string {
  const buffer = new LineBuffer(new Uint8Array(65_536));
  line(buffer, record(of));
  return Buffer.from(buffer.bytes.subarray(0, buffer.at)).toString('utf8');
}

const text = (format: string, of: RecordOptions = {}): string => written(compileTextLine(format), of);
const json = (fields: Readonly<Record<string, string>>, of: RecordOptions = {}, omitEmpty = false): string =>
  written(compileLogLine({ kind: 'json', fields, omitEmpty }), of);

const mesh = meshConnection('spiffe://td/ns/a/sa/web', {
  localPrincipal: 'spiffe://td/ns/a/sa/catalog',
  tlsCipher: 'TLS_AES_128_GCM_SHA256',
  sni: 'catalog',
  remoteIp: 'fd00::7',
  peerSubject: () => 'CN=web',
  peerCertificateSha256: () => 'ab'.repeat(32),
  peerCertificatePem: () => '-----BEGIN A-----\n',
  peerChainPem: () => '',
  peerUris: () => [],
  peerDnsNames: () => [],
});

const operators: readonly (readonly [format: string, of: RecordOptions, text: string])[] = [
  ['%START_TIME%', {}, '2026-11-21T08:36:02.007Z'],
  ['%START_TIME(%Y/%m/%d %H:%M:%S %E6S %s %b %a%%)%', {}, '2026/11/21 08:36:02 02.007000 1795250162 Nov Sat%'],
  ['%START_TIME(%3f|%f|%E1S)%', {}, '007|007000000|02.0'],
  ['%EMIT_TIME(%E3S)%', {}, '02.019'],
  ['%PROTOCOL% %REQ(:METHOD)% %REQ(:PATH)%', { http: { path: '/a?b' } }, 'HTTP/1.1 GET /a?b'],
  ['%REQ(X-A)%|%REQ(X-A):3%|%REQ(X-B)%', { http: { headers: [['x-a', 'value']] } }, 'value|val|-'],
  ['%REQ(X-B?X-A)% %REQ(X-A?X-B)%', { http: { headers: [['x-a', '1']] } }, '1 1'],
  ['%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%', { http: { path: '/new' }, rewrittenFrom: '/old' }, '/old'],
  ['%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%', { http: { path: '/same' } }, '/same'],
  ['%QUERY_PARAM(a)%', { http: { path: '/?b=2&a=1' } }, '1'],
  ['%RESP(SERVER)% %RESP(X)%', { responseHeaders: { server: 'envoy' } }, 'envoy -'],
  ['%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%', {}, '200 via_upstream -'],
  [
    '%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%',
    { flags: 'UF,URX' },
    'UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded',
  ],
  ['%BYTES_RECEIVED% %BYTES_SENT% %DURATION%', { bytesSent: 5_000_000_000 }, '0 5000000000 12'],
  ['%REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', {}, '1 10 2'],
  ['%REQUEST_DURATION% %RESPONSE_DURATION%', { requestDurationMs: -1, responseDurationMs: -1 }, '- -'],
  ['%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS%', {}, '10.0.0.1:80 c 10.9.9.9:51000'],
  ['%UPSTREAM_HOST% %UPSTREAM_CLUSTER%', { upstreamHost: '', upstreamCluster: '' }, '- -'],
  ['%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%', { upstreamHost: '[fd00::1]:80' }, 'fd00::1 80'],
  ['%UPSTREAM_TRANSPORT_FAILURE_REASON%', { upstreamFailure: 'TLS_error:|x' }, 'TLS_error:|x'],
  ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', { attempts: 3 }, '3'],
  [
    '%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
    { http: { remoteIp: '203.0.113.9' } },
    '203.0.113.9:0 10.1.2.3:40000',
  ],
  ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%', {}, '10.1.2.3 40000'],
  [
    '%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS%',
    { http: { connection: mesh } },
    '[fd00::7]:40000 10.9.9.9:8080',
  ],
  ['%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%', {}, '10.9.9.9 8080'],
  [
    '%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_LOCAL_URI_SAN%',
    { http: { connection: mesh } },
    'spiffe://td/ns/a/sa/web spiffe://td/ns/a/sa/catalog',
  ],
  [
    '%DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME%',
    { http: { connection: mesh } },
    'CN=web TLSv1.3 TLS_AES_128_GCM_SHA256 catalog',
  ],
  ['%DOWNSTREAM_PEER_CERT%', { http: { connection: mesh } }, '-----BEGIN%20A-----%0A'],
  ['%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_TLS_VERSION%', {}, '- -'],
  ['%ROUTE_NAME% %VIRTUAL_CLUSTER_NAME%', {}, 'r -'],
  ['%VIRTUAL_CLUSTER_NAME%', { virtualCluster: 'gets' }, 'gets'],
  ['%HOSTNAME%', {}, os.hostname()],
  ['%CONNECTION_TERMINATION_DETAILS% %PROTOCOL% %REQ(:METHOD)%', { http: null, details: 'rbac' }, 'rbac - -'],
  ['100%% of %%%%', {}, '100% of %%'],
  ['', {}, ''],
];
for (const [format, of, expected] of operators) {
  test(`text ${format} is ${expected}`, (t) => {
    t.is(text(format, of), expected);
  });
}

test('the default line', (t) => {
  const of: RecordOptions = {
    http: {
      path: '/p',
      headers: [
        ['user-agent', 'curl'],
        ['x-request-id', 'id'],
      ],
    },
    responseHeaders: { 'x-envoy-upstream-service-time': '9' },
  };
  t.is(
    text(defaultLogFormat, of),
    '[2026-11-21T08:36:02.007Z] "GET /p HTTP/1.1" 200 - 0 512 12 9 "-" "curl" "id" "a.test" "10.0.0.1:80"\n',
  );
});

test('text: nothing a client sends can begin a new line', (t) => {
  const of: RecordOptions = { http: { headers: [['user-agent', 'a\r\nb\0\u001b[31m"é']] } };
  t.is(text('%REQ(USER-AGENT)%\n', of), 'a\\x0d\\x0ab\\x00\\x1b[31m"é\n');
});

test('JSON: sorted keys, numbers as numbers, null for what is missing', (t) => {
  const line = json({
    zulu: '%RESPONSE_CODE%',
    'a"b': '%REQ(X-MISSING)%',
    mixed: 'took %DURATION%ms of %REQ(X-MISSING)%',
    fixed: 'a\n"b"',
    host: '%REQ(:AUTHORITY)%',
    flags: '%RESPONSE_FLAGS%',
    percent: '100%%',
  });
  t.is(
    line,
    '{"a\\"b":null,"fixed":"a\\n\\"b\\"","flags":"-","host":"a.test","mixed":"took 12ms of -","percent":"100%","zulu":200}\n',
  );
});

test('JSON: objects inside objects', (t) => {
  const fields = { b: { d: '%DURATION%', c: 'x' }, a: {}, e: '%ROUTE_NAME%' };
  const line = written(compileLogLine({ kind: 'json', fields, omitEmpty: false }), {});
  t.is(line, '{"a":{},"b":{"c":"x","d":12},"e":"r"}\n');
});

test('JSON: empty values can be left out', (t) => {
  const fields = { a: '%REQ(X)%', b: '%DURATION%', c: '', d: { e: '%REQ(X)%' }, f: 'x' };
  const line = (omitEmpty: boolean): string => written(compileLogLine({ kind: 'json', fields, omitEmpty }), {});
  t.is(line(true), '{"b":12,"d":{},"f":"x"}\n');
  t.is(line(false), '{"a":null,"b":12,"c":"","d":{"e":null},"f":"x"}\n');
});

test('JSON: values that repeat are written like any other', (t) => {
  const line = compileLogLine({ kind: 'json', fields: { ua: '%REQ(USER-AGENT)%' }, omitEmpty: false });
  const values = [
    'a"',
    'a"',
    'a"',
    'b',
    'a"',
    'b',
    'b',
    'b',
    'é\n',
    'é\n',
    'é\n',
    'x'.repeat(500),
    'x'.repeat(500),
    'x'.repeat(500),
    'b',
  ];
  for (const value of values) {
    const out = written(line, { http: { headers: [['user-agent', value]] } });
    t.deepEqual(JSON.parse(out), { ua: value });
  }
  t.is(written(line, {}), '{"ua":null}\n');
});

test('formats that are not understood are refused by name', (t) => {
  const refused: readonly (readonly [string, string])[] = [
    ['%NOPE%', 'Not supported field in StreamInfo: NOPE'],
    ['%VIRTUAL_HOST_NAME%', 'Not supported field in StreamInfo: VIRTUAL_HOST_NAME'],
    ['%constructor%', 'Incorrect configuration: %constructor%. No operator at position 0'],
    ['100% sure', 'Incorrect configuration: 100% sure. No operator at position 3'],
    ['%', 'Incorrect configuration: %. No operator at position 0'],
    ['%REQ%', '%REQ% needs a name in parentheses'],
    ['%REQ()%', '%REQ% needs a name in parentheses'],
    ['%REQ(A?B?C)%', '%REQ% takes NAME or NAME?OTHER'],
    ['%DURATION(x)%', '%DURATION% takes no parameters, but has (x)'],
    ['%START_TIME(%Q)%', "START_TIME(%Q): '%Q' is not supported"],
  ];
  for (const [format, message] of refused) {
    const error = t.throws(() => compileFormat(format), { instanceOf: UserError }, format);
    t.is(error.message, message);
  }
});

test('header values: an operator without a value leaves nothing', (t) => {
  t.is(compileHeaderFormat('a%REQ(absent)%z')(record()), 'az');
  t.is(compileHeaderFormat('%REQ(absent)%')(record()), '');
  t.is(compileHeaderFormat('%RESPONSE_CODE%')(record({ status: 0 })), '0');
  t.is(compileHeaderFormat('%UPSTREAM_HOST%')(record()), '10.0.0.1:80');
  t.is(compileFormat('50%%').constant, '50%');
});

test('a record of a connection has what connections have', (t) => {
  const of: RecordOptions = { http: null, connection: connection({ remoteIp: '10.0.0.7' }) };
  t.is(
    text('%DOWNSTREAM_REMOTE_ADDRESS% %REQ(:PATH)% %QUERY_PARAM(a)% %RESPONSE_CODE_DETAILS%', of),
    '10.0.0.7:40000 - - -',
  );
});
