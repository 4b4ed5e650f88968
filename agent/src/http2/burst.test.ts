/** A burst of requests in one read does not keep the worker from its other connections (CVE-2023-44487). */
import test from 'ava';
import { data, ping, request, server } from './testing/raw.ts';

const count = 250;
const ids = Array.from({ length: count }, (_, i) => 2 * i + 1);

/** The same in bytes, and what comes after. */
const burst = (...more: readonly Buffer[]): Buffer => Buffer.concat([...ids.map((id) => request(id, 5)), ...more]);

test('so many requests are begun in a turn; the rest, and what stands between, comes in order afterwards', (t) => {
  const rig = server();
  rig.side.arrive(burst(ping()));
  t.is(rig.streams.length, 100);
  rig.side.endTurn();
  t.is(rig.streams.length, 200);
  t.deepEqual(rig.frames(), []);
  rig.side.endTurn();
  t.is(rig.streams.length, count);
  t.deepEqual(
    rig.streams.map((s) => s.id),
    ids,
  );
  rig.side.turn();
  t.deepEqual(rig.frames(), ['ping ack']);
});

test('regression: the rest of a burst waits for a turn, not for a tick of the clock', (t) => {
  const rig = server();
  rig.side.feed(burst());
  t.is(rig.streams.length, count);
});

test('a frame that is cut where the turn ends goes on with its rest', (t) => {
  const rig = server();
  const last = data(1, 1, 'abcdef');
  rig.side.arrive(Buffer.concat([request(1), ...ids.slice(1, 101).map((id) => request(id, 5)), last.subarray(0, 12)]));
  t.is(rig.streams.length, 100);
  rig.side.endTurn();
  rig.feed(last.subarray(12));
  t.is(rig.streams.length, 101);
  t.is(rig.log.filter((line) => line.startsWith('data')).join(), 'data 1 abc,data 1 def end');
});

test('a connection that ends while it rests begins nothing more', (t) => {
  const rig = server();
  rig.side.arrive(burst());
  rig.connection.close(0, '');
  rig.side.turn();
  t.is(rig.streams.length, 100);
});
