import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import {
  clusterCodes,
  clusterHistogram,
  clusterStat,
  httpHistogram,
  httpStat,
  listenerStat,
  observe,
  rbacStat,
  virtualHostCodes,
  virtualHostHistogram,
  virtualHostStat,
} from './layout.ts';
import { StatRegistry } from './registry.ts';
import { renderStats } from './render.ts';

const service = 'outbound|80||catalog.shop.svc.cluster.local';

function filled(): StatRegistry {
  const registry = new StatRegistry(new ManualClock());
  const workers = [new Float64Array(20_000), new Float64Array(20_000)];
  for (const slots of workers) registry.attachWorker(slots);
  const cluster = registry.cluster(service);
  const http = registry.http('ingress');
  const listener = registry.listener('0.0.0.0_15006');
  const rbac = registry.rbac('http.ingress');
  registry.rbac('inbound_tcp');
  registry.addSource(() => [
    { name: 'server.live', kind: 'gauge', value: 1 },
    { name: 'server.uptime', kind: 'gauge', value: 60 },
  ]);
  for (const [i, slots] of workers.entries()) {
    slots[cluster + clusterStat.at.upstream_rq_total] = 10;
    slots[cluster + clusterStat.at.upstream_rq_2xx] = 9;
    slots[cluster + clusterStat.at.membership_total] = 3;
    slots[cluster + clusterStat.at['outlier_detection.ejections_active']] = i;
    slots[cluster + clusterCodes + 100] = 9;
    slots[cluster + clusterCodes + 403] = i;
    slots[http + httpStat.at.downstream_rq_2xx] = 4;
    slots[listener + listenerStat.at['ssl.handshake']] = 2;
    slots[rbac + rbacStat.at.denied] = 1;
    for (const ms of [1, 2, 7, 25, 300]) observe(slots, cluster + clusterHistogram.upstream_rq_time, ms);
    observe(slots, http + httpHistogram.downstream_rq_time, 0);
  }
  return registry;
}

function get(query: string): { readonly status: number; readonly contentType: string; readonly body: string } {
  return renderStats(filled(), new URLSearchParams(query));
}

test('text: name and value, sorted, histograms last', (t) => {
  const { status, contentType, body } = get('');
  t.is(status, 200);
  t.is(contentType, 'text/plain; charset=UTF-8');
  const lines = body.trimEnd().split('\n');
  const numbers = lines.filter((line) => /: \d+$/.test(line));
  t.deepEqual(lines.slice(0, numbers.length), numbers);
  t.deepEqual(numbers, numbers.toSorted());
  for (const line of [
    `cluster.${service}.upstream_rq_total: 20`,
    `cluster.${service}.upstream_rq_200: 18`,
    `cluster.${service}.upstream_rq_503: 1`,
    `cluster.${service}.upstream_rq_2xx: 18`,
    `cluster.${service}.membership_total: 3`,
    `cluster.${service}.outlier_detection.ejections_active: 1`,
    `cluster.${service}.upstream_cx_total: 0`,
    'http.ingress.downstream_rq_2xx: 8',
    'http.ingress.rbac.denied: 2',
    'inbound_tcp.rbac.denied: 0',
    'listener.0.0.0.0_15006.ssl.handshake: 4',
    'server.live: 1',
    'server.worker.access_log_dropped: 0',
  ]) {
    t.true(numbers.includes(line), line);
  }
  t.false(body.includes('upstream_rq_404'));
});

test('text: histograms with the quantiles of Envoy', (t) => {
  const { body } = get('type=Histograms');
  t.deepEqual(body.trimEnd().split('\n'), [
    `cluster.${service}.upstream_cx_connect_ms: No recorded values`,
    `cluster.${service}.upstream_rq_time: P0(nan,1) P25(nan,2) P50(nan,7) P75(nan,25) P90(nan,303.5) P95(nan,319) P99(nan,319) P99.5(nan,319) P99.9(nan,319) P100(nan,319)`,
    'http.ingress.downstream_rq_time: P0(nan,0) P25(nan,0) P50(nan,0) P75(nan,0) P90(nan,0) P95(nan,0) P99(nan,0) P99.5(nan,0) P99.9(nan,0) P100(nan,0)',
    'listener.0.0.0.0_15006.connections_accepted_per_socket_event: No recorded values',
  ]);
});

test('usedonly, filter and type', (t) => {
  t.is(
    get('usedonly&filter=^cluster.*upstream_rq_[0-9]').body,
    `cluster.${service}.upstream_rq_200: 18\ncluster.${service}.upstream_rq_2xx: 18\ncluster.${service}.upstream_rq_503: 1\n`,
  );
  t.is(get('filter=server%5C.live').body, 'server.live: 1\n');
  t.is(get('type=Gauges&filter=^server.live').body, 'server.live: 1\n');
  t.is(get('type=Counters&filter=^server.live').body, '');
  t.is(get('type=TextReadouts').body, '');
});

test('bad queries are refused in the words of Envoy', (t) => {
  t.like(get('filter=%5Bbad'), { status: 400, body: 'Invalid re2 regex: missing ]: [bad' });
  t.like(get('format=xml'), { status: 400 });
  t.like(get('type=Nope'), { status: 400 });
});

