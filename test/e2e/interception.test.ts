/**
 * The interception rules in real network namespaces, with either backend: what lands where for IPv4 and IPv6, a second
 * run that changes nothing, foreign rules that stay, a cleanup that leaves nothing.
 */
import path from 'node:path';
import { ports } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { addresses, type FamilyName, type Outcome, PodNetwork } from './interception/pod-network.ts';

const root = path.resolve(import.meta.dirname, '../..');
const families: readonly FamilyName[] = ['IPv4', 'IPv6'];
type Flavour = 'nft' | 'legacy';

/** Somebody else's rules, in the tables that we use; legacy ones make us choose legacy. */
const foreignRules: readonly (readonly string[])[] = [
  ['-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '--dport', '7777', '-j', 'RETURN'],
  ['-t', 'mangle', '-A', 'PREROUTING', '-p', 'udp', '--dport', '7778', '-j', 'ACCEPT'],
  ['-t', 'nat', '-N', 'THEIRS'],
  ['-t', 'nat', '-A', 'THEIRS', '-p', 'tcp', '--dport', '7779', '-j', 'RETURN'],
];

function podNetwork(t: ExecutionContext, flavour: Flavour): PodNetwork {
  const network = new PodNetwork(flavour);
  t.teardown(() => network.close());
  for (const program of ['iptables', 'ip6tables']) {
    for (const rule of foreignRules) {
      const result = network.run(network.pod, `${program}-${flavour}`, rule);
      t.is(result.code, 0, result.stderr);
    }
  }
  return network;
}

/** CHAINMAIL_AGENT tests another build of the program. */
const agentProgram = process.env['CHAINMAIL_AGENT'] ?? path.join(root, 'node_modules/.bin/chainmail-agent');

function agent(network: PodNetwork, args: readonly string[]): Outcome {
  return network.run(network.pod, agentProgram, args);
}

/** All rules of both families and both backends, without counters and dates. */
function rulesOf(network: PodNetwork): string {
  const programs = ['iptables', 'ip6tables'].flatMap((p) => [`${p}-nft-save`, `${p}-legacy-save`]);
  return programs
    .map((program) => `${program}\n${network.run(network.pod, program, []).stdout}`)
    .join('')
    .replace(/^#.*\n/gm, '')
    .replace(/\[\d+:\d+\]/g, '');
}

/** Rules only: a table that was looked at exists from then on, empty. */
const addedRules = (saved: string): string =>
  saved
    .split('\n')
    .filter((l) => l.startsWith('-A') || l.includes('MESH'))
    .join('\n');

const bothFamilies = (name: string, port: number) => [
  { name, host: '0.0.0.0', port },
  { name, host: '::', port },
];

const podServers = [
  { name: 'outbound', host: '127.0.0.1', port: ports.agentOutbound },
  { name: 'outbound', host: '::1', port: ports.agentOutbound },
  ...bothFamilies('inbound', ports.agentInbound),
  ...bothFamilies('health', ports.agentHealth),
  ...bothFamilies('metrics', ports.agentMetrics),
  ...bothFamilies('app', 8080),
  ...bothFamilies('app', 9100),
];
const outsideServers = [...bothFamilies('outside', 80), ...bothFamilies('outside', 25)];

const app = 1000;
const agentUid = 1337;

/** From inside the pod: who dials what, and who must answer. */
function insideCases(family: FamilyName) {
  const a = addresses[family];
  return [
    ['the application to the outside', { uid: app, host: a.outside, port: 80 }, 'outbound'],
    ['the application to a VIP', { uid: app, host: a.vip, port: 80 }, 'outbound'],
    ['an application as root', { uid: 0, host: a.outside, port: 80 }, 'outbound'],
    ['the application to its own pod IP', { uid: app, host: a.pod, port: 8080 }, `app ${a.pod}`],
    ['the application to loopback', { uid: app, host: a.loopback, port: 8080 }, `app ${a.loopback}`],
    ['the agent to its own pod IP', { uid: agentUid, host: a.pod, port: 8080 }, 'inbound'],
    [
      'the agent from its source address',
      { uid: agentUid, host: a.pod, port: 8080, from: a.agentSource },
      `app ${a.agentSource}`,
    ],
    ['the agent to loopback', { uid: agentUid, host: a.loopback, port: 8080 }, 'app'],
    ['the agent to the outside', { uid: agentUid, host: a.outside, port: 80 }, `outside ${a.pod}`],
    ['an excluded port', { uid: app, host: a.outside, port: 25 }, `outside ${a.pod}`],
    ['an excluded network', { uid: app, host: a.excluded, port: 80 }, `outside ${a.pod}`],
  ] as const;
}

function outsideCases(family: FamilyName) {
  const host = addresses[family].pod;
  return [
    ['from outside to the application', { uid: 0, host, port: 8080 }, 'inbound'],
    ['from outside to a port nobody listens on', { uid: 0, host, port: 4444 }, 'inbound'],
    ["from outside to the agent's outbound port", { uid: 0, host, port: ports.agentOutbound }, 'inbound'],
    ['from outside to health', { uid: 0, host, port: ports.agentHealth }, 'health'],
    ['from outside to metrics', { uid: 0, host, port: ports.agentMetrics }, 'metrics'],
    ['from outside to an excluded port', { uid: 0, host, port: 9100 }, 'app'],
  ] as const;
}

type Case = readonly [string, { readonly uid: number; readonly host: string; readonly port: number }, string];

function expectAnswers(t: ExecutionContext, network: PodNetwork, namespace: string, cases: readonly Case[]): void {
  const answers = JSON.parse(
    network.script(
      namespace,
      'dial.ts',
      cases.map(([, dial]) => dial),
    ),
  ) as string[];
  for (const [i, [what, dial, expected]] of cases.entries()) {
    t.true(answers[i]?.startsWith(`${expected}`), `${what} (${dial.host}): ${answers[i]}, expected ${expected}`);
  }
}

const exclusions = [
  ...['--exclude-inbound-ports', '9100'],
  ...['--exclude-outbound-ports', '25'],
  ...['--exclude-outbound-cidrs', families.map((f) => addresses[f].excludedCidr).join(',')],
];

for (const flavour of ['nft', 'legacy'] as const) {
  test.serial(`${flavour}: what lands where`, async (t) => {
    const network = podNetwork(t, flavour);
    const init = agent(network, ['init', ...exclusions]);
    t.is(init.code, 0, init.stderr);
    await network.serve(network.pod, podServers);
    await network.serve(network.outside, outsideServers);
    for (const family of families) {
      expectAnswers(t, network, network.pod, insideCases(family));
      expectAnswers(t, network, network.outside, outsideCases(family));
    }
  });

  test.serial(`${flavour}: init proves both directions and names each hole`, (t) => {
    const network = podNetwork(t, flavour);
    const { code, stderr } = agent(network, ['init', ...exclusions]);
    t.is(code, 0, stderr);
    const lines = stderr
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l));
    const proven = lines.filter((l) => l.outcome === 'proven').map((l) => `${l.family} ${l.direction}`);
    t.deepEqual(proven, ['v4 outbound', 'v4 inbound', 'v6 outbound', 'v6 inbound']);
    t.deepEqual(
      lines.filter((l) => l.level === 'warn').map((l) => l.port ?? l.cidr),
      [9100, 25, addresses.IPv4.excludedCidr, addresses.IPv6.excludedCidr],
    );
    t.deepEqual([...new Set(lines.flatMap((l) => l.program ?? []))], [`iptables-${flavour}`, `ip6tables-${flavour}`]);
  });

  test.serial(
    `${flavour}: a second run changes nothing, other options replace the first, cleanup leaves nothing`,
    (t) => {
      const network = podNetwork(t, flavour);
      const foreign = addedRules(rulesOf(network));
      t.is(agent(network, ['init', ...exclusions]).code, 0);
      const first = rulesOf(network);
      t.is(agent(network, ['init', ...exclusions]).code, 0);
      t.is(rulesOf(network), first);
      t.is(agent(network, ['init']).code, 0);
      t.false(rulesOf(network).includes('9100'));
      for (const rule of foreign.split('\n')) t.true(rulesOf(network).includes(rule), rule);
      t.is(agent(network, ['cleanup']).code, 0);
      t.is(addedRules(rulesOf(network)), foreign);
      t.false(network.run(network.pod, 'ip', ['-6', 'addr', 'show', 'dev', 'lo']).stdout.includes('::6/128'));
      t.is(agent(network, ['cleanup']).code, 0);
    },
  );
}

