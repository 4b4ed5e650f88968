import test from 'ava';
import type { GrpcCallCount } from '../model/update.ts';
import { GrpcCallSums, grpcStats } from './grpc-calls.ts';

const count = (statuses: GrpcCallCount['statuses'], method = 'M'): GrpcCallCount => ({
  cluster: 'c',
  service: method === '' ? '' : 'a.S',
  method,
  requestMessages: 2,
  responseMessages: 3,
  statuses,
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
