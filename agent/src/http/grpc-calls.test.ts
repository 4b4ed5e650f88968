import test from 'ava';
import { GrpcCallTable, MessageCounter } from './grpc-calls.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { workerShared } from './worker-shared.ts';

const message = (length: number): Buffer => {
  const b = Buffer.alloc(5 + length, 7);
  b[0] = 0;
  b.writeUInt32BE(length, 1);
  return b;
};

test('messages are counted however their bytes are split', (t) => {
  const wire = Buffer.concat([message(0), message(1), message(300), message(0), message(2)]);
  for (let cut = 0; cut <= wire.length; cut++) {
    const counter = new MessageCounter();
    t.is(counter.count(wire, 0, cut) + counter.count(wire, cut, wire.length), 5, `${cut}`);
  }
  const counter = new MessageCounter();
  let sum = 0;
  for (let i = 0; i < wire.length; i++) sum += counter.count(wire, i, i + 1);
  t.is(sum, 5);
});

test('methods are told apart as asked, and never more than so many', (t) => {
  const table = new GrpcCallTable();
  const all = { methods: 'all', replaceDots: false, times: false } as const;
  const listed = { methods: ['/a.B/C'], replaceDots: true, times: false };
  t.like(table.of(all, 'c', '/a.B/C'), { service: 'a.B', method: 'C' });
  t.is(table.of(all, 'c', '/a.B/C'), table.of(all, 'c', '/a.B/C'));
  t.not(table.of(all, 'c', '/a.B/C'), table.of(all, 'd', '/a.B/C'));
  t.like(table.of({ ...all, replaceDots: true }, 'e', '/a.B/C'), { service: 'a_B', method: 'C' });
  t.like(table.of(listed, 'f', '/a.B/C'), { service: 'a.B', method: 'C' });
  t.like(table.of(listed, 'f', '/a.B/D'), { service: '', method: '' });
  t.like(table.of(all, 'f', `/a/${'x'.repeat(300)}`), { service: '', method: '' });
  for (const path of ['/', '', '/a', '/a/b/c', '/a/', '//b']) t.is(table.of(all, 'f', path), null, path);
  for (let i = 0; i < 5000; i++) table.of(all, 'c', `/x/${i}`)?.ended(12);
  const changes = table.takeChanges();
  t.true(changes.length <= 1001, `${changes.length}`);
  t.is(
    changes.reduce((sum, c) => sum + (c.statuses[0]?.[1] ?? 0), 0),
    5000,
    'none is lost',
  );
  t.deepEqual(table.takeChanges(), []);
});

const call =
  'POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 11\r\n\r\n\0\0\0\0\x01x\0\0\0\0\0';
const answer =
  'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n0\r\ngrpc-status: 5\r\n\r\n';

test('a call counts with its messages and its status, a local answer too, and no other request', (t) => {
  const stats = { methods: 'all', replaceDots: false, times: false } as const;
  const w = new FakeWorker({ manager: { filters: [{ kind: 'grpc_stats', ...stats }, { kind: 'router' }] } });
  const client = w.client();
  client.feed(call);
  w.upstream(0).feed(answer);
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream(0).feed('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  t.deepEqual(workerShared(w).grpcCalls.takeChanges(), [
    {
      cluster: 'app',
      service: 'a.B',
      method: 'C',
      requestMessages: 2,
      responseMessages: 1,
      statuses: [[5, 1]],
      times: [],
      timesMs: 0,
    },
  ]);
  client.feed(call);
  w.upstream(0).fail('remote-reset');
  t.deepEqual(workerShared(w).grpcCalls.takeChanges()[0]?.statuses, [
    [5, 1],
    [14, 1],
  ]);
});

test('the time of an upstream is from the end of the request to the end of its answer, where it is wanted', (t) => {
  const timed = (times: boolean) => {
    const stats = { methods: 'all', replaceDots: false, times } as const;
    const w = new FakeWorker({ manager: { filters: [{ kind: 'grpc_stats', ...stats }, { kind: 'router' }] } });
    const client = w.client();
    client.feed(call.slice(0, -3));
    w.advance(500);
    client.feed(call.slice(-3));
    w.advance(7);
    w.upstream(0).feed(answer);
    return workerShared(w).grpcCalls.takeChanges();
  };
  t.like(timed(true)[0], { times: [[7, 1]], timesMs: 7 });
  t.like(timed(false)[0], { times: [], timesMs: 0 });
});
