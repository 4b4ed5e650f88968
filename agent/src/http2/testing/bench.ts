/**
 * What the codec costs for a request, in nanoseconds, without sockets: `node agent/src/http2/testing/bench.ts`. Best of
 * several rounds, since what else runs on the machine only ever adds.
 */
import { Head } from '../../http1/head.ts';
import { method } from '../../http1/known-headers.ts';
import { parseRequestHead } from '../../http1/parse-head.ts';
import { headCapacity, writeRequest } from '../../http1/serialize.ts';
import { viewOf } from '../../http1/words.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../connection.ts';
import { privateCounters } from '../counters.ts';
import { HeadAssembly } from '../head-assembly.ts';
import { HpackDecoder } from '../hpack-decoder.ts';
import { encodedBound, HpackEncoder } from '../hpack-encoder.ts';
import { decodedBound, huffmanDecode, huffmanEncode } from '../huffman.ts';
import { defaultHttp2Options } from '../options.ts';
import type { Http2Stream, Http2StreamEvents } from '../stream.ts';
import { wideLimits } from './hpack.ts';
import { Side } from './wire.ts';

const rounds = 9;

function measure(name: string, perRound: number, run: (n: number) => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.cpuUsage();
    run(perRound);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, ((user + system) * 1000) / perRound);
  }
  console.log(`${name.padEnd(64)} ${best.toFixed(0).padStart(6)} ns`);
}

const grpc: readonly (readonly [string, string])[] = [
  ['host', 'svc.mesh.local:50051'],
  ['content-type', 'application/grpc'],
  ['user-agent', 'grpc-go/1.62.0'],
  ['te', 'trailers'],
  ['grpc-accept-encoding', 'identity,deflate,gzip'],
  ['grpc-timeout', '1S'],
  ['x-request-id', '6f1c0b1e-4f5a-4cfd-9d5b-0a5c7f1f2b3d'],
  ['x-forwarded-proto', 'http'],
];

function grpcHead(path = '/helloworld.Greeter/SayHello'): Head {
  const head = new Head();
  head.method = method.POST;
  head.setTarget(path);
  for (const [name, value] of grpc) head.add(name, value);
  return head;
}

function responseHead(): Head {
  const head = new Head();
  head.status = 200;
  head.add('content-type', 'application/grpc');
  head.add('grpc-accept-encoding', 'gzip');
  return head;
}

function trailersHead(): Head {
  const head = new Head();
  head.add('grpc-status', '0');
  head.add('grpc-message', '');
  return head;
}

function encode(encoder: HpackEncoder, head: Head): Buffer {
  const to = Buffer.alloc(encodedBound(head));
  return to.subarray(0, encoder.request(head, 'http', viewOf(to), 0));
}

function huffman(): void {
  const text = Buffer.from('/helloworld.Greeter/SayHello?a=1234');
  const code = Buffer.alloc(64);
  const [textView, codeView] = [viewOf(text), viewOf(code)];
  const end = huffmanEncode(textView, 0, text.length, codeView, 0);
  const to = Buffer.alloc(decodedBound(64));
  measure('huffman: decode 35 bytes', 300_000, (n) => {
    for (let i = 0; i < n; i++) huffmanDecode(code, 0, end, to, 0);
  });
  measure('huffman: encode 35 bytes', 300_000, (n) => {
    for (let i = 0; i < n; i++) huffmanEncode(textView, 0, text.length, codeView, 0);
  });
}

