/** What must hold for every byte that comes on an HTTP/2 connection, and for every header block. */
import { Head } from '../http1/head.ts';
import { slack, viewOf } from '../http1/words.ts';
import { clientPreface } from '../http2/frame.ts';
import { HeadAssembly, headVerdict } from '../http2/head-assembly.ts';
import { HpackDecoder } from '../http2/hpack-decoder.ts';
import { encodedBound, HpackEncoder } from '../http2/hpack-encoder.ts';
import type { Role } from '../http2/settings.ts';
import { fieldsOf } from '../http2/testing/hpack.ts';
import { Rig, settings } from '../http2/testing/raw.ts';
import { Side } from '../http2/testing/wire.ts';
import { must, type Target } from './target.ts';

const limits = { maxBytes: 8_192, maxHeaders: 32 };
const margin = 16;

/** Blocks are separated by their length in one byte. */
function* blocksOf(input: Buffer): Iterable<Buffer> {
  for (let p = 0; p < input.length; ) {
    const length = Math.min(input[p] ?? 0, input.length - p - 1);
    yield input.subarray(p + 1, p + 1 + length);
    p += 1 + length;
  }
}

const kinds = ['request', 'response', 'trailers', 'ignored'] as const;

function decode(
  decoder: HpackDecoder,
  block: Buffer,
  kind: (typeof kinds)[number],
): { ok: boolean; verdict: number; head: Head } {
  const bytes = Buffer.alloc(block.length + 2 * margin, 0xa5);
  bytes.set(block, margin);
  const assembly = new HeadAssembly(limits);
  const head = new Head();
  assembly.begin(head, kind, limits, true);
  const ok = decoder.decode(bytes, viewOf(bytes), margin, margin + block.length, assembly);
  must(bytes.subarray(margin, margin + block.length).equals(block), 'a block is not written to');
  assembly.finish();
  return { ok, verdict: assembly.verdict, head };
}

function checkHead(head: Head): void {
  must(head.count <= limits.maxHeaders + 1, 'the number of fields is bounded');
  must(head.bytes.length <= 65_536, 'memory is bounded');
  for (let i = 0; i < head.count; i++) {
    if (head.isRemoved(i)) continue;
    must(/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(head.name(i)), `a field name is a lower-case token: ${head.name(i)}`);
    const value = head.value(i);
    must(!/[\0\r\n]/.test(value), 'a value has no CR, LF or NUL');
    must(!/^[ \t]|[ \t]$/.test(value), 'a value is not padded');
    must(
      !/^(connection|transfer-encoding|upgrade|keep-alive|proxy-connection)$/.test(head.name(i)),
      'nothing of a connection',
    );
  }
}

function lineOf(h: Head): string {
  const target = h.text(h.targetStart, h.targetEnd);
  const query = h.queryStart - h.targetStart;
  const protocol = h.text(h.protocolStart, h.protocolEnd);
  const first = `${h.methodName()} ${h.schemeName()} ${target} ${query} ${h.pathMarks} ${protocol} ${h.status}`;
  return `${first} ${h.contentLength} ${h.expectContinue}`;
}

function same(a: Head, b: Head): boolean {
  const masks = a.seenLow === b.seenLow && a.seenHigh === b.seenHigh;
  return masks && lineOf(a) === lineOf(b) && fieldsOf(a).join('\n') === fieldsOf(b).join('\n');
}

/** What a good head says must survive our encoder and a decoder at its other end, twice. */
function roundTrip(
  head: Head,
  kind: 'request' | 'response' | 'trailers',
  encoder: HpackEncoder,
  decoder: HpackDecoder,
): void {
  for (let i = 0; i < 2; i++) {
    const to = Buffer.alloc(encodedBound(head));
    const view = viewOf(to);
    const end = kind === 'request' ? encoder.request(head, 'http', view, 0) : encoder[kind](head, view, 0);
    must(end <= to.length - slack, 'the bound holds');
    const back = decode(decoder, Buffer.from(to.subarray(0, end)), kind);
    must(back.ok && back.verdict === headVerdict.ok, `what was accepted is accepted again, not ${back.verdict}`);
    must(lineOf(head) === lineOf(back.head), `the first line is the same: ${lineOf(head)} and ${lineOf(back.head)}`);
    const sorted = (h: Head): string =>
      fieldsOf(h)
        .filter((f) => !f.startsWith('host:') || kind === 'request')
        .sort()
        .join('\n');
    must(sorted(head) === sorted(back.head), `the fields are the same: ${sorted(head)} and ${sorted(back.head)}`);
  }
}

function hpack(input: Buffer): void {
  const kind = kinds[(input[0] ?? 0) & 3] ?? 'request';
  const decoder = new HpackDecoder();
  const forgetful = new HpackDecoder(false);
  const encoder = new HpackEncoder((input[0] ?? 0) > 127 ? 200 : 4096);
  const other = new HpackDecoder();
  for (const block of blocksOf(input.subarray(1))) {
    // What comes again is read from a memo from the third time on.
    for (let i = 0; i < 3; i++) {
      const { ok, verdict, head } = decode(decoder, block, kind);
      const fresh = decode(forgetful, block, kind);
      must(ok === fresh.ok && verdict === fresh.verdict, 'a memo decides nothing');
      if (!ok) return;
      must(verdict !== headVerdict.ok || same(head, fresh.head), 'a memo is what was read');
      if (kind === 'ignored') {
        must(head.count === 0 && head.used === 0, 'nothing is kept of what is ignored');
      } else if (verdict === headVerdict.ok) {
        checkHead(head);
        roundTrip(head, kind, encoder, other);
      }
    }
  }
}

let thread: Side | null = null;

