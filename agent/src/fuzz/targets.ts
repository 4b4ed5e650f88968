/** All that is fuzzed, and what must hold where no file of its own says it. */
import { DerError, readCertificate, verifySvidWith } from '@chainmail/pki/verify';
import { buildAnswer, parseQuery, readAnswer } from '../dns/message.ts';
import { ChunkedDecoder } from '../http1/chunked-decoder.ts';
import { Head } from '../http1/head.ts';
import { parseRequestHead, parseResponseHead } from '../http1/parse-head.ts';
import { inspectClientHello } from '../net/client-hello.ts';
import { detectHttp } from '../net/http-detect.ts';
import { opensslCrypto } from '../net/openssl-crypto.ts';
import { PeerCheck } from '../net/peer-check.ts';
import { inspectProxyHeader } from '../net/proxy-protocol.ts';
import { http2Targets } from './http2-targets.ts';
import { recordTarget } from './record-target.ts';
import { cuts, must, type Target } from './target.ts';

/** A decision about a beginning must be the decision about the whole. */
function decidesOnce(input: Buffer, decide: (bytes: Buffer) => string): void {
  const whole = decide(input);
  for (const at of cuts(input.length)) {
    const early = decide(input.subarray(0, at));
    must(early === 'more' || early === whole, `${early} after ${at} bytes, ${whole} after ${input.length}`);
  }
}

const limits = { maxBytes: 8_192, maxHeaders: 32 };
const margin = 8;

/** Parses in the middle of a larger buffer, whose other bytes must not be touched. */
function parsedHead(input: Buffer, parse: typeof parseRequestHead): number {
  const bytes = Buffer.alloc(input.length + 2 * margin, 0xa5);
  bytes.set(input, margin);
  const head = new Head();
  const result = parse(bytes, margin, margin + input.length, head, limits);
  must(result <= input.length, 'a head is no longer than its bytes');
  must(
    bytes.subarray(0, margin).every((b) => b === 0xa5),
    'nothing before the head is written',
  );
  must(
    bytes.subarray(margin + input.length).every((b) => b === 0xa5),
    'nothing behind the head is written',
  );
  if (result <= 0) return result;
  must(result <= limits.maxBytes && head.count <= limits.maxHeaders, 'the limits hold');
  head.take(bytes, margin);
  for (let i = 0; i < head.count; i++) {
    must(/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(head.name(i)), `a field name is a lower-case token: ${head.name(i)}`);
    must(!/[\0\r\n]/.test(head.value(i)), 'a value has no CR, LF or NUL');
  }
  return result;
}

interface Chunks {
  readonly data: string;
  readonly end: 'more' | 'rejected' | 'done';
}

function dechunk(pieces: readonly Buffer[]): Chunks {
  const decoder = new ChunkedDecoder();
  const head = new Head();
  let data = '';
  for (const piece of pieces) {
    const bytes = Buffer.from(piece);
    const next = decoder.decode(bytes, 0, bytes.length, head, limits);
    if (next < 0) return { data, end: 'rejected' };
    must(decoder.dataStart >= 0 && decoder.dataEnd <= bytes.length, 'data lies inside the bytes');
    data += bytes.toString('latin1', decoder.dataStart, decoder.dataEnd);
    if (decoder.done) return { data, end: 'done' };
  }
  return { data, end: 'more' };
}

const anybody = new PeerCheck({ subjectAltNames: [], svid: null, nowMs: () => 0 });

/** A peer's certificate, as it is read in each handshake. */
function readSvid(input: Buffer): void {
  const isWhole = isCertificate(input);
  for (const at of cuts(input.length))
    must(!isWhole || !isCertificate(input.subarray(0, at)), `read whole after ${at}`);
  const verdict = anybody.accepts([input]);
  if (verdict.ok) {
    const { uris, dnsNames, emails } = verdict.peer.fields;
    must(isWhole, 'what is accepted is a certificate');
    must(![...uris, ...dnsNames, ...emails].some((name) => name.includes('\0')), 'no NUL in a name');
  }
  must(
    !verifySvidWith(opensslCrypto, { chain: [input], bundles: [], nowMs: 0 }).ok,
    'nothing is verified without anchors',
  );
}

