import test from 'ava';
import { ByteRange } from '../http/request-view.ts';
import { RememberedHosts } from './remembered-hosts.ts';

function range(text: string): ByteRange {
  const at = new ByteRange();
  at.bytes = Buffer.from(`host: ${text}\r\n`);
  at.start = 6;
  at.end = 6 + text.length;
  return at;
}

function counting(): { readonly hosts: RememberedHosts<string>; readonly asked: string[] } {
  const asked: string[] = [];
  const hosts = new RememberedHosts((authority) => {
    asked.push(authority);
    return `found ${authority}`;
  });
  return { hosts, asked };
}

test('a host that was asked for before is not looked for again', (t) => {
  const { hosts, asked } = counting();
  t.is(hosts.of(range('a.test')), 'found a.test');
  t.is(hosts.of(range('a.test')), 'found a.test');
  t.is(hosts.of(range('')), 'found ');
  t.deepEqual(asked, ['a.test', '']);
});

test('however many names share a place, each gets its own answer', (t) => {
  const { hosts } = counting();
  const names = Array.from({ length: 1000 }, (_, i) => `host-${i}.test`);
  for (const name of [...names, ...names.reverse()]) t.is(hosts.of(range(name)), `found ${name}`);
});

test('what was remembered does not change with the buffer that it came in', (t) => {
  const { hosts, asked } = counting();
  const at = range('a.test');
  hosts.of(at);
  at.bytes[6] = 98;
  t.is(hosts.of(at), 'found b.test');
  t.is(hosts.of(range('a.test')), 'found a.test');
  t.deepEqual(asked.slice(0, 2), ['a.test', 'b.test']);
});

test('a name longer than any host is answered and not kept', (t) => {
  const { hosts, asked } = counting();
  const long = 'a'.repeat(256);
  hosts.of(range(long));
  t.is(hosts.of(range(long)), `found ${long}`);
  t.is(asked.length, 2);
});
