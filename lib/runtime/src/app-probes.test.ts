import test from 'ava';
import { type AppProbes, formatAppProbes, parseAppProbes } from './app-probes.ts';

const probes: AppProbes = {
  '/app-health/web/livez': {
    kind: 'httpGet',
    scheme: 'HTTPS',
    port: 8443,
    path: '/live?x=1',
    headers: [{ name: 'X-Probe', value: 'yes' }],
    timeoutMs: 1000,
  },
  '/app-health/web/readyz': { kind: 'tcpSocket', port: 8080, timeoutMs: 2000 },
  '/app-health/rpc/startupz': { kind: 'grpc', port: 9000, service: 'a.B', timeoutMs: 500 },
};

test('what is formatted parses to the same', (t) => {
  t.deepEqual(parseAppProbes(formatAppProbes(probes)), probes);
  t.deepEqual(parseAppProbes('{}'), {});
});

const refused: readonly (readonly [string, string, RegExp])[] = [
  ['not JSON', '{', /is not JSON/],
  ['a list', '[]', /must be an object/],
  ['a path outside the prefix', '{"/x/web/livez":{}}', /must be \/app-health\//],
  ['a path with dots', '{"/app-health/../livez":{}}', /must be \/app-health\//],
  ['an unknown kind', '{"/app-health/a/livez":{"kind":"exec","port":1,"timeoutMs":1}}', /livez\.kind/],
  ['port 0', '{"/app-health/a/livez":{"kind":"tcpSocket","port":0,"timeoutMs":1}}', /livez\.port/],
  ['no deadline', '{"/app-health/a/livez":{"kind":"tcpSocket","port":1}}', /livez\.timeoutMs/],
  [
    'a header that ends its line',
    '{"/app-health/a/livez":{"kind":"httpGet","scheme":"HTTP","port":1,"timeoutMs":1,"path":"/","headers":[{"name":"a","value":"b\\r\\nc: d"}]}}',
    /headers\[0\]\.value/,
  ],
  ['too much', ' '.repeat(300_000), /larger/],
];

for (const [what, text, message] of refused) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => parseAppProbes(text), { name: 'UserError', code: 'APP_PROBES_INVALID', message });
  });
}
