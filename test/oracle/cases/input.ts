/** HTTP/1.1 input: what is refused with which status, and what is let through. */
import type { Case, Group } from '../case.ts';

const head = 'Host: a.example\r\n';
/** Raw bytes; `@` becomes the case's header with its line end. */
const raw = (name: string, send: string): Case => ({ name, raw: true, send, waitMs: 3000 });

const line = (name: string, request: string): Case => raw(name, `${request}\r\n${head}@\r\n`);
const field = (name: string, fields: string, rest = ''): Case =>
  raw(name, `GET /x HTTP/1.1\r\n${head}${fields}\r\n@\r\n${rest}`);
const post = (name: string, fields: string, body: string): Case =>
  raw(name, `POST /x HTTP/1.1\r\n${head}${fields}\r\n@\r\n${body}`);
const chunked = (name: string, body: string): Case => post(name, 'Transfer-Encoding: chunked', body);

const lines: readonly Case[] = [
  line('lower-case method', 'get /x HTTP/1.1'),
  line('unknown method', 'FOO /x HTTP/1.1'),
  line('M-SEARCH', 'M-SEARCH /x HTTP/1.1'),
  line('leading space', ' GET /x HTTP/1.1'),
  line('HTTP/1', 'GET /x HTTP/1'),
  line('HTTP/11', 'GET /x HTTP/11'),
  line('lower-case version', 'GET /x http/1.1'),
  line('text behind the version', 'GET /x HTTP/1.1x'),
  line('HTTP/1.0', 'GET /x HTTP/1.0'),
  line('HTTP/0.9', 'GET /x HTTP/0.9'),
  line('HTTP/1.2', 'GET /x HTTP/1.2'),
  line('HTTP/2.0', 'GET /x HTTP/2.0'),
  line('no version', 'GET /x'),
  line('space in the target', 'GET /a b HTTP/1.1'),
  line('control character in the target', 'GET /a\x01b HTTP/1.1'),
  line('high bytes in the target', 'GET /\xc3\xa9 HTTP/1.1'),
  line('no slash', 'GET x HTTP/1.1'),
  line('asterisk', 'GET * HTTP/1.1'),
  line('OPTIONS asterisk', 'OPTIONS * HTTP/1.1'),
  line('fragment', 'GET /x#y HTTP/1.1'),
  line('empty target', 'GET  HTTP/1.1'),
  line('ftp target', 'GET ftp://a.example/ HTTP/1.1'),
  line('http without host', 'GET http:///x HTTP/1.1'),
  line('absolute target', 'GET http://a.example/x HTTP/1.1'),
  line('absolute target without path', 'GET http://a.example HTTP/1.1'),
  line('quotes and braces in the target', 'GET /"<>{}|^ HTTP/1.1'),
  line('several spaces', 'GET  /x  HTTP/1.1'),
  line('tabs', 'GET\t/x\tHTTP/1.1'),
  line('CONNECT', 'CONNECT a.example:443 HTTP/1.1'),
  raw('leading line ends', `\r\n\r\nGET /x HTTP/1.1\r\n${head}@\r\n`),
  raw('bare LF', `GET /x HTTP/1.1\nHost: a.example\n@\n`),
];

const fields: readonly Case[] = [
  field('space before the colon', 'X-A : 1'),
  field('empty name', ': 1'),
  field('no colon', 'X-A'),
  field('NUL in a value', 'X-A: a\0b'),
  field('control character in a value', 'X-A: a\x01b'),
  field('DEL in a value', 'X-A: a\x7fb'),
  field('parenthesis in a name', 'X(A): 1'),
  field('slash in a name', 'X/A: 1'),
  field('high byte in a name', 'X\xe9: 1'),
  field('high byte in a value', 'X-A: \xe9'),
  field('tab in a value', 'X-A: a\tb'),
  field('underscore in a name', 'X_A: 1'),
  field('obs-fold', 'X-A: 1\r\n more'),
  field('CR inside a value', 'X-A: a\rb'),
  raw('first header line folded', `GET /x HTTP/1.1\r\n Folded: 1\r\n${head}@\r\n`),
  field('connection names host', 'Connection: host'),
  field('second host', 'Host: b.example'),
  field('second host, the same', 'Host: a.example'),
  raw('host with a space', `GET /x HTTP/1.1\r\nHost: a b\r\n@\r\n`),
  raw('host with a slash', `GET /x HTTP/1.1\r\nHost: a/b\r\n@\r\n`),
  raw('host with a question mark', `GET /x HTTP/1.1\r\nHost: a?b\r\n@\r\n`),
  raw('host with a high byte', `GET /x HTTP/1.1\r\nHost: a\xe9\r\n@\r\n`),
  raw('empty host', `GET /x HTTP/1.1\r\nHost:\r\n@\r\n`),
  raw('odd port', `GET /x HTTP/1.1\r\nHost: a.example:abc\r\n@\r\n`),
  raw('no host', `GET /x HTTP/1.1\r\n@\r\n`),
  field('101 headers', Array.from({ length: 101 }, (_, i) => `X-${i}: 1`).join('\r\n')),
  field('a header of 70000 bytes', `X-A: ${'a'.repeat(70_000)}`),
  field('a header of 50000 bytes', `X-A: ${'a'.repeat(50_000)}`),
  raw('70000 bytes without a line end', `GET /${'a'.repeat(70_000)}`),
];

