/** What every kind of cluster does for its callers, then what is particular to clusters with endpoints. */
import test from 'ava';
import type { ClusterSpec } from '../model/cluster.ts';
import type { Cluster, HostPool, PickContext } from './cluster.ts';
import { createCluster } from './create.ts';
import {
  clusterSpec,
  endpoint,
  endpoints,
  type Fixture,
  fixture,
  hostOf,
  outlierSpec,
  tally,
  tlsContext,
  untried,
} from './testing/cluster-fixture.ts';

class CountingPool implements HostPool {
  drained = 0;
  drain(): void {
    this.drained++;
  }
}

const types = ['static', 'eds', 'strict_dns', 'logical_dns', 'original_dst'] as const;
const somewhere: PickContext = { tried: [], destination: { ip: '10.0.0.1', port: 80 } };

function make(
  of: Partial<ClusterSpec> = {},
  f: Fixture = fixture(),
): { readonly cluster: Cluster; readonly f: Fixture } {
  const cluster = createCluster(clusterSpec(of), f.runtime);
  return { cluster, f };
}

for (const type of types) {
  test(`${type}: gives a host, shows it, and counts what becomes of it`, (t) => {
    const { cluster, f } = make({ type });
    cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(1) });
    const host = hostOf(cluster.pick(somewhere));
    t.is(host.label, '10.0.0.1:80');
    cluster.record(host, { kind: 'response', status: 200 });
    cluster.record(host, { kind: 'response', status: 503 });
    cluster.record(host, { kind: 'local', cause: 'timeout' });
    const [shown] = cluster.snapshot().hosts;
    t.like(shown, { address: '10.0.0.1:80', rqSuccess: 1, rqError: 2, rqTimeout: 1, flags: [] });
    t.is(f.stat('membership_total'), 1);
    t.is(f.stat('membership_healthy'), 1);
    t.is(f.stat('membership_change'), 1);
  });

  test(`${type}: circuit breakers admit up to the limit, count the rest and show that they are open`, (t) => {
    const { cluster, f } = make({
      type,
      circuit: { maxConnections: 1, maxPendingRequests: 1, maxRequests: 2, maxRetries: 1 },
    });
    t.true(cluster.admitConnection());
    t.false(cluster.admitConnection());
    t.is(f.stat('upstream_cx_overflow'), 1);
    t.is(f.stat('circuit_breakers.default.cx_open'), 1);
    cluster.releaseConnection();
    t.is(f.stat('circuit_breakers.default.cx_open'), 0);
    t.true(cluster.admitRequest() && cluster.admitRequest());
    t.false(cluster.admitRequest());
    t.true(cluster.admitPending());
    t.false(cluster.admitPending());
    t.is(f.stat('upstream_rq_pending_overflow'), 2);
    t.is(f.stat('circuit_breakers.default.rq_open'), 1);
    t.is(f.stat('circuit_breakers.default.rq_pending_open'), 1);
    t.true(cluster.admitRetry());
    t.false(cluster.admitRetry());
    t.is(f.stat('upstream_rq_retry_overflow'), 1);
    cluster.releaseRetry();
    t.true(cluster.admitRetry());
  });

  test(`${type}: requests of high priority have circuit breakers of their own`, (t) => {
    const circuit = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 };
    const { cluster, f } = make({ type, circuit, highCircuit: { ...circuit, maxRequests: 2 } });
    const { high } = cluster;
    t.is(cluster.high, high);
    t.is(high.high, high);
    t.deepEqual([cluster.priority, high.priority, high.name], ['default', 'high', 'c']);
    t.true(cluster.admitRequest());
    t.false(cluster.admitRequest());
    t.true(high.admitRequest() && high.admitRequest());
    t.false(high.admitRequest());
    t.is(f.stat('circuit_breakers.default.rq_open'), 1);
    t.is(f.stat('circuit_breakers.high.rq_open'), 1);
    high.releaseRequest();
    t.is(f.stat('circuit_breakers.high.rq_open'), 0);
    t.true(high.admitConnection() && high.admitPending() && high.admitRetry());
    t.is(f.stat('circuit_breakers.high.cx_open'), 1);
    t.is(f.stat('circuit_breakers.default.cx_open'), 0);
    cluster.update({ ...cluster.spec, highCircuit: { ...circuit, maxRequests: 1 } });
    t.is(f.stat('circuit_breakers.high.rq_open'), 1);
  });

  test(`${type}: a changed secret makes the pools that use it dial anew, and no others`, (t) => {
    const tls = tlsContext('a', { certificates: ['own'], trustedCa: 'roots' });
    const { cluster } = make({ type, tls });
    cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(1) });
    const host = hostOf(cluster.pick(somewhere));
    const pool = new CountingPool();
    host.pool = pool;
    cluster.onSecretChanged('other');
    t.is(pool.drained, 0);
    cluster.onSecretChanged('own');
    cluster.onSecretChanged('roots');
    t.is(pool.drained, 2);
  });

  test(`${type}: another TLS context makes another host; the old one drains`, (t) => {
    const { cluster } = make({ type });
    cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(1) });
    const before = hostOf(cluster.pick(somewhere));
    const pool = new CountingPool();
    before.pool = pool;
    cluster.update(clusterSpec({ type, tls: tlsContext('a') }));
    const after = hostOf(cluster.pick(somewhere));
    t.not(after, before);
    t.is(after.tls?.key, 'a');
    t.true(before.removed);
    t.is(pool.drained, 1);
  });

  test(`${type}: closing retires every host and leaves no timer`, (t) => {
    const { cluster, f } = make({ type, outlier: outlierSpec({ consecutive5xx: 1 }) });
    cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(2) });
    const host = hostOf(cluster.pick(somewhere));
    cluster.record(host, { kind: 'response', status: 500 });
    cluster.close();
    t.true(host.removed);
    t.is(f.clock.pending, 0);
    t.is(f.stat('membership_total'), 0);
  });
}

