/** A burst of requests in one read does not keep the worker from its other connections (CVE-2023-44487). */
import test from 'ava';
import { data, frame, ping, request, server } from './testing/raw.ts';

const count = 250;
const ids = Array.from({ length: count }, (_, i) => 2 * i + 1);

test('so many requests are begun in a turn; the rest, and what stands between, comes in order afterwards', (t) => {
  const rig = server();
  rig.feed(...ids.map((id) => request(id, 5)), ping());
  t.is(rig.streams.length, 100);
  t.deepEqual(rig.frames(), []);
  rig.side.pass(1);
  t.is(rig.streams.length, 200);
  rig.side.pass(1);
  t.is(rig.streams.length, count);
  t.deepEqual(
    rig.streams.map((s) => s.id),
    ids,
  );
  rig.side.turn();
  t.deepEqual(rig.frames(), ['ping ack']);
});

test('a frame that is cut where the turn ends goes on with its rest', (t) => {
  const rig = server();
  const last = data(1, 1, 'abcdef');
  rig.feed(request(1), ...ids.slice(1, 101).map((id) => request(id, 5)), last.subarray(0, 12));
  rig.side.pass(1);
  rig.feed(last.subarray(12));
  t.is(rig.streams.length, 101);
  t.is(rig.log.filter((line) => line.startsWith('data')).join(), 'data 1 abc,data 1 def end');
});

test('a connection that ends while it rests begins nothing more', (t) => {
  const rig = server();
  rig.feed(...ids.map((id) => request(id, 5)), frame(6, 0, 1, Buffer.alloc(8)));
  rig.connection.close(0, '');
  rig.side.pass(10);
  t.is(rig.streams.length, 100);
});
