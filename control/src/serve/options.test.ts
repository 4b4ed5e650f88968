import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { parseAddress, parseOptions } from './options.ts';

const needed = ['--source', 'a', '--ca', '127.0.0.1:15013', '--token-file', 't', '--trust-bundle', 'b'];

test('defaults and repeated sources', (t) => {
  const options = parseOptions([...needed, '--source', 'b', '--certificate-ttl', '1h30m']);
  if (options === 'help') return t.fail();
  t.deepEqual(options.sources, ['a', 'b']);
  t.deepEqual(options.listen, { host: '0.0.0.0', port: 15012 });
  t.is(options.certificateTtlSeconds, 5400);
  t.is(options.trustDomain, 'cluster.local');
});

const refused: readonly [string, readonly string[], RegExp][] = [
  ['an unknown flag', [...needed, '--sauce', 'x'], /--sauce/],
  ['a missing source', needed.slice(2), /--source or --kubernetes is missing/],
  ['an address without a port', [...needed, '--listen', 'localhost'], /--listen: localhost is not HOST:PORT/],
  ['a port that is none', [...needed, '--listen', 'a:99999'], /not HOST:PORT/],
  ['a lifetime without a unit', [...needed, '--certificate-ttl', '90'], /not a duration/],
  ['a log level that is none', [...needed, '--log-level', 'loud'], /--log-level/],
  ['folders and an API server', [...needed, '--kubernetes'], /exclude each other/],
  ['a kubeconfig without an API server', [...needed, '--kubeconfig', 'f'], /need --kubernetes/],
  ['a status folder with an API server', [...needed.slice(2), '--kubernetes', '--status-dir', 'd'], /--status-dir/],
  ['a context of no file', [...needed.slice(2), '--kubernetes', '--kube-context', 'c'], /needs --kubeconfig/],
  ['statuses in a watched folder', [...needed, '--status-dir', 'a/status'], /lies in the watched folder/],
];

for (const [what, args, message] of refused) {
  test(`refused: ${what}`, (t) => {
    const error = t.throws(() => parseOptions(args), { instanceOf: UserError });
    t.is(error?.code, 'USAGE');
    t.regex(error?.message ?? '', message);
  });
}

test('addresses of both families', (t) => {
  t.deepEqual(parseAddress('[::1]:80', 'x'), { host: '::1', port: 80 });
  t.deepEqual(parseAddress('localhost:0', 'x'), { host: 'localhost', port: 0 });
});