test('a release without an admission is a bug and says so', (t) => {
  t.throws(() => make().cluster.releaseRequest(), { message: /released more than was admitted/ });
});

test('a retry budget follows the load', (t) => {
  const { cluster } = make({
    circuit: {
      maxConnections: 1024,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRetries: 1000,
      retryBudget: { percent: 20, minRetries: 3 },
    },
  });
  const admitted = (): number => {
    let count = 0;
    while (cluster.admitRetry()) count++;
    for (let i = 0; i < count; i++) cluster.releaseRetry();
    return count;
  };
  t.is(admitted(), 3);
  for (let i = 0; i < 100; i++) cluster.admitRequest();
  t.is(admitted(), 20);
});

test('a new limit holds at once, what was admitted stays', (t) => {
  const { cluster } = make();
  for (let i = 0; i < 5; i++) t.true(cluster.admitRequest());
  cluster.update(clusterSpec({ circuit: { maxConnections: 1, maxPendingRequests: 1, maxRequests: 2, maxRetries: 1 } }));
  t.false(cluster.admitRequest());
  for (let i = 0; i < 4; i++) cluster.releaseRequest();
  t.true(cluster.admitRequest());
});

test('no endpoints: none healthy, and counted', (t) => {
  const { cluster, f } = make();
  t.deepEqual(cluster.pick(untried), { kind: 'none-healthy' });
  t.is(f.stat('upstream_cx_none_healthy'), 1);
});

test('state is carried over an update by address', (t) => {
  const { cluster, f } = make();
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(2) });
  const before = [hostOf(cluster.pick(untried)), hostOf(cluster.pick(untried))];
  const gone = before.find((host) => host.label === '10.0.0.1:80');
  const kept = before.find((host) => host.label === '10.0.0.2:80');
  const pool = new CountingPool();
  if (gone !== undefined) gone.pool = pool;
  cluster.setEndpoints({ cluster: 'c', endpoints: [endpoint(2, { weight: 7 }), endpoint(3), endpoint(3)] });
  t.true(gone?.removed);
  t.is(pool.drained, 1);
  t.false(kept?.removed);
  t.is(kept?.endpoint.weight, 7);
  t.deepEqual(
    cluster.snapshot().hosts.map((host) => host.address),
    ['10.0.0.2:80', '10.0.0.3:80'],
  );
  t.is(f.stat('membership_change'), 2);
});

