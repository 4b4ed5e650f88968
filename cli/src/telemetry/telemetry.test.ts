import test from 'ava';
import { readAgent, windowBetween } from './agent-reading.ts';
import { quantile, subtractBuckets } from './histogram.ts';
import { parsePrometheus } from './prometheus.ts';
import { statRows } from './stat-rows.ts';

const page = (ok: number, bad: number): string => `# TYPE envoy_http_downstream_rq_xx counter
envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="inbound_8080"} ${ok}
envoy_http_downstream_rq_xx{envoy_response_code_class="5",envoy_http_conn_manager_prefix="inbound_8080"} ${bad}
envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="outbound"} 999
envoy_http_downstream_cx_active{envoy_http_conn_manager_prefix="inbound_8080"} 3
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="inbound_8080",le="1"} ${ok / 2}
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="inbound_8080",le="5"} ${ok}
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="inbound_8080",le="+Inf"} ${ok + bad}
`;

test('labels with escapes, special values and comments', (t) => {
  t.deepEqual(parsePrometheus('# HELP x y\nx{a="q\\"\\\\\\n",b="2"} +Inf 1700000000\n\ny NaN\n'), [
    { name: 'x', labels: { a: 'q"\\\n', b: '2' }, value: Number.POSITIVE_INFINITY },
    { name: 'y', labels: {}, value: Number.NaN },
  ]);
});

for (const bad of ['x', 'x{a=1} 2', 'x{a="1} 2', 'x two', '{} 1']) {
  test(`a line that is no sample is named: ${bad}`, (t) => {
    t.throws(() => parsePrometheus(`ok 1\n${bad}`), { message: /^line 2: / });
  });
}

test('quantiles lie evenly inside a bucket; beyond the last bound they are that bound', (t) => {
  const buckets = [
    { le: 10, count: 50 },
    { le: 20, count: 90 },
    { le: Number.POSITIVE_INFINITY, count: 100 },
  ];
  t.is(quantile(buckets, 0.25), 5);
  t.is(quantile(buckets, 0.7), 15);
  t.is(quantile(buckets, 0.99), 20);
  t.is(quantile([], 0.5), null);
  t.is(quantile([{ le: 1, count: 0 }], 0.5), null);
});

test('a window counts inbound requests only and starts from zero after a restart', (t) => {
  const window = windowBetween(readAgent(page(100, 0), 1000), readAgent(page(180, 20), 3000));
  t.is(window.requests, 100);
  t.is(window.successes, 80);
  t.is(window.seconds, 2);
  t.is(window.activeConnections, 3);
  const restarted = windowBetween(readAgent(page(100, 0), 1000), readAgent(page(10, 2), 2000));
  t.is(restarted.requests, 12);
  t.deepEqual(subtractBuckets([{ le: 1, count: 2 }], [{ le: 1, count: 9 }]), [{ le: 1, count: 2 }]);
});

test('a gRPC call that failed is no success, whatever HTTP says', (t) => {
  const failed = (n: number): string =>
    `${page(100 + n, 0)}envoy_http_downstream_rq_grpc_failure{envoy_http_conn_manager_prefix="inbound_8080"} ${n}\n` +
    `envoy_http_downstream_rq_grpc_failure{envoy_http_conn_manager_prefix="outbound"} 999\n`;
  const window = windowBetween(readAgent(failed(10), 0), readAgent(failed(40), 1000));
  t.is(window.requests, 30);
  t.is(window.successes, 0);
});

test('pods of a workload add up; one without agent counts as unmeshed, one unreadable as a problem', (t) => {
  const window = windowBetween(readAgent(page(0, 0), 0), readAgent(page(80, 20), 1000));
  const rows = statRows([
    { namespace: 'shop', workload: 'web', pod: 'web-1', meshed: true, window },
    { namespace: 'shop', workload: 'web', pod: 'web-2', meshed: true, window: null, problem: 'refused' },
    { namespace: 'outside', workload: 'intruder', pod: 'intruder-1', meshed: false, window: null },
  ]);
  t.deepEqual(
    rows.map((r) => [r.namespace, r.name, `${r.meshed}/${r.pods}`, r.successRate, r.rps, r.problems.length]),
    [
      ['outside', 'intruder', '0/1', null, null, 0],
      ['shop', 'web', '2/2', 0.8, 100, 1],
    ],
  );
});