/** A conversation with the bytes in pieces: all that can be seen of it from outside. */
function converse(role: Role, pieces: readonly Buffer[]): string {
  thread ??= new Side();
  const rig = new Rig(role, { maxConcurrentStreams: 5, initialStreamWindowSize: 100, maxHeaderBytes: 2000 }, thread);
  if (role === 'client') for (let i = 0; i < 3; i++) rig.open(i === 0);
  else {
    rig.onRequest = (stream) => {
      if (stream.id % 4 === 1) rig.answer(stream, false);
    };
    // Once, at the end: a body may come in more pieces when its bytes do.
    rig.onBody = (stream) => {
      if (stream.remoteClosed) stream.sendData(Buffer.from('answer'), 0, 6, true);
    };
  }
  rig.side.feed(role === 'server' ? Buffer.concat([clientPreface, settings()]) : settings());
  for (const piece of pieces) rig.side.feed(piece);
  must(rig.count('streams_active') === rig.connection.activeStreams, 'streams are counted');
  must(rig.connection.activeStreams <= 5, 'no more streams than were announced');
  const ends = rig.log.filter((l) => l.startsWith('closed'));
  must(ends.length <= 1 && (ends.length === 0 || rig.log.at(-1) === ends[0]), 'the end is told once, and last');
  if (!rig.connection.closed) rig.side.fail('remote-reset');
  must(rig.count('pending_send_bytes') === 0 && rig.count('streams_active') === 0, 'nothing is left behind');
  must(rig.side.timers === 0 && rig.connection.activeStreams === 0, 'no timer and no stream is left');
  // Bodies come in pieces, and what we send depends on when: of those only the sum is the same.
  const bytes = new Map<string, number>();
  const said: string[] = [];
  for (const line of rig.log) {
    const [kind, id, text] = line.split(' ');
    if (kind !== 'data') said.push(line);
    else if (!/^\d{2,}$/.test(text ?? ''))
      bytes.set(id ?? '', (bytes.get(id ?? '') ?? 0) + (text === 'end' ? 0 : (text ?? '').length));
  }
  const resets = rig.frames().filter((f) => /^(rstStream|goaway|settings|ping)/.test(f));
  return JSON.stringify([said, resets]);
}

function conversation(role: Role): (input: Buffer) => void {
  return (input) => {
    const whole = converse(role, [input]);
    const step = Math.max(1, Math.floor(input.length / 12));
    for (let at = 1; at < input.length; at += step) {
      const split = converse(role, [input.subarray(0, at), input.subarray(at)]);
      must(split === whole, `split at ${at}: ${split}\nwhole: ${whole}`);
    }
  };
}

const frameWords = [
  '\0\0\0\x04\x01\0\0\0\0',
  '\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x0a',
  '\0\0\x06\x04\0\0\0\0\0\0\x01\0\0\0\0',
  '\0\0\x05\x01\x04\0\0\0\x01\x82\x86\x84\x41\x01a'.replace('\x05', '\x06'),
  '\0\0\x06\x01\x05\0\0\0\x03\x82\x86\x84\x41\x01a',
  '\0\0\x03\0\0\0\0\0\x01abc',
  '\0\0\x03\0\x01\0\0\0\x03abc',
  '\0\0\x05\0\x08\0\0\0\x01\x02ab\0\0',
  '\0\0\x01\x01\x04\0\0\0\x01\x88',
  '\0\0\x01\x01\x05\0\0\0\x03\x88',
  '\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08',
  '\0\0\x04\x08\0\0\0\0\0\0\0\0\x08',
  '\0\0\x04\x08\0\0\0\0\x01\0\0\0\x08',
  '\0\0\x08\x06\0\0\0\0\0abcdefgh',
  '\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0',
  '\0\0\x01\x09\x04\0\0\0\x01\xbe',
  '\0\0\x05\x02\0\0\0\0\x05\0\0\0\x01\x09',
];

export const http2Targets: readonly Target[] = [
  {
    name: 'hpack',
    sources: [
      '/http2/hpack-decoder.ts',
      '/http2/hpack-encoder.ts',
      '/http2/head-assembly.ts',
      '/http2/field-table.ts',
      '/http2/head-memo.ts',
      '/http2/huffman.ts',
      '/http1/words.ts',
    ],
    words: [
      '\0\x06\x82\x86\x84\x41\x01a',
      '\x01\x03\x88\xbe\xbf',
      '\x40\x01x\x01y',
      '\x10\x01x\x01y',
      '\x44\x05/a?b%',
      '\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff',
      '\x3f\xe1\x01',
      '\x20',
      'cookie\x03a=b',
      'content-length\x011',
      ':protocol\x09websocket',
      '\xbe',
      '\xff\x01',
      '\x05\x82\x86\x84\xbe\xbf\x05\x82\x86\x84\xbe\xbf\x05\x82\x86\x84\xbe\xbf',
      '\x04\x88\xbe\xbf\xc0\x04\x88\xbe\xbf\xc0\x04\x88\xbe\xbf\xc0',
    ],
    maxBytes: 512,
    run: hpack,
  },
  {
    name: 'http2-server',
    sources: [
      '/http2/connection.ts',
      '/http2/frame-reader.ts',
      '/http2/sender.ts',
      '/http2/frame-writer.ts',
      '/http2/settings.ts',
    ],
    words: frameWords,
    maxBytes: 512,
    run: conversation('server'),
  },
  {
    name: 'http2-client',
    sources: [
      '/http2/connection.ts',
      '/http2/frame-reader.ts',
      '/http2/sender.ts',
      '/http2/frame-writer.ts',
      '/http2/settings.ts',
    ],
    words: frameWords,
    maxBytes: 512,
    run: conversation('client'),
  },
];