const framing: readonly Case[] = [
  post('two lengths', 'Content-Length: 5\r\nContent-Length: 6', 'hello'),
  post('the same length twice', 'Content-Length: 5\r\nContent-Length: 5', 'hello'),
  ...['5, 5', 'abc', '-5', '+5', '5x', '', '0x5', '99999999999999999999'].map((v) =>
    post(`length '${v}'`, `Content-Length: ${v}`, 'hello'),
  ),
  post('length and chunked', 'Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  post('chunked and length', 'Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'),
  post('chunked with a space before the colon', 'Transfer-Encoding : chunked', '0\r\n\r\n'),
  ...['gzip', 'gzip, chunked', 'chunked, chunked', 'identity', '', 'Chunked', 'chunked;a=b', 'xchunked'].map((v) =>
    post(`transfer-encoding '${v}'`, `Transfer-Encoding: ${v}`, '0\r\n\r\n'),
  ),
  ...['zz', '-5', '0x5', ' 5', '', 'fffffffffffffffff', '5 '].map((size) =>
    chunked(`chunk size '${size}'`, `${size}\r\nhello\r\n0\r\n\r\n`),
  ),
  chunked('bare LF in chunks', '5\nhello\n0\n\n'),
  chunked('extra byte behind a chunk', '5\r\nhelloX\r\n0\r\n\r\n'),
  chunked('chunk extension', '5;name=value\r\nhello\r\n0\r\n\r\n'),
  chunked('space in a trailer name', '5\r\nhello\r\n0\r\nx y: 1\r\n\r\n'),
  chunked('trailer', '5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n'),
];

const limited: Group = {
  name: 'limits',
  manager: {
    max_request_headers_kb: 2,
    common_http_protocol_options: { max_headers_count: 5, headers_with_underscores_action: 'REJECT_REQUEST' },
  },
  cases: [
    field('few and small', 'X-A: 1'),
    field('too many', 'A: 1\r\nB: 1\r\nC: 1\r\nD: 1'),
    field('as many as allowed', 'A: 1\r\nB: 1\r\nC: 1'),
    field('too large', `X-A: ${'a'.repeat(3000)}`),
    field('underscore', 'X_A: 1'),
  ],
};

const large: Group = {
  name: 'largeheads',
  manager: { max_request_headers_kb: 500 },
  cases: [
    field('90 KiB', `X-A: ${'a'.repeat(90_000)}`),
    field('400 KiB in 80 fields', Array.from({ length: 80 }, (_, i) => `X-${i}: ${'b'.repeat(5000)}`).join('\r\n')),
    field('510 KiB', `X-A: ${'a'.repeat(522_000)}`),
  ],
};

const dropped: Group = {
  name: 'underscores',
  manager: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
  cases: [field('dropped', 'X_A: 1\r\nX-B: 2')],
};

const worn: Group = {
  name: 'worn',
  manager: { common_http_protocol_options: { max_requests_per_connection: 2 } },
  cases: [
    { name: 'the second closes', send: 'GET /1 HTTP/1.1\nHost: a\n@\nGET /2 HTTP/1.1\nHost: a\n@\n', responses: 2 },
  ],
};

export const inputGroups: readonly Group[] = [
  { name: 'input', cases: [...lines, ...fields, ...framing] },
  limited,
  large,
  dropped,
  worn,
];
