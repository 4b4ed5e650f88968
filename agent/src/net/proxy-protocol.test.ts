import test from 'ava';
import { inspectProxyHeader, type ProxyHeaderResult, writeProxyHeader } from './proxy-protocol.ts';

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

function v2(command: number, family: number, body: Uint8Array, length = body.length): Buffer {
  return Buffer.concat([signature, Buffer.from([command, family, length >> 8, length & 255]), body]);
}

const four = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 0x03, 0xe8, 0x07, 0xd0]);
const six = Buffer.concat([Buffer.alloc(15), Buffer.from([1]), Buffer.alloc(15), Buffer.from([2, 0, 80, 1, 187])]);
const told = { remote: { ip: '1.2.3.4', port: 1000 }, local: { ip: '5.6.7.8', port: 2000 } };
const told6 = { remote: { ip: '::1', port: 80 }, local: { ip: '::2', port: 443 } };

/** Recorded from Envoy 1.40 wherever it accepts or refuses the same bytes. */
const accepted: readonly (readonly [string, Buffer, typeof told | null])[] = [
  ['TCP4', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n'), told],
  ['TCP6', Buffer.from('PROXY TCP6 ::1 ::2 80 443\r\n'), told6],
  ['TCP6 in long form', Buffer.from('PROXY TCP6 0:0:0:0:0:0:0:1 0000::0002 80 443\r\n'), told6],
  ['leading zeros of a port', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 01000 2000\r\n'), told],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['UNKNOWN with more', Buffer.from('PROXY UNKNOWN ff:: x 1 2\r\n'), null],
  ['v2 TCP over IPv4', v2(0x21, 0x11, four), told],
  ['v2 UDP over IPv4', v2(0x21, 0x12, four), told],
  ['v2 TCP over IPv6', v2(0x21, 0x21, six), told6],
  ['v2 with TLVs', v2(0x21, 0x11, Buffer.concat([four, Buffer.from([4, 0, 3, 1, 2, 3])])), told],
  ['v2 with a TLV that lies about its length', v2(0x21, 0x11, Buffer.concat([four, Buffer.from([4, 0, 99, 1])])), told],
  ['v2 with 40,000 bytes of TLVs', v2(0x21, 0x11, Buffer.concat([four, Buffer.alloc(40_000)])), told],
  ['v2 LOCAL', v2(0x20, 0, Buffer.alloc(0)), null],
  ['v2 LOCAL with addresses', v2(0x20, 0x11, four), null],
];

for (const [name, header, addresses] of accepted) {
  test(`${name}: the same answer however the bytes are split, and what follows is not touched`, (t) => {
    const whole = Buffer.concat([header, Buffer.from('DATA')]);
    for (let n = 1; n < header.length; n++) {
      if (n > 200 && n < header.length - 5) continue;
      t.is(inspectProxyHeader(whole.subarray(0, n)).kind, 'more', `${n} bytes`);
    }
    for (const n of [header.length, whole.length]) {
      t.like(inspectProxyHeader(whole.subarray(0, n)), { kind: 'header', length: header.length, addresses });
    }
  });
}

const refused: readonly (readonly [string, Buffer])[] = [
  ['a line that ends in LF', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n')],
  ['LF inside the line', Buffer.from('PROXY UNKNOWN a\nb\r\n')],
  ['CR without LF', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx')],
  ['a port above 65535', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 70000 2\r\n')],
  ['a negative port', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n')],
  ['addresses of another family', Buffer.from('PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n')],
  ['a word too many', Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 1 2 x\r\n')],
  ['two spaces', Buffer.from('PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n')],
  ['an unknown family', Buffer.from('PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n')],
  ['more than 107 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}\r\n`)],
  ['v2: too short for its addresses', v2(0x21, 0x11, four.subarray(0, 8))],
  ['v2: an unknown command', v2(0x22, 0x11, four)],
  ['v2: another version', v2(0x11, 0x11, four)],
  ['v2: no family', v2(0x21, 0, Buffer.alloc(0))],
  ['v2: a Unix socket', v2(0x21, 0x31, Buffer.alloc(216))],
  ['v2: no transport', v2(0x21, 0x10, four)],
];

for (const [name, header] of refused) {
  test(`refused: ${name}`, (t) => {
    const results = Array.from({ length: header.length }, (_, i) => inspectProxyHeader(header.subarray(0, i + 1)));
    t.is(results.at(-1)?.kind, 'bad');
    const firstBad = results.findIndex((r: ProxyHeaderResult) => r.kind === 'bad');
    t.true(results.slice(0, firstBad).every((r) => r.kind === 'more'));
    t.true(
      results.slice(firstBad).every((r) => r.kind === 'bad'),
      'once bad, always bad',
    );
  });
}

test('anything else is no header, from the first byte that differs', (t) => {
  for (const text of ['GET / HTTP/1.1\r\n', 'PROXX', '\x16\x03\x01', '\r\n\r\nG', 'p']) {
    t.is(inspectProxyHeader(Buffer.from(text, 'latin1')).kind, 'absent', text);
  }
});

test('what is written is read back', (t) => {
  for (const version of ['v1', 'v2'] as const) {
    for (const addresses of [told, told6]) {
      const header = writeProxyHeader(version, addresses);
      t.deepEqual(inspectProxyHeader(header), { kind: 'header', version, length: header.length, addresses });
    }
    const mixed = writeProxyHeader(version, { remote: told.remote, local: told6.local });
    t.like(inspectProxyHeader(mixed), { kind: 'header', version, length: mixed.length, addresses: null });
  }
});
