/**
 * The attacks on HTTP/2, each as the bytes of one connection, and what shows that it was noticed. Their sources:
 * CVE-2023-44487 (rapid reset), CVE-2024-27316, -27919 and -30255 (CONTINUATION), CVE-2019-9511 to -9518 (windows,
 * PING, PRIORITY, SETTINGS, empty frames), CVE-2016-6581 (HPACK), CVE-2026-47774 (cookies).
 */
import { flags, frame, headers, indexed, literal, number, request, settings, types } from './h2-frames.ts';

export interface Attack {
  readonly name: string;
  /** Behind the preface. */
  readonly bytes: () => Buffer;
  /** The connection reads nothing. */
  readonly deaf?: boolean;
  /** A counter that must rise, by the end of its name. */
  readonly counted: readonly string[];
  /** What GOAWAY must say, where it must come; null where the connection is cut, or only its streams. */
  readonly goaway: number | null;
}

const protocolError = 1;
const flowControlError = 3;
const frameSizeError = 6;
const enhanceYourCalm = 11;

const repeat = (count: number, of: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => of(i)));
const id = (i: number): number => 2 * i + 1;
const hello = settings();
const get = request('GET', '/y');
const openPost = headers(1, request('POST', '/hang'), flags.endHeaders);
const fields = (count: number, size: number): Buffer => repeat(count, (i) => literal(`x-${i}`, 'y'.repeat(size)));

const goawaySent = ['http2.goaway_sent'] as const;

/** A head of one field that goes into the table, size bytes large, and is named again so many times. */
const bomb = (name: string, field: string, size: number, times: number): Attack => ({
  name,
  bytes: () => {
    const entry = literal(field, 'y'.repeat(size), true);
    const named = repeat(times, () => indexed(62));
    return Buffer.concat([hello, headers(1, request('GET', '/x', entry, named)), headers(3, get)]);
  },
  counted: ['http2.header_overflow'],
  goaway: null,
});

export const floods: readonly Attack[] = [
  {
    name: 'rapid reset',
    bytes: () =>
      Buffer.concat([
        hello,
        repeat(3000, (i) => Buffer.concat([headers(id(i), get), frame(types.reset, 0, id(i), number(8))])),
      ]),
    counted: ['http2.rx_reset', ...goawaySent],
    goaway: enhanceYourCalm,
  },
  {
    name: 'rapid reset by our own errors: each request breaks a rule of its stream',
    bytes: () =>
      Buffer.concat([
        hello,
        repeat(3000, (i) => Buffer.concat([headers(id(i), get), frame(types.windowUpdate, 0, id(i), number(0))])),
      ]),
    counted: goawaySent,
    goaway: enhanceYourCalm,
  },
  {
    name: 'CONTINUATION without end',
    bytes: () =>
      Buffer.concat([
        hello,
        headers(1, get, 0),
        repeat(20_000, (i) => frame(types.continuation, 0, 1, literal(`x-${i}`, 'y'))),
      ]),
    counted: goawaySent,
    goaway: enhanceYourCalm,
  },
  {
    name: 'CONTINUATION without end, and large',
    bytes: () =>
      Buffer.concat([hello, headers(1, get, 0), repeat(400, () => frame(types.continuation, 0, 1, fields(8, 2000)))]),
    counted: goawaySent,
    goaway: enhanceYourCalm,
  },
  {
    name: 'empty CONTINUATION',
    bytes: () => Buffer.concat([hello, headers(1, get, 0), repeat(20_000, () => frame(types.continuation, 0, 1))]),
    counted: ['http2.inbound_empty_frames_flood'],
    goaway: enhanceYourCalm,
  },
  {
    name: 'empty DATA',
    bytes: () => Buffer.concat([hello, openPost, repeat(20_000, () => frame(types.data, 0, 1))]),
    counted: ['http2.inbound_empty_frames_flood'],
    goaway: enhanceYourCalm,
  },
  {
    name: 'DATA that is only padding',
    bytes: () =>
      Buffer.concat([hello, openPost, repeat(20_000, () => frame(types.data, flags.padded, 1, Buffer.from([0])))]),
    counted: ['http2.inbound_empty_frames_flood'],
    goaway: enhanceYourCalm,
  },
  {
    name: 'PRIORITY',
    bytes: () =>
      Buffer.concat([
        hello,
        repeat(20_000, (i) => frame(types.priority, 0, id(i % 1000), Buffer.from([0, 0, 0, 0, 1]))),
      ]),
    counted: ['http2.inbound_priority_frames_flood'],
    goaway: enhanceYourCalm,
  },
  {
    name: 'WINDOW_UPDATE',
    bytes: () => Buffer.concat([hello, repeat(20_000, () => frame(types.windowUpdate, 0, 0, number(1)))]),
    counted: ['http2.inbound_window_update_frames_flood'],
    goaway: enhanceYourCalm,
  },
  {
    name: 'PING that nobody reads the answers of',
    bytes: () => Buffer.concat([hello, repeat(800_000, () => frame(types.ping, 0, 0, Buffer.alloc(8)))]),
    deaf: true,
    counted: ['http2.outbound_control_flood'],
    goaway: null,
  },
  {
    name: 'SETTINGS that nobody reads the answers of',
    bytes: () => Buffer.concat([hello, repeat(1_000_000, () => settings())]),
    deaf: true,
    counted: ['http2.outbound_control_flood'],
    goaway: null,
  },
  bomb('an HPACK bomb: one entry of the table, named 12,000 times', 'x', 3000, 12_000),
  bomb('a cookie bomb: crumbs of the table', 'cookie', 1000, 15_000),
];

