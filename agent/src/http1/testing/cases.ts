/**
 * Requests and what must become of them, used by the parser's tests and by the connection manager's. The rejected ones
 * carry the status that the client sees. Sources: RFC 9110, RFC 9112, and what Envoy was seen to do where it is no
 * looser than we want to be.
 */

export interface RequestCase {
  readonly name: string;
  /** The head; a body case has its body behind it. */
  readonly text: string;
}

export interface RejectedCase extends RequestCase {
  readonly status: 400 | 426 | 431 | 501;
  /** The body of the answer; the reason phrase unless said otherwise. */
  readonly empty?: true;
}

const get = (fields: string, target = '/'): string => `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
const withHost = (fields: string): string => get(`host: a\r\n${fields}`);
const fieldsNumbered = (n: number): string => Array.from({ length: n }, (_, i) => `x-${i}: v\r\n`).join('');

export const acceptedRequests: readonly RequestCase[] = [
  { name: 'plain GET', text: withHost('') },
  { name: 'no space after the colon', text: get('host:a\r\nx:y\r\n') },
  { name: 'white space around a value', text: get('Host: \t a \t\r\nX-A:   b  \r\n') },
  { name: 'empty value', text: withHost('x-empty:\r\ny: \r\n') },
  { name: 'high bytes and tabs in a value', text: withHost('x-high: caf\xe9\tau lait\r\n') },
  { name: 'upper-case names', text: get('HOST: a\r\nX-MIXED-Case: Value\r\n') },
  { name: 'every token character in a name', text: withHost("x!#$%&'*+-.^_`|~9: v\r\n") },
  { name: 'odd characters in the target', text: get('host: a\r\n', '/"<>{}|^~!$&()*+,;=:@[]%zz?a?b"') },
  { name: 'several spaces and tabs in the request line', text: 'GET \t /x \t HTTP/1.1\r\nhost: a\r\n\r\n' },
  { name: 'content-length with leading zeros', text: withHost('content-length: 000\r\n') },
  { name: 'Transfer-Encoding: Chunked', text: withHost('Transfer-Encoding: Chunked\r\n') },
  { name: 'empty Host', text: get('host:\r\n') },
  { name: 'Host with odd characters', text: get('host: a_b~!$&:99999\r\n') },
  { name: 'absolute target with the same Host', text: get('host: Example.com\r\n', 'http://example.com/p?q') },
  { name: 'absolute target without Host', text: get('x: y\r\n', 'https://example.com:8443/p') },
  { name: 'absolute target with user and without path', text: get('host: e\r\n', 'http://user:pw@e?x') },
  { name: 'OPTIONS *', text: 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n' },
  { name: 'CONNECT', text: 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n' },
  { name: 'HTTP/1.0', text: 'GET / HTTP/1.0\r\n\r\n' },
  { name: 'expect and connection', text: withHost('Expect: 100-Continue\r\nConnection: Keep-Alive, close\r\n') },
  { name: 'a hundred fields', text: get(`host: a\r\n${fieldsNumbered(99)}`) },
];

export const rejectedRequests: readonly RejectedCase[] = [
  { name: 'two content-length', text: withHost('content-length: 5\r\ncontent-length: 5\r\n'), status: 400 },
  { name: 'two different content-length', text: withHost('content-length: 5\r\ncontent-length: 6\r\n'), status: 400 },
  ...['5, 5', 'abc', '-5', '+5', '5x', '', '0x5', '99999999999999999999', '5 5', '1e3', '5,'].map(
    (v): RejectedCase => ({ name: `content-length '${v}'`, text: withHost(`content-length: ${v}\r\n`), status: 400 }),
  ),
  { name: 'CL then TE', text: withHost('content-length: 5\r\ntransfer-encoding: chunked\r\n'), status: 400 },
  { name: 'TE then CL', text: withHost('transfer-encoding: chunked\r\ncontent-length: 5\r\n'), status: 400 },
  { name: 'CL with a bad TE', text: withHost('content-length: 5\r\ntransfer-encoding: xchunked\r\n'), status: 400 },
  { name: 'TE on HTTP/1.0', text: 'POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n', status: 400 },
  { name: 'space before the colon', text: withHost('Transfer-Encoding : chunked\r\n'), status: 400 },
  { name: 'tab before the colon', text: withHost('x\t: y\r\n'), status: 400 },
  { name: 'space in a name', text: withHost('x y: z\r\n'), status: 400 },
  { name: 'empty name', text: withHost(': z\r\n'), status: 400 },
  { name: 'no colon', text: withHost('nonsense\r\n'), status: 400 },
  { name: 'obs-fold', text: withHost('x: y\r\n z\r\n'), status: 400 },
  { name: 'obs-fold with a tab', text: withHost('x: y\r\n\tz\r\n'), status: 400 },
  { name: 'first line folded', text: get(' x: y\r\nhost: a\r\n'), status: 400 },
  { name: 'bare LF after a field', text: 'GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n', status: 400 },
  { name: 'bare LF as the blank line', text: 'GET / HTTP/1.1\r\nhost: a\r\n\n', status: 400 },
  { name: 'bare LF after the request line', text: 'GET / HTTP/1.1\nhost: a\r\n\r\n', status: 400 },
  { name: 'bare CR in a value', text: withHost('x: a\rb\r\n'), status: 400 },
  { name: 'bare CR before a field', text: withHost('\rx: a\r\n'), status: 400 },
  ...['\0', '\x01', '\x0b', '\x1f', '\x7f'].map(
    (c): RejectedCase => ({
      name: `control ${c.charCodeAt(0)} in a value`,
      text: withHost(`x: a${c}b\r\n`),
      status: 400,
    }),
  ),
  ...['(', ')', '@', '/', '"', '[', '\xe9', '\0', '{', ','].map(
    (c): RejectedCase => ({
      name: `character ${c.charCodeAt(0)} in a name`,
      text: withHost(`x${c}: y\r\n`),
      status: 400,
    }),
  ),
  { name: 'two Host', text: get('host: a\r\nhost: a\r\n'), status: 400 },
  ...['a b', 'a/b', 'a?b', 'a#b', 'a\\b', 'a<b', 'a>b', 'a\xe9'].map(
    (h): RejectedCase => ({ name: `Host '${h}'`, text: get(`host: ${h}\r\n`), status: 400 }),
  ),
  { name: 'absolute target that is not the Host', text: get('host: a\r\n', 'http://b/'), status: 400 },
  { name: 'absolute target with another port', text: get('host: a\r\n', 'http://a:81/'), status: 400 },
  { name: 'ftp target', text: get('host: a\r\n', 'ftp://a/'), status: 400 },
  { name: 'absolute target without authority', text: get('host: a\r\n', 'http:///'), status: 400 },
  { name: 'target without a slash', text: get('host: a\r\n', 'x'), status: 400 },
  { name: 'GET *', text: get('host: a\r\n', '*'), status: 400 },
  { name: 'space in the target', text: get('host: a\r\n', '/a b'), status: 400 },
  { name: 'control character in the target', text: get('host: a\r\n', '/a\x01'), status: 400 },
  { name: 'DEL in the target', text: get('host: a\r\n', '/a\x7f'), status: 400 },
  { name: 'high byte in the target', text: get('host: a\r\n', '/caf\xe9'), status: 400 },
  { name: 'fragment', text: get('host: a\r\n', '/exact#frag'), status: 400, empty: true },
  { name: 'fragment in the query', text: get('host: a\r\n', '/a?b#c'), status: 400, empty: true },
  { name: 'no Host', text: get('x: y\r\n'), status: 400, empty: true },
  ...['get', 'FOO', 'M-SEARCH', 'GETT', 'G', 'PRI'].map(
    (m): RejectedCase => ({ name: `method ${m}`, text: `${m} / HTTP/1.1\r\nhost: a\r\n\r\n`, status: 400 }),
  ),
  { name: 'leading space', text: ' GET / HTTP/1.1\r\nhost: a\r\n\r\n', status: 400 },
  ...['HTTP/1', 'HTTP/11', 'http/1.1', 'HTTP/1.1x', 'HTTP/1.', 'HTTP1.1', 'HTTP/1.1 ', 'HTTP/a.b', 'XTTP/1.1'].map(
    (v): RejectedCase => ({ name: `version '${v}'`, text: `GET / ${v}\r\nhost: a\r\n\r\n`, status: 400 }),
  ),
  ...['HTTP/0.9', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/3.0'].map(
    (v): RejectedCase => ({ name: `version ${v}`, text: `GET / ${v}\r\nhost: a\r\n\r\n`, status: 426 }),
  ),
  { name: 'no version', text: 'GET /\r\n\r\n', status: 426 },
  ...['gzip', 'gzip, chunked', 'chunked, chunked', 'identity', '', 'chunked;x', 'xchunked', 'chunked,'].map(
    (v): RejectedCase => ({
      name: `transfer-encoding '${v}'`,
      text: `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: ${v}\r\n\r\n`,
      status: 501,
    }),
  ),
  {
    name: 'transfer-encoding: chunked twice',
    text: 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n',
    status: 501,
  },
  { name: 'a hundred and one fields', text: get(`host: a\r\n${fieldsNumbered(100)}`), status: 431 },
];

const chunkedHead = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';

export interface ChunkedCase {
  readonly name: string;
  readonly body: string;
}

/** Chunked bodies that are refused. */
export const badChunks: readonly ChunkedCase[] = [
  ...['zz', '-5', '0x5', ' 5', '', '5 ', '+5', 'fffffffffffffffff', '5g'].map((size) => ({
    name: `chunk size '${size}'`,
    body: `${size}\r\nhello\r\n0\r\n\r\n`,
  })),
  { name: 'bare LF after the size', body: '5\nhello\r\n0\r\n\r\n' },
  { name: 'bare LF after the data', body: '5\r\nhello\n0\r\n\r\n' },
  { name: 'bare LF after the last size', body: '5\r\nhello\r\n0\n\r\n' },
  { name: 'bare LF at the end', body: '5\r\nhello\r\n0\r\n\n' },
  { name: 'extra byte after the data', body: '5\r\nhellox\r\n0\r\n\r\n' },
  { name: 'no line end after the data', body: '5\r\nhello0\r\n\r\n' },
  { name: 'CR in an extension', body: '5;a\rb\r\nhello\r\n0\r\n\r\n' },
  { name: 'NUL in an extension', body: '5;a\0b\r\nhello\r\n0\r\n\r\n' },
  { name: 'extensions over the limit', body: `5;${'x'.repeat(5000)}\r\nhello\r\n0\r\n\r\n` },
  { name: 'space in a trailer name', body: '5\r\nhello\r\n0\r\nx y: z\r\n\r\n' },
  { name: 'folded trailer', body: '5\r\nhello\r\n0\r\nx: z\r\n y\r\n\r\n' },
];

export function chunkedRequest(body: string): string {
  return chunkedHead + body;
}
