import test from 'ava';
import { parseCleanupCommand, parseInitCommand } from './options.ts';

const noResolvConf = (): string => {
  throw new Error('resolv.conf is looked at for DNS capture only');
};

test('no flags: nothing is excluded, no DNS capture', (t) => {
  t.deepEqual(parseInitCommand([], noResolvConf), {
    help: false,
    options: { excludeInboundPorts: [], excludeOutboundPorts: [], excludeOutboundCidrs: [], resolvers: [] },
  });
});

test('exclusions', (t) => {
  const args = [
    '--exclude-inbound-ports',
    '9100,22',
    '--exclude-outbound-ports=25',
    '--exclude-outbound-cidrs',
    '10.0.0.0/8,fd00::/8',
  ];
  t.like(parseInitCommand(args, noResolvConf).options, {
    excludeInboundPorts: [22, 9100],
    excludeOutboundPorts: [25],
    excludeOutboundCidrs: [
      { family: 'v4', text: '10.0.0.0/8' },
      { family: 'v6', text: 'fd00::/8' },
    ],
  });
});

for (const [args, code, message] of [
  [['--exclude-inbound-ports', 'http'], 'EXCLUSION_INVALID', /--exclude-inbound-ports: 'http'/],
  [['--exclude-inbound-ports', '15006'], 'EXCLUSION_INVALID', /'15006' is a port of the agent/],
  [['--exclude-inbound-ports', '80 -j ACCEPT'], 'EXCLUSION_INVALID', /'80 -j ACCEPT'/],
  [['--exclude-outbound-ports', '0'], 'EXCLUSION_INVALID', /--exclude-outbound-ports: '0'/],
  [['--exclude-outbound-cidrs', '10.0.0.1/8'], 'EXCLUSION_INVALID', /'10\.0\.0\.1\/8'/],
  [['--exclude-outbound-cidrs', 'example.com'], 'EXCLUSION_INVALID', /'example\.com'/],
  [['--unknown'], 'USAGE', /--unknown/],
  [['--exclude-inbound-ports'], 'USAGE', /exclude-inbound-ports/],
  [['positional'], 'USAGE', /positional/],
] as const) {
  test(`refused by name: ${args.join(' ')}`, (t) => {
    t.throws(() => parseInitCommand(args, noResolvConf), { code, message });
  });
}

test('cleanup takes no flags', (t) => {
  t.false(parseCleanupCommand([]).help);
  t.throws(() => parseCleanupCommand(['--all']), { code: 'USAGE', message: /--all/ });
});

test('DNS capture: the resolvers of resolv.conf, each once; none is refused', (t) => {
  const of = (text: string) => parseInitCommand(['--capture-dns'], () => text).options.resolvers;
  t.deepEqual(of('nameserver 10.96.0.10\nnameserver fd00::a\nnameserver 10.96.0.10\n'), ['10.96.0.10', 'fd00::a']);
  t.like(
    t.throws(() => of('search x\n')),
    { code: 'RESOLVERS_MISSING' },
  );
});