function hpack(): void {
  const decoder = new HpackDecoder();
  const encoder = new HpackEncoder(4096);
  const assembly = new HeadAssembly(wideLimits);
  const head = new Head();
  const source = grpcHead();
  const padded = Buffer.alloc(2048);
  const view = viewOf(padded);
  const feed = (block: Buffer): void => {
    block.copy(padded);
    assembly.begin(head, 'request', wideLimits, false);
    if (!decoder.decode(padded, view, 0, block.length, assembly) || assembly.finish() !== 0)
      throw new Error('not decoded');
  };
  for (let i = 0; i < 3; i++) feed(encode(encoder, source));
  const block = Buffer.from(encode(encoder, source));
  measure(`hpack: decode a gRPC request, ${block.length} bytes, all indexed`, 200_000, (n) => {
    for (let i = 0; i < n; i++) feed(block);
  });
  const literal = Buffer.from(encode(new HpackEncoder(0), source));
  const other = literal.subarray(1); // without the size update
  measure(`hpack: decode a gRPC request, ${other.length} bytes, all literal`, 100_000, (n) => {
    for (let i = 0; i < n; i++) feed(other);
  });
  feed(block);
  const to = viewOf(Buffer.alloc(4096));
  const second = new HpackEncoder(4096);
  measure('hpack: encode a gRPC request as it was decoded', 200_000, (n) => {
    for (let i = 0; i < n; i++) second.request(head, 'http', to, 0);
  });
  measure('hpack: encode a gRPC request from HTTP/1.1, without identities', 200_000, (n) => {
    for (let i = 0; i < n; i++) encoder.request(source, 'http', to, 0);
  });
  const h1 = Buffer.alloc(headCapacity(head));
  measure('hpack: write a decoded request as HTTP/1.1', 200_000, (n) => {
    for (let i = 0; i < n; i++) writeRequest(head, h1, 0);
  });
  const text = `POST /helloworld.Greeter/SayHello HTTP/1.1\r\n${grpc.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;
  const bytes = Buffer.from(text);
  measure(`for comparison: parse the same as HTTP/1.1, ${bytes.length} bytes`, 100_000, (n) => {
    for (let i = 0; i < n; i++) {
      if (parseRequestHead(bytes, 0, bytes.length, head, wideLimits) <= 0) throw new Error('not parsed');
      head.take(bytes, 0);
    }
  });
}

const quiet: Http2ConnectionEvents = {
  onConnected() {},
  onStream() {},
  onCapacity() {},
  onGoaway() {},
  onClosed(_connection, _reason, code, detail) {
    throw new Error(`closed: ${code} ${detail}`);
  },
};

/** Sinks of one side: what is written is dropped. */
class Sink extends Side {
  override write(): boolean {
    return true;
  }
}

/** A request and its answer through a relay: server side, client side, and back, without sockets. */
class Relay implements Http2StreamEvents {
  other: Http2Stream | null = null;
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  onHead(_stream: Http2Stream, head: Head, last: boolean): void {
    this.other?.sendHead(head, last);
  }
  onData(_stream: Http2Stream, start: number, end: number, last: boolean): void {
    this.other?.sendData(this.#buffer, start, end, last);
  }
  onTrailers(_stream: Http2Stream, head: Head): void {
    this.other?.sendTrailers(head);
  }
  onReset(_stream: Http2Stream, code: number, cause: string): void {
    throw new Error(`reset ${code} ${cause}`);
  }
  onDrained(): void {}
}

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const b = Buffer.alloc(9 + payload.length);
  b.writeUIntBE(payload.length, 0, 3);
  b[3] = type;
  b[4] = flags;
  b.writeUInt32BE(id, 5);
  payload.copy(b, 9);
  return b;
}

const streamsAtOnce = 32;

/** Bytes of 32 exchanges at once, with the ids to be filled in; `bodyBytes` each way. */
function relay(bodyBytes: number): void {
  const side = new Sink();
  const up = new Sink(undefined, side);
  const options = { ...defaultHttp2Options, settingsTimeoutMs: 0 };
  const upstream = new Http2Connection(up.host, up, 'client', options, privateCounters(), quiet);
  const downstream = new Http2Connection(side.host, side, 'server', options, privateCounters(), {
    ...quiet,
    onStream(stream, head, last) {
      const down = new Relay(side.host.readBuffer);
      const back = new Relay(side.host.readBuffer);
      stream.events = down;
      down.other = upstream.open(head, last, back);
      back.other = stream;
    },
  });
  downstream.start();
  upstream.start();
  const settings = frame(4, 0, 0, Buffer.alloc(0));
  const wide = frame(4, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]));
  const window = frame(8, 0, 0, Buffer.from([0x7f, 0, 0, 0]));
  side.feed(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings, wide, window]));
  up.feed(Buffer.concat([settings, wide, window]));
  const clientEncoder = new HpackEncoder(4096);
  const serverEncoder = new HpackEncoder(4096);
  const to = Buffer.alloc(4096);
  const view = viewOf(to);
  const block = (end: number): Buffer => Buffer.from(to.subarray(0, end));
  const requestBlock = (): Buffer => block(clientEncoder.request(grpcHead(), 'http', view, 0));
  const responseBlock = (): Buffer => block(serverEncoder.response(responseHead(), view, 0));
  const trailersBlock = (): Buffer => block(serverEncoder.trailers(trailersHead(), view, 0));
  const body = Buffer.alloc(bodyBytes, 97);
  const requests = (first: number): Buffer => {
    const parts: Buffer[] = [];
    for (let i = 0; i < streamsAtOnce; i++) {
      const id = first + 2 * i;
      parts.push(frame(1, 4, id, requestBlock()));
      for (let at = 0; at < bodyBytes; at += 16_384) {
        const part = body.subarray(at, at + 16_384);
        parts.push(frame(0, at + 16_384 >= bodyBytes ? 1 : 0, id, part));
      }
    }
    return Buffer.concat(parts);
  };
  const responses = (first: number): Buffer => {
    const parts: Buffer[] = [];
    for (let i = 0; i < streamsAtOnce; i++) {
      const id = first + 2 * i;
      parts.push(frame(1, 4, id, responseBlock()));
      for (let at = 0; at < bodyBytes; at += 16_384) parts.push(frame(0, 0, id, body.subarray(at, at + 16_384)));
      parts.push(frame(1, 5, id, trailersBlock()));
    }
    return Buffer.concat(parts);
  };
  // Warm tables first: from then on the bytes differ only in their ids, which are written anew.
  let id = 1;
  for (let i = 0; i < 3; i++, id += 2 * streamsAtOnce) {
    side.feed(requests(id));
    up.feed(responses(id));
  }
  const request = requests(id);
  const response = responses(id);
  const renumber = (bytes: Buffer, first: number): void => {
    let before = 0;
    let index = -1;
    for (let p = 0; p < bytes.length; p += 9 + bytes.readUIntBE(p, 3)) {
      const old = bytes.readUInt32BE(p + 5);
      if (old !== before) index++;
      before = old;
      bytes.writeUInt32BE(first + 2 * index, p + 5);
    }
  };
  const feedAll = (to: Sink, bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; at += 65_536) to.feedRaw(bytes, at, Math.min(bytes.length, at + 65_536));
  };
  // The peers of a real relay acknowledge; here the windows are simply opened again.
  const reopen = (): void => {
    up.feed(window0);
    side.feed(window0);
  };
  const window0 = frame(8, 0, 0, Buffer.from([0, 0x10, 0, 0]));
  let since = 0;
  measure(`relay: gRPC exchange, ${bodyBytes} bytes each way, 32 at once`, bodyBytes > 10_000 ? 3200 : 32_000, (n) => {
    for (let i = 0; i < n; i += streamsAtOnce, id += 2 * streamsAtOnce) {
      renumber(request, id);
      renumber(response, id);
      feedAll(side, request);
      feedAll(up, response);
      since += bodyBytes * streamsAtOnce;
      if (since > 0x100000) {
        since -= 0x100000;
        reopen();
      }
    }
  });
  if (downstream.activeStreams + upstream.activeStreams !== 0) throw new Error('streams stay open');
}

huffman();
hpack();
relay(105);
relay(65_536);