/** Each breaks one rule once: the connection is over, and says why. */
export const breaches: readonly Attack[] = [
  ...(
    [
      ['a stream of the server', headers(2, get), protocolError],
      ['stream 0', headers(0, get), protocolError],
      ['an id below the last one', Buffer.concat([headers(5, get), headers(3, get)]), null],
      ['DATA on a stream that never was', frame(types.data, 0, 9, Buffer.from('x')), protocolError],
      ['RST_STREAM of a stream that never was', frame(types.reset, 0, 9, number(8)), protocolError],
      ['WINDOW_UPDATE of a stream that never was', frame(types.windowUpdate, 0, 9, number(8)), protocolError],
      [
        'another frame inside a header block',
        Buffer.concat([headers(1, get, 0), frame(types.ping, 0, 0, Buffer.alloc(8))]),
        protocolError,
      ],
      [
        'CONTINUATION of another stream',
        Buffer.concat([headers(1, get, 0), frame(types.continuation, 4, 3)]),
        protocolError,
      ],
      ['a frame above the largest size', frame(types.ping, 0, 0, Buffer.alloc(20_000)), frameSizeError],
      [
        'a window that overflows',
        Buffer.concat([
          frame(types.windowUpdate, 0, 0, number(0x7fffffff)),
          frame(types.windowUpdate, 0, 0, number(0x7fffffff)),
        ]),
        flowControlError,
      ],
      ['an initial window above 2^31 - 1', settings([4, 0x80000000]), flowControlError],
      ['a largest frame below 16,384', settings([5, 100]), protocolError],
      ['a push promise', frame(5, 4, 1, Buffer.concat([number(2), get])), protocolError],
      ['an index that is not in the table', headers(1, Buffer.concat([get, indexed(200)])), 9],
    ] as const
  ).map(([name, bytes, goaway]) => ({ name, bytes: () => Buffer.concat([hello, bytes]), counted: goawaySent, goaway })),
];

/** Take what is theirs and give nothing: memory stays, and a deadline ends them. */
export const hoarders: readonly Attack[] = [
  {
    name: 'no window for any of 200 large answers',
    bytes: () => Buffer.concat([settings([4, 0]), repeat(200, (i) => headers(id(i), request('GET', '/big')))]),
    counted: ['downstream_rq_idle_timeout', 'http2.tx_flush_timeout', 'http2.tx_reset'],
    goaway: null,
  },
  {
    name: 'large windows, and nothing is read',
    bytes: () =>
      Buffer.concat([
        settings([4, 0x7fffffff]),
        frame(types.windowUpdate, 0, 0, number(0x7fff0000)),
        repeat(100, (i) => headers(id(i), request('GET', '/big'))),
      ]),
    deaf: true,
    counted: ['downstream_rq_idle_timeout', 'http2.tx_flush_timeout', 'http2.tx_reset'],
    goaway: null,
  },
  {
    name: 'windows of one byte',
    bytes: () => Buffer.concat([settings([4, 1]), repeat(200, (i) => headers(id(i), request('GET', '/big')))]),
    counted: ['downstream_rq_idle_timeout', 'http2.tx_flush_timeout', 'http2.tx_reset'],
    goaway: null,
  },
  {
    name: '1,000 requests whose bodies never come',
    bytes: () =>
      Buffer.concat([hello, repeat(1000, (i) => headers(id(i), request('POST', '/hang'), flags.endHeaders))]),
    counted: ['downstream_rq_idle_timeout', 'http2.tx_reset'],
    goaway: null,
  },
];
