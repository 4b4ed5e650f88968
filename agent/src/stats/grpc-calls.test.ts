import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import type { GrpcCallCount } from '../model/update.ts';
import { GrpcCallSums, grpcStats, grpcTimes } from './grpc-calls.ts';
import { StatRegistry } from './registry.ts';
import { renderStats } from './render.ts';

const count = (statuses: GrpcCallCount['statuses'], method = 'M'): GrpcCallCount => ({
  cluster: 'c',
  service: method === '' ? '' : 'a.S',
  method,
  requestMessages: 2,
  responseMessages: 3,
  statuses,
  times: [],
  timesMs: 0,
});

const values = (workers: readonly GrpcCallSums[]): Record<string, number> =>
  Object.fromEntries([...grpcStats(workers)].map(({ name, value }) => [name, value]));

test('workers are summed up, those that have ended stay counted, and totals replace totals', (t) => {
  const [one, two] = [new GrpcCallSums(), new GrpcCallSums()];
  one.take([count([[0, 4]])]);
  one.workerEnded();
  one.take([count([[0, 1]])]);
  one.take([
    count([
      [0, 1],
      [14, 2],
    ]),
  ]);
  two.take([count([[14, 1]])]);
  const prefix = 'cluster.c.grpc.a.S.M';
  t.deepEqual(values([one, two]), {
    [`${prefix}.0`]: 5,
    [`${prefix}.14`]: 3,
    [`${prefix}.success`]: 5,
    [`${prefix}.failure`]: 3,
    [`${prefix}.total`]: 8,
    [`${prefix}.request_message_count`]: 6,
    [`${prefix}.response_message_count`]: 9,
  });
});

test('without a method the names are those of the cluster; for Prometheus service and method are labels', (t) => {
  const sums = new GrpcCallSums();
  sums.take([count([[5, 1]], '')]);
  t.is(values([sums])['cluster.c.grpc.failure'], 1);
  sums.take([count([[0, 1]])]);
  const stat = [...grpcStats([sums])].find((s) => s.name === 'cluster.c.grpc.a.S.M.success');
  t.is(stat?.family, 'cluster_grpc_success');
  t.deepEqual(
    stat?.labels?.map(({ name, value }) => `${name}=${value}`),
    ['envoy_grpc_bridge_method=M', 'envoy_grpc_bridge_service=a.S', 'envoy_cluster_name=c'],
  );
});

test('times of upstreams are one histogram over the workers, and none where nobody tells them', (t) => {
  const [one, two] = [new GrpcCallSums(), new GrpcCallSums()];
  one.take([{ ...count([[0, 2]]), times: [[7, 2]], timesMs: 14 }]);
  two.take([
    {
      ...count([[0, 2]]),
      times: [
        [7, 1],
        [3, 1],
      ],
      timesMs: 10,
    },
    count([[0, 1]], 'N'),
  ]);
  const [times, ...more] = [...grpcTimes([one, two])];
  t.is(more.length, 0);
  t.like(times, { name: 'cluster.c.grpc.a.S.M.upstream_rq_time', sum: 24 });
  t.deepEqual([times?.buckets[3], times?.buckets[7]], [1, 3]);
  const registry = new StatRegistry(new ManualClock());
  registry.addHistograms(() => grpcTimes([one, two]));
  const text = renderStats(registry, new URLSearchParams('format=prometheus')).body;
  t.regex(text, /envoy_cluster_grpc_upstream_rq_time_count\{envoy_grpc_bridge_method="M",.*envoy_cluster_name="c"\} 4/);
  t.regex(text, /envoy_cluster_grpc_upstream_rq_time_sum\{.*\} 24/);
});