test('the TLS context of an endpoint: first match with all its labels, else the default', (t) => {
  const match = (name: string, labels: Readonly<Record<string, string>>): ClusterSpec['tlsMatches'][number] => ({
    name,
    match: labels,
    tls: tlsContext(name),
  });
  const { cluster } = make({
    tls: tlsContext('default'),
    tlsMatches: [match('web', { identity: 'shop/web', zone: 'a' }), match('any-web', { identity: 'shop/web' })],
  });
  const labelled = [
    { identity: 'shop/web', zone: 'a', more: 'x' },
    { identity: 'shop/web' },
    { identity: 'shop/db' },
    {},
  ];
  cluster.setEndpoints({ cluster: 'c', endpoints: labelled.map((socketMatch, i) => endpoint(i + 1, { socketMatch })) });
  const keys = new Map(labelled.map(() => hostOf(cluster.pick(untried))).map((host) => [host.label, host.tls?.key]));
  t.deepEqual(
    [1, 2, 3, 4].map((n) => keys.get(`10.0.0.${n}:80`)),
    ['web', 'any-web', 'default', 'default'],
  );
});

test('a host that was tried is avoided while there is another', (t) => {
  for (const lb of ['round_robin', 'least_request', 'random'] as const) {
    const { cluster } = make({ lb });
    cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(3) });
    const first = hostOf(cluster.pick(untried));
    const second = hostOf(cluster.pick({ tried: [first], destination: null }));
    const third = hostOf(cluster.pick({ tried: [first, second], destination: null }));
    t.is(new Set([first, second, third]).size, 3, lb);
    t.truthy(hostOf(cluster.pick({ tried: [first, second, third], destination: null })));
  }
});

test('a tried host in the only healthy list of its priority: another priority helps out', (t) => {
  const { cluster } = make();
  cluster.setEndpoints({ cluster: 'c', endpoints: [endpoint(1), endpoint(2, { priority: 1 })] });
  const first = hostOf(cluster.pick(untried));
  t.is(hostOf(cluster.pick({ tried: [first], destination: null })).label, '10.0.0.2:80');
});

test('health: unhealthy and draining get nothing, degraded only what is left over', (t) => {
  const { cluster, f } = make();
  cluster.setEndpoints({
    cluster: 'c',
    endpoints: [endpoint(1), endpoint(2), endpoint(3, { health: 'unhealthy' }), endpoint(4, { health: 'draining' })],
  });
  const seen = tally(Array.from({ length: 20 }, () => hostOf(cluster.pick(untried)).label));
  t.deepEqual(Object.keys(seen).toSorted(), ['10.0.0.1:80', '10.0.0.2:80']);
  t.is(f.stat('membership_total'), 4);
  t.is(f.stat('membership_healthy'), 2);
  t.deepEqual(
    cluster.snapshot().hosts.map((host) => host.flags),
    [[], [], ['failed_eds_health'], ['eds_status_draining']],
  );
});

test('panic: under the threshold every host but the draining ones is used, and it is counted', (t) => {
  const { cluster, f } = make();
  const down = [2, 3, 4].map((n) => endpoint(n, { health: 'unhealthy' }));
  cluster.setEndpoints({ cluster: 'c', endpoints: [endpoint(1), ...down, endpoint(5, { health: 'draining' })] });
  const seen = tally(Array.from({ length: 40 }, () => hostOf(cluster.pick(untried)).label));
  t.deepEqual(Object.keys(seen).toSorted(), ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80']);
  t.is(f.stat('lb_healthy_panic'), 40);
});

test('panic threshold 0 answers none healthy', (t) => {
  const { cluster } = make({ panicThreshold: 0 });
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(2, { health: 'unhealthy' }) });
  t.is(cluster.pick(untried).kind, 'none-healthy');
});

test('fail-over: with half of priority 0 down, 30 % goes to priority 1', (t) => {
  const { cluster } = make();
  cluster.setEndpoints({
    cluster: 'c',
    endpoints: [endpoint(1), endpoint(2, { health: 'unhealthy' }), endpoint(3, { priority: 1 })],
  });
  const seen = tally(Array.from({ length: 10_000 }, () => hostOf(cluster.pick(untried)).label));
  t.true(Math.abs((seen['10.0.0.3:80'] ?? 0) - 3000) < 200, JSON.stringify(seen));
  t.is(seen['10.0.0.2:80'], undefined);
});

test('changing the balancer keeps the hosts', (t) => {
  const { cluster } = make();
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(2) });
  const before = hostOf(cluster.pick(untried));
  cluster.update(clusterSpec({ lb: 'least_request' }));
  t.false(before.removed);
  t.is(cluster.pick(untried).kind, 'host');
});
