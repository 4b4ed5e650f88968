import test from 'ava';
import { addressBytes, NameTable } from './name-table.ts';
import { parseResolvConf } from './resolv-conf.ts';

test('exact names before wildcards, the longest of those first; a wildcard is not its own domain', (t) => {
  const domain = (name: string, address: string) => ({ name, addresses: [address], ttlS: 30 });
  const table = new NameTable([domain('a.x', '10.0.0.1'), domain('*.x', '10.0.0.2'), domain('*.b.x', '10.0.0.3')]);
  const of = (name: string): string | undefined => table.find(name)?.v4[0]?.join('.');
  t.is(of('a.x'), '10.0.0.1');
  t.is(of('z.x'), '10.0.0.2');
  t.is(of('z.y.x'), '10.0.0.2');
  t.is(of('c.b.x'), '10.0.0.3');
  t.is(of('x'), undefined);
  t.is(of('ax'), undefined);
});

test('short names are looked up below the search domains, as long as they have few dots', (t) => {
  const table = new NameTable([{ name: 'web.shop.svc.cluster.local', addresses: ['10.0.0.1'], ttlS: 30 }]);
  const conf = parseResolvConf(
    'search shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:2 timeout:1\nnameserver 10.96.0.10\n',
  );
  const found = (name: string): boolean => table.findAsSearched(name, conf) !== null;
  t.true(found('web.shop.svc.cluster.local'));
  t.true(found('web'));
  t.true(found('web.shop'));
  t.false(found('web.shop.svc'), 'two dots are enough for a name as it is');
  t.false(found('webb'));
  t.false(found(''));
});

test('resolv.conf: three resolvers at most, the last search line, what is not understood does nothing', (t) => {
  t.deepEqual(
    parseResolvConf(`# comment
nameserver 10.0.0.1 ; trailing
nameserver fd00::53
nameserver nonsense
nameserver 10.0.0.2
nameserver 10.0.0.3
domain old.example
search A.example. .b.example
options edns0 ndots:99
sortlist x
`),
    { resolvers: ['10.0.0.1', 'fd00::53', '10.0.0.2'], search: ['a.example', 'b.example'], ndots: 15 },
  );
  t.deepEqual(parseResolvConf(''), { resolvers: [], search: [], ndots: 1 });
});

test('addresses of both families as bytes', (t) => {
  t.is(addressBytes('10.0.200.1').toString('hex'), '0a00c801');
  t.is(addressBytes('::').toString('hex'), '0'.repeat(32));
  t.is(addressBytes('fd00::1').toString('hex'), `fd00${'0'.repeat(27)}1`);
  t.is(addressBytes('1:2:3:4:5:6:7:8').toString('hex'), '00010002000300040005000600070008');
  t.is(addressBytes('::ffff:10.0.0.1').toString('hex'), `${'0'.repeat(20)}ffff0a000001`);
});