function isCertificate(input: Buffer): boolean {
  try {
    must(readCertificate(input).der.length === input.length, 'a certificate is the whole of its bytes');
    return true;
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

/** A question that was read is answered within what the client takes, and the answer belongs to the question. */
function dnsQuestion(input: Buffer): void {
  const parsed = parseQuery(input);
  if (parsed.kind !== 'query') return;
  const { query } = parsed;
  must(query.questionEnd <= input.length && query.name.length <= 2 * 255, 'a question lies inside its message');
  for (const [count, overUdp] of [
    [0, true],
    [3, true],
    [200, true],
    [200, false],
  ] as const) {
    const addresses = Array.from({ length: count }, () => Buffer.from([10, 0, 0, 1]));
    const answer = buildAnswer(input, query, { code: 0, addresses, ttlS: 30, authoritative: true }, overUdp);
    must(!overUdp || answer.length <= query.maxBytes, `${answer.length} bytes over UDP for ${query.maxBytes}`);
    const facts = readAnswer(answer, input, query.questionEnd, query.id);
    must(facts !== null && (facts.truncated || facts.answers === count), 'our own answer is one');
  }
}

/** What a resolver sends is an answer to this question or to none. */
function dnsAnswer(input: Buffer): void {
  const asked = Buffer.from('\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\x04shop\0\0\x01\0\x01', 'latin1');
  const facts = readAnswer(input, asked, asked.length, 7);
  if (facts === null) return;
  must(input.readUInt16BE(0) === 7 && (input[2] ?? 0) >= 0x80, 'an answer has the id');
  must(facts.code !== 0 || input.length >= asked.length, 'an answer without an error has the question');
}

export const targets: readonly Target[] = [
  ...http2Targets,
  recordTarget,
  {
    name: 'client-hello',
    sources: ['/net/client-hello.ts'],
    words: ['\x16\x03\x01', '\x16\x03\x03', '\x01', '\0\0', '\0\x10', '\0\x0b', '\x02h2'],
    maxBytes: 2_048,
    run: (input) =>
      decidesOnce(input, (bytes) => JSON.stringify(inspectClientHello(bytes)).replace(/^.*"more".*$/, 'more')),
  },
  {
    name: 'proxy-protocol',
    sources: ['/net/proxy-protocol.ts', '/sys/sockaddr.ts'],
    words: [
      'PROXY ',
      'TCP4 ',
      'TCP6 ',
      'UNKNOWN',
      '1.2.3.4 ',
      '::1 ',
      '65535',
      '\r\n',
      '\r\n\r\n\0\r\nQUIT\n',
      '\x21\x11\0\x0c',
      '\x21\x21\0\x24',
    ],
    maxBytes: 512,
    run: (input) => {
      decidesOnce(input, (bytes) => {
        const result = inspectProxyHeader(bytes);
        if (result.kind === 'header') must(result.length <= bytes.length, 'a header is no longer than its bytes');
        return result.kind === 'more' ? 'more' : JSON.stringify({ ...result, reason: '' });
      });
    },
  },
  {
    name: 'http-detect',
    sources: ['/net/http-detect.ts'],
    words: ['GET ', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', ' HTTP/1.1\r\n', ' HTTP/1.0\r\n', '\r\n'],
    maxBytes: 256,
    run: (input) => decidesOnce(input, detectHttp),
  },
  {
    name: 'request-head',
    sources: ['/http1/parse-head.ts', '/http1/head.ts', '/http1/known-headers.ts'],
    words: [
      'GET / HTTP/1.1\r\n',
      'Host: a\r\n',
      '\r\n\r\n',
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Connection: close\r\n',
      'Upgrade: x\r\n',
      ': ',
      '\r\n ',
      'http://a/',
    ],
    maxBytes: 1_024,
    run: (input) => {
      const whole = parsedHead(input, parseRequestHead);
      for (const at of cuts(input.length)) {
        const early = parsedHead(input.subarray(0, at), parseRequestHead);
        must(early <= 0 || early === whole, `a head of ${early} bytes after ${at}, of ${whole} in the end`);
        must(early >= 0 || whole < 0, 'once refused, always refused');
      }
    },
  },
  {
    name: 'response-head',
    sources: ['/http1/parse-head.ts', '/http1/head.ts'],
    words: [
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.0 ',
      '204',
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
      '\r\n\r\n',
      '\n',
      '\r\n ',
    ],
    maxBytes: 1_024,
    run: (input) => {
      parsedHead(input, parseResponseHead);
    },
  },
  {
    name: 'chunked',
    sources: ['/http1/chunked-decoder.ts'],
    words: ['0\r\n\r\n', '5\r\nhello\r\n', ';a=b', '\r\n', 'X: y\r\n', 'ffffffffffff'],
    maxBytes: 512,
    run: (input) => {
      const whole = dechunk([input]);
      for (const at of cuts(input.length)) {
        const split = dechunk([input.subarray(0, at), input.subarray(at)]);
        must(split.end === whole.end, `${split.end} when split at ${at}, ${whole.end} whole`);
        if (whole.end !== 'rejected') must(split.data === whole.data, `other data when split at ${at}`);
      }
    },
  },
  {
    name: 'dns-question',
    sources: ['/dns/message.ts'],
    words: [
      '\0\x01\x01\0\0\x01\0\0\0\0\0\0',
      '\x03web',
      '\0\0\x01\0\x01',
      '\0\0\x1c\0\x01',
      '\0\0\x29\x10\0',
      '\xc0\x0c',
    ],
    maxBytes: 512,
    run: dnsQuestion,
  },
  {
    name: 'dns-answer',
    sources: ['/dns/message.ts'],
    words: ['\0\x07\x81\x80\0\x01\0\x01\0\0\0\0', '\x03web\x04shop\0', '\0\x01\0\x01', '\xc0\x0c'],
    maxBytes: 512,
    run: dnsAnswer,
  },
  {
    name: 'svid',
    sources: [
      '/net/peer-check.ts',
      '/pki/src/certificate.ts',
      '/pki/src/der.ts',
      '/pki/src/verify-svid.ts',
      '/pki/src/spiffe-id.ts',
    ],
    words: ['\x30\x82', '\x30\x80', '\x06\x03\x55\x1d\x11', '\x86', 'spiffe://', '\x01\x01\xff', '\xa3'],
    maxBytes: 2_048,
    run: readSvid,
  },
];
