import { formatAppProbes } from '@chainmail/runtime';
import test from 'ava';
import { bootstrapOf, environment } from '../config/testing/compile.ts';
import { sidecarBootstrap } from './sidecar-bootstrap.ts';
import { sidecarSettings } from './sidecar-settings.ts';

const env = {
  POD_NAME: 'web-1',
  POD_NAMESPACE: 'shop',
  POD_UID: 'u',
  POD_IP: '10.0.0.1',
  POD_IPS: '10.0.0.1,fd00::1',
  NODE_NAME: 'n',
  SERVICE_ACCOUNT: 'web',
  CHAINMAIL_TRUST_DOMAIN: 'cluster.local',
  CHAINMAIL_CONTROL_ADDRESS: 'chainmail-control.chainmail-system.svc:15012',
  CHAINMAIL_CA_ADDRESS: '[fd00::2]:15013',
  CHAINMAIL_CERTIFICATE_TTL: '',
  CHAINMAIL_CONCURRENCY: '2',
  CHAINMAIL_LOG_LEVEL: 'info',
  CHAINMAIL_DRAIN_SECONDS: '59',
  CHAINMAIL_APP_PROBES: formatAppProbes({ '/app-health/app/livez': { kind: 'tcpSocket', port: 80, timeoutMs: 1000 } }),
};

test('the environment of an injected container becomes settings', (t) => {
  t.like(sidecarSettings(env), {
    podIps: ['10.0.0.1', 'fd00::1'],
    certificateTtlSeconds: null,
    concurrency: 2,
    drainSeconds: 59,
    exclusions: [],
    tokenPath: '/var/run/secrets/chainmail/token',
    adminSocket: '/var/run/chainmail/state/admin.sock',
  });
});

for (const [name, value, message] of [
  ['POD_NAME', '', 'the environment variable POD_NAME is not set'],
  ['SERVICE_ACCOUNT', undefined, 'the environment variable SERVICE_ACCOUNT is not set'],
  ['CHAINMAIL_CA_ADDRESS', 'ca', "CHAINMAIL_CA_ADDRESS: 'ca' is not host:port"],
  ['CHAINMAIL_CONCURRENCY', '0', "CHAINMAIL_CONCURRENCY: '0' is not a whole number from 1 to 256"],
  ['CHAINMAIL_DRAIN_SECONDS', 'soon', "CHAINMAIL_DRAIN_SECONDS: 'soon' is not a whole number from 0 to 86400"],
] as const) {
  test(`${name}=${value} is refused by name`, (t) => {
    t.throws(() => sidecarSettings({ ...env, [name]: value }), { code: 'SIDECAR_ENV', message });
  });
}

test('the bootstrap is one the agent takes: delta ADS, and a control plane that must be the control plane', (t) => {
  const json = sidecarBootstrap(sidecarSettings(env));
  const { dynamic, clusters, admin, message } = bootstrapOf(json, environment());
  t.deepEqual(dynamic, { adsCluster: 'control', lds: true, cds: true });
  t.deepEqual(admin, { kind: 'tcp', address: { ip: '127.0.0.1', port: 15000 } });
  t.is(clusters[0]?.spec.type, 'strict_dns');
  t.like(clusters[0]?.spec.tls, { minVersion: 'TLSv1_3', requireSvid: true });
  t.is(
    clusters[0]?.spec.tls?.subjectAltNames[0]?.match.value,
    'spiffe://cluster.local/ns/chainmail-system/sa/chainmail-control',
  );
  t.like(message.node?.metadata, { POD_NAME: 'web-1', POD_NAMESPACE: 'shop' });
});
