import test from 'ava';
import { ipBytes } from './ip-text.ts';
import { ipText, sockaddrOf } from './sockaddr.ts';

for (const [text, canonical] of [
  ['::', '::'],
  ['::1', '::1'],
  ['fd00:0:0:1::2', 'fd00:0:0:1::2'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
] as const) {
  test(`${text} is ${canonical}`, (t) => {
    t.is(ipText(ipBytes(text) ?? new Uint8Array(0)), canonical);
  });
}

test('struct sockaddr_in and sockaddr_in6', (t) => {
  t.is(sockaddrOf('127.0.0.6', 15_006).bytes.toString('hex'), '02003a9e7f0000060000000000000000');
  t.is(sockaddrOf('::6', 80).bytes.toString('hex'), `0a000050${'00'.repeat(19)}06${'00'.repeat(4)}`);
  t.throws(() => sockaddrOf('localhost', 80), { message: /not an IP address/ });
});
