import test from 'ava';
import { readCapture } from './capture.ts';

const packet = (payload: Buffer): string => {
  const hex = Buffer.concat([Buffer.alloc(40), payload]).toString('hex');
  const words = hex.match(/.{1,4}/g) ?? [];
  const lines: string[] = [];
  for (let i = 0; i < words.length; i += 8)
    lines.push(`\t0x${(i * 2).toString(16).padStart(4, '0')}:  ${words.slice(i, i + 8).join(' ')}`);
  return `12:00:00.000000 IP 10.77.0.2.4000 > 10.77.0.3.8080: Flags [P.], length ${payload.length}\n${lines.join('\n')}`;
};

test('plaintext HTTP and TLS records are told apart, also across the lines of the dump', (t) => {
  const seen = readCapture(
    [
      packet(Buffer.from('POST /items?mark HTTP/1.1\r\nhost: catalog\r\n\r\n')),
      packet(Buffer.from([0x17, 0x03, 0x03, 0, 5, 1, 2, 3, 4, 5])),
      packet(Buffer.alloc(0)),
    ].join('\n'),
  );
  t.deepEqual(seen, { packets: 3, plaintext: 1, tls: 1, sample: 'POST /items?mark HTTP/1.1' });
});

test('nothing captured is nothing found', (t) => {
  t.deepEqual(readCapture(''), { packets: 0, plaintext: 0, tls: 0, sample: '' });
});
