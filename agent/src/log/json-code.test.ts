import test from 'ava';
import fc from 'fast-check';
import type { LogRecord } from '../http/request-view.ts';
import type { JsonLogFields } from '../model/log.ts';
import { connection } from '../policy/testing/request.ts';
import { compileJsonLine } from './json-format.ts';
import { LineBuffer, uncut } from './line-buffer.ts';
import { numberFields, stringFields } from './record-fields.ts';
import { record } from './testing/record.ts';

const operators = [
  ...numberFields,
  ...stringFields,
  'START_TIME',
  'START_TIME(%s.%3f)',
  'REQ(:METHOD)',
  'REQ(:AUTHORITY)',
  'REQ(X-A)',
  'REQ(X-A?X-B)',
  'REQ(X-B?X-A)',
  'REQ(X-ENVOY-ORIGINAL-PATH?:PATH)',
  'RESP(X-A)',
  'RESP(X-C?X-A)',
  'TRAILER(X-A)',
  'GRPC_STATUS',
  'LOCAL_REPLY_BODY',
].map((name) => `%${name}%`);

/** With a cut, a mixture, a constant and an object among them: what the code leaves to others. */
const formats = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...operators) },
  { weight: 1, arbitrary: fc.constantFrom('%REQ(X-A):3%', 'a %PROTOCOL% b', 'only text', '%LOCAL_REPLY_BODY%') },
);
const leaves = fc.dictionary(fc.string({ maxLength: 6 }), formats, { maxKeys: 12 });
const fields: fc.Arbitrary<JsonLogFields> = fc
  .tuple(leaves, leaves)
  .map(([outer, inner]) => (Object.keys(inner).length > 6 ? { ...outer, inside: inner } : outer));

const value = fc.oneof(
  fc.constantFrom('', 'a', 'curl/8', 'a"b', 'back\\slash', 'caf\u00e9', '\u0001', 'x'.repeat(130), 'y'.repeat(300)),
  fc.string({ maxLength: 40, unit: 'binary-ascii' }),
);
const headers = fc.option(value).map((v): [string, string][] => (v === null ? [] : [['x-a', v]]));

const records: fc.Arbitrary<LogRecord> = fc
  .record({
    requestHeaders: headers,
    answerHeaders: headers,
    path: value.map((v) => `/${v}`),
    isRequest: fc.boolean(),
    number: fc.oneof(fc.integer({ min: -1, max: 100_000 }), fc.constantFrom(0, 2 ** 31, 2 ** 40, 0.25)),
    text: value,
    rewritten: fc.boolean(),
  })
  .map(({ requestHeaders, answerHeaders, path, isRequest, number, text, rewritten }) => ({
    ...record({
      http: isRequest ? { path, headers: requestHeaders } : null,
      responseHeaders: Object.fromEntries(answerHeaders),
      status: number,
      bytesSent: number,
      durationMs: number,
      details: text,
      routeName: text,
      upstreamCluster: text,
      upstreamHost: text,
      rewrittenFrom: rewritten ? '/before' : '',
    }),
    ...(isRequest ? {} : { connection: connection({ peerPrincipal: text, sni: text }) }),
  }));

interface Written {
  readonly overflowed: boolean;
  readonly text: string;
}

function written(write: ReturnType<typeof compileJsonLine>, of: LogRecord, room: number, valueLimit: number): Written {
  const line = new LineBuffer(new Uint8Array(70_000));
  line.begin(8, 8 + room, valueLimit);
  write(line, of);
  const text = line.overflowed ? '' : Buffer.from(line.bytes.subarray(8, line.at)).toString('utf8');
  return { overflowed: line.overflowed, text };
}

/** The loop writes lines whose values have a limit, also where that limit cuts nothing. */
const byLoop = uncut - 1;

test('the code writes what the loop writes, for every operator, record and room', (t) => {
  const rooms = fc.oneof(fc.constant(65_000), fc.nat({ max: 3000 }));
  fc.assert(
    fc.property(fields, fc.array(records, { minLength: 1, maxLength: 5 }), rooms, (format, several, room) => {
      const code = compileJsonLine(format, false);
      const loop = compileJsonLine(format, false);
      // Twice: texts that came twice running are written in another way.
      for (const one of several.flatMap((r) => [r, r, r])) {
        const [a, b] = [written(code, one, room, uncut), written(loop, one, room, byLoop)];
        // The loop is more careful about room for escapes.
        if (a.overflowed && !b.overflowed) return false;
        if (a.overflowed) continue;
        if (a.text !== (b.overflowed ? written(loop, one, 65_000, byLoop) : b).text) return false;
        JSON.parse(a.text);
      }
      return true;
    }),
    { numRuns: 1500 },
  );
  t.pass();
});

test('nothing behind the room is touched, however little there is', (t) => {
  const format = Object.fromEntries(operators.map((operator, i) => [`k${i}`, operator]));
  const write = compileJsonLine(format, false);
  const of = record({ http: { path: '/p', headers: [['x-a', 'v'.repeat(200)]] } });
  const line = new LineBuffer(new Uint8Array(70_000).fill(0xee));
  for (let room = 0; room < 12_000; room += 7) {
    line.begin(0, room, uncut);
    write(line, of);
    if (!line.bytes.subarray(room, room + 64).every((byte) => byte === 0xee)) t.fail(`${room} bytes of room`);
  }
  t.pass();
});

test('names and texts of the configuration are no code', (t) => {
  const nasty = '"];process.exit(1);//`$\u2028\n';
  const write = compileJsonLine({ [nasty]: nasty, [`${nasty}b`]: '%PROTOCOL%' }, false);
  t.deepEqual(JSON.parse(written(write, record(), 10_000, uncut).text), { [nasty]: nasty, [`${nasty}b`]: 'HTTP/1.1' });
});