for (const flavour of ['nft', 'legacy'] as const) {
  test.serial(`${flavour}: init needs NET_ADMIN and NET_RAW and no other capability`, (t) => {
    const network = podNetwork(t, flavour);
    const only = '-all,+net_admin,+net_raw';
    const as = ['--inh-caps', only, '--bounding-set', only, '--no-new-privs', agentProgram, 'init'];
    const { code, stderr } = network.run(network.pod, 'setpriv', as);
    t.is(code, 0, stderr);
    t.true(stderr.includes('"direction":"outbound","outcome":"proven"'));
    const none = network.run(network.pod, 'setpriv', [
      '--inh-caps',
      '-all',
      '--bounding-set',
      '-all',
      agentProgram,
      'init',
    ]);
    t.is(none.code, 1);
    t.regex(none.stderr, /NET_ADMIN/);
  });
}

function switchIpv6Off(t: ExecutionContext, network: PodNetwork, device: string): void {
  const set = network.run(network.pod, 'sh', ['-c', `echo 1 > /proc/sys/net/ipv6/conf/${device}/disable_ipv6`]);
  t.is(set.code, 0, set.stderr);
}

test.serial('a namespace without IPv6 gets IPv4 rules only', (t) => {
  const network = podNetwork(t, 'nft');
  switchIpv6Off(t, network, 'all');
  const init = agent(network, ['init']);
  t.is(init.code, 0, init.stderr);
  t.regex(init.stderr, /has no IPv6/);
  const sixth = network.run(network.pod, 'ip6tables-nft-save', []).stdout;
  t.false(sixth.includes('MESH'));
});

