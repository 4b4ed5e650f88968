import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { help, parseOptions } from './options.ts';

const minimal = ['--state-dir', 'd', '--attest-jwks', 'k.json', '--attest-issuer', 'https://i'];

test('the defaults', (t) => {
  t.like(parseOptions(minimal), {
    command: 'serve',
    backing: { kind: 'folder', stateDir: 'd' },
    trustDomain: 'cluster.local',
    listen: '0.0.0.0:15013',
    ttl: { defaultSeconds: 86_400, maxSeconds: 7_776_000 },
    logLevel: 'info',
  });
});

test('every flag is in the help', (t) => {
  t.deepEqual(parseOptions(['--help']), { command: 'help' });
  for (const flag of [
    'state-dir',
    'trust-domain',
    'listen',
    'attest-jwks',
    'attest-issuer',
    'bundle-file',
    'default-ttl',
  ]) {
    t.true(help.includes(`--${flag}`), flag);
  }
});

test('the steps of a root rotation', (t) => {
  t.like(parseOptions(['root', 'activate', '--state-dir', 'd']), {
    command: 'root',
    step: 'activate',
    backing: { kind: 'folder', stateDir: 'd' },
  });
});

test('in a cluster no folder is needed', (t) => {
  t.like(parseOptions(['--kubernetes']), { command: 'serve', backing: { kind: 'kubernetes', kubeconfig: undefined } });
  t.like(parseOptions(['root', 'show', '--kubernetes', '--kubeconfig', 'f', '--kube-context', 'c']), {
    command: 'root',
    backing: { kind: 'kubernetes', kubeconfig: 'f', context: 'c' },
  });
});

const misuses: readonly (readonly [string[], RegExp])[] = [
  [[], /--state-dir is missing/],
  [[...minimal, '--bogus'], /bogus/],
  [[...minimal, '--listen', 'nowhere'], /not HOST:PORT/],
  [[...minimal, '--listen', '1.2.3.4:70000'], /not HOST:PORT/],
  [[...minimal, '--metrics-listen', ':1'], /--metrics-listen: :1 is not HOST:PORT/],
  [[...minimal, '--trust-domain', 'UPPER'], /not a trust domain/],
  [[...minimal, '--log-level', 'loud'], /none of/],
  [[...minimal, '--default-ttl', '100d'], /above --max-ttl/],
  [[...minimal, '--max-ttl', 'long'], /not a lifetime/],
  [[...minimal, '--kubernetes'], /--state-dir and --kubernetes exclude each other/],
  [[...minimal, '--kubeconfig', 'f'], /need --kubernetes/],
  [['--kubernetes', '--kube-context', 'c'], /needs --kubeconfig/],
  [['root', 'show'], /--state-dir is missing/],
  [['root', '--state-dir', 'd'], /unknown command/],
  [['root', 'explode', '--state-dir', 'd'], /unknown command/],
  [['serve'], /unknown command/],
];
for (const [argv, message] of misuses) {
  test(`misuse: ${argv.join(' ')}`, (t) => {
    const error = t.throws(() => parseOptions(argv), { instanceOf: UserError, message });
    t.true(['USAGE', 'BAD_DURATION'].includes(error?.code ?? ''));
  });
}
