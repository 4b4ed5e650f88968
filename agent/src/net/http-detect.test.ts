import test from 'ava';
import { detectHttp, type HttpResult, maxRequestLineBytes } from './http-detect.ts';

const cases: readonly (readonly [string, HttpResult])[] = [
  ['GET / HTTP/1.1\r\n', 'http/1.1'],
  ['POST /a?b HTTP/1.0\r\nHost: x', 'http/1.0'],
  ['\r\nGET / HTTP/1.1\r\n', 'http/1.1'],
  ['get / http/1.1\r\n', 'http/1.1'],
  ['M-SEARCH  *\tHTTP/1.1 \n', 'http/1.1'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'h2c'],
  ['PRI * HTTP/2.0\r\n\r\nXX', 'not-http'],
  ['GET /\r\n', 'not-http'],
  ['GET / HTTP/2.0\r\n', 'not-http'],
  ['\0\0\0\x10', 'not-http'],
  ['*1\r\n$4\r\nPING\r\n', 'not-http'],
  ['SSH-2.0-OpenSSH\r\n', 'not-http'],
  ['\x16\x03\x01', 'not-http'],
  ['EHLO mail\r\n', 'not-http'],
  ['GET /\0 HTTP/1.1\r\n', 'not-http'],
];

for (const [text, expected] of cases) {
  test(`${JSON.stringify(text)} is ${expected}, at every split`, (t) => {
    const bytes = Buffer.from(text, 'latin1');
    let decided = 0;
    for (let i = 1; i <= bytes.length; i++) {
      const result = detectHttp(bytes.subarray(0, i));
      if (result === 'more') t.is(decided, 0, `undecided again after ${i} bytes`);
      else {
        decided++;
        t.is<HttpResult, HttpResult>(result, expected, `after ${i} bytes`);
      }
    }
    t.true(decided > 0);
  });
}

test('a line without end is HTTP, so that policy sees it', (t) => {
  t.is(detectHttp(Buffer.alloc(maxRequestLineBytes, 'a')), 'http/1.1');
});