test.serial('IPv6 that is off on lo alone does not pass by the agent', (t) => {
  const network = podNetwork(t, 'nft');
  t.is(network.run(network.pod, 'ip', ['link', 'set', 'lo', 'up']).code, 0);
  switchIpv6Off(t, network, 'lo');
  t.is(agent(network, ['init']).code, 0);
  t.true(network.run(network.pod, 'ip6tables-nft-save', []).stdout.includes('MESH_OUT_REDIR'));
});

test.serial('bad input is refused by name, and nothing is applied', (t) => {
  const network = podNetwork(t, 'nft');
  const before = rulesOf(network);
  for (const [args, message] of [
    [['init', '--exclude-inbound-ports', '80,http'], /'http'/],
    [['init', '--exclude-outbound-cidrs', '10.0.0.1/8'], /'10\.0\.0\.1\/8'/],
    [['init', '--exclude-inbound-ports', '15021'], /'15021'/],
    [['init', '--nonsense'], /--nonsense/],
    [['cleanup', 'all'], /all/],
  ] as const) {
    const result = agent(network, args);
    t.is(result.code, 2, result.stderr);
    t.regex(result.stderr, message);
  }
  t.is(rulesOf(network), before);
});

test.serial('init fails where something else answers on the agent port', async (t) => {
  const network = podNetwork(t, 'nft');
  t.is(network.run(network.pod, 'ip', ['link', 'set', 'lo', 'up']).code, 0);
  await network.serve(network.pod, [{ name: 'squatter', host: '127.0.0.1', port: ports.agentOutbound }]);
  const result = agent(network, ['init']);
  t.is(result.code, 1);
  t.regex(result.stderr, /127\.0\.0\.1 port 15001.*INTERCEPTION_PORT_TAKEN/s);
});

test.serial('init fails where a rule of others keeps traffic from the agent', (t) => {
  const network = podNetwork(t, 'nft');
  const rule = ['-t', 'nat', '-I', 'OUTPUT', '-p', 'tcp', '-j', 'ACCEPT'];
  t.is(network.run(network.pod, 'iptables-nft', rule).code, 0);
  const result = agent(network, ['init']);
  t.is(result.code, 1);
  t.regex(result.stderr, /IPv4: outbound traffic does not reach the agent.*INTERCEPTION_UNPROVEN/s);
});

/** The agent as it is started in a pod: under its uid, told by its environment that mesh-init has run. */
function sidecar(network: PodNetwork, podIps: string): Outcome {
  const environment = {
    ...{ POD_NAME: 'web-1', POD_NAMESPACE: 'shop', SERVICE_ACCOUNT: 'web', CHAINMAIL_TRUST_DOMAIN: 'cluster.local' },
    ...{ POD_IP: podIps.split(',')[0] ?? '', POD_IPS: podIps, CHAINMAIL_PROVE_INTERCEPTION: 'true' },
    ...{ CHAINMAIL_CONTROL_ADDRESS: '127.0.0.1:1', CHAINMAIL_CA_ADDRESS: '127.0.0.1:1' },
  };
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const asAgent = ['--reuid', String(agentUid), '--regid', String(agentUid), '--clear-groups'];
  return network.run(network.pod, 'setpriv', [...asAgent, 'env', ...settings, agentProgram, 'sidecar']);
}

test.serial('an agent that inbound traffic passes by does not start', (t) => {
  const network = new PodNetwork('proof');
  t.teardown(() => network.close());
  network.run(network.pod, 'ip', ['link', 'set', 'lo', 'up']);
  const { code, stderr } = sidecar(network, addresses.IPv4.pod);
  t.is(code, 1);
  t.regex(stderr, /inbound traffic to 10\.201\.0\.2 does not reach the agent.*\[INTERCEPTION_UNPROVEN\]/);
});

test.serial('a pod that excludes what the proof would dial is proven by something else', (t) => {
  const network = new PodNetwork('proof');
  t.teardown(() => network.close());
  const excluded = ['--exclude-outbound-ports', '9', '--exclude-outbound-cidrs', '192.0.2.0/24,2001:db8::/48'];
  const { code, stderr } = agent(network, ['init', ...excluded]);
  t.is(code, 0, stderr);
  t.regex(stderr, /198\.51\.100\.1 port 13.*interception proven/);
  t.regex(stderr, /2001:db8:ffff::1 port 13.*interception proven/);
});