test('JSON', (t) => {
  const { contentType, body } = get('format=json&filter=upstream_rq_(200|time)%24|connect_ms');
  t.is(contentType, 'application/json');
  t.deepEqual(JSON.parse(body), {
    stats: [
      { name: `cluster.${service}.upstream_rq_200`, value: 18 },
      {
        histograms: {
          supported_quantiles: [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100],
          computed_quantiles: [
            {
              name: `cluster.${service}.upstream_cx_connect_ms`,
              values: Array.from({ length: 10 }, () => ({ interval: null, cumulative: null })),
            },
            {
              name: `cluster.${service}.upstream_rq_time`,
              values: [1, 2, 7, 25, 303.5, 319, 319, 319, 319, 319].map((cumulative) => ({
                interval: null,
                cumulative,
              })),
            },
          ],
        },
      },
    ],
  });
});

test('Prometheus: names, labels and types of Envoy', (t) => {
  const { body } = get('format=prometheus');
  for (const part of [
    `# TYPE envoy_cluster_upstream_rq_total counter\nenvoy_cluster_upstream_rq_total{envoy_cluster_name="${service}"} 20\n`,
    `# TYPE envoy_cluster_upstream_rq counter\nenvoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="${service}"} 18\nenvoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="${service}"} 1\n`,
    `envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="${service}"} 18\n`,
    'envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="ingress"} 8\n',
    'envoy_http_rbac_denied{envoy_http_conn_manager_prefix="ingress"} 2\n',
    'envoy_rbac_denied{envoy_rbac_prefix="inbound_tcp"} 0\n',
    'envoy_listener_ssl_handshake{envoy_listener_address="0.0.0.0_15006"} 4\n',
    '# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n',
    `# TYPE envoy_cluster_membership_total gauge\nenvoy_cluster_membership_total{envoy_cluster_name="${service}"} 3\n`,
  ]) {
    t.true(body.includes(part), part);
  }
});

test('Prometheus: cumulative buckets, sum and count', (t) => {
  const { body } = get('format=prometheus&filter=upstream_rq_time%24');
  const label = `envoy_cluster_name="${service}"`;
  const counts = [0, 2, 4, 6, 8, 8, 8, 8, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10];
  const bounds = [
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
  ];
  t.deepEqual(body.split('\n'), [
    '# TYPE envoy_cluster_upstream_rq_time histogram',
    ...bounds.map((le, i) => `envoy_cluster_upstream_rq_time_bucket{${label},le="${le}"} ${counts[i]}`),
    `envoy_cluster_upstream_rq_time_bucket{${label},le="+Inf"} 10`,
    `envoy_cluster_upstream_rq_time_sum{${label}} 670`,
    `envoy_cluster_upstream_rq_time_count{${label}} 10`,
    '',
  ]);
});

test('Prometheus: each family stands once, label values are escaped', (t) => {
  const registry = filled();
  registry.cluster('a"b\\c\nd');
  registry.cluster('other');
  const { body } = renderStats(registry, new URLSearchParams('format=prometheus'));
  const types = body.split('\n').filter((line) => line.startsWith('# TYPE'));
  t.is(new Set(types).size, types.length);
  t.true(body.includes('envoy_cluster_name="a\\"b\\\\c\\nd"'));
  t.notRegex(body, /^(?!# TYPE )(?![a-z0-9_]+\{[^\n]*\} -?[0-9.e+]+$).+$/m);
});

test('metric cardinality (CVE-2025-43915): traffic makes no new series beyond the response codes', (t) => {
  const registry = new StatRegistry(new ManualClock());
  const slots = new Float64Array(20_000);
  registry.attachWorker(slots);
  const cluster = registry.cluster('c');
  const before = renderStats(registry, new URLSearchParams()).body.split('\n').length;
  for (let i = 0; i < 500; i++) slots[cluster + clusterCodes + i] = 1;
  const after = renderStats(registry, new URLSearchParams()).body.split('\n').length;
  t.is(after - before, 500);
});

test('virtual clusters and routes: three texts in one name, two of them labels', (t) => {
  const registry = new StatRegistry(new ManualClock());
  const slots = new Float64Array(20_000);
  registry.attachWorker(slots);
  const gets = registry.virtualHost('a.b', 'vcluster', 'gets.c');
  slots[gets + virtualHostStat.at.upstream_rq_total] = 3;
  slots[gets + virtualHostCodes + 318] = 2;
  observe(slots, gets + virtualHostHistogram.upstream_rq_time, 7);
  slots[registry.virtualHost('a.b', 'route', 'r') + virtualHostStat.at.upstream_rq_4xx] = 1;
  const text = renderStats(registry, new URLSearchParams('')).body;
  t.regex(text, /^vhost\.a\.b\.vcluster\.gets\.c\.upstream_rq_total: 3$/m);
  t.regex(text, /^vhost\.a\.b\.vcluster\.gets\.c\.upstream_rq_418: 2$/m);
  t.regex(text, /^vhost\.a\.b\.route\.r\.upstream_rq_4xx: 1$/m);
  const labels = 'envoy_virtual_host="a.b",envoy_virtual_cluster="gets.c"';
  const prometheus = renderStats(registry, new URLSearchParams('format=prometheus')).body;
  t.true(prometheus.includes(`envoy_vhost_vcluster_upstream_rq_total{${labels}} 3`));
  t.true(prometheus.includes(`envoy_vhost_vcluster_upstream_rq_time_count{${labels}} 1`));
  t.true(
    prometheus.includes(
      'envoy_vhost_route_upstream_rq_xx{envoy_response_code_class="4",envoy_virtual_host="a.b",envoy_route="r"} 1',
    ),
  );
});
