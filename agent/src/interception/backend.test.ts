/** The choice of backend, against recorded answers of the programs; the real ones are in the end-to-end suite. */
import test from 'ava';
import { detectBackend } from './backend.ts';
import type { RunCommand } from './command.ts';

interface Machine {
  readonly programs: readonly string[];
  /** What `-save` prints. */
  readonly saved?: Readonly<Record<string, string>>;
  /** Programs whose `-restore` fails, and how. */
  readonly broken?: Readonly<Record<string, string>>;
  readonly plainVersion?: string;
}

const ok = { code: 0, stdout: '', stderr: '' };

function machine({ programs, saved = {}, broken = {}, plainVersion = '' }: Machine): RunCommand {
  return async (command, args) => {
    const program = command.replace(/-(save|restore)$/, '');
    if (!programs.includes(program)) return { code: -1, stdout: '', stderr: 'spawn ENOENT' };
    if (args[0] === '--version') return { ...ok, stdout: plainVersion };
    if (command.endsWith('-save')) return { ...ok, stdout: saved[program] ?? '' };
    const failure = broken[program];
    return failure === undefined ? ok : { code: 1, stdout: '', stderr: `${failure}\n` };
  };
}

const both = ['iptables', 'iptables-nft', 'iptables-legacy'];
const foreign = '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n';
const ours = '*nat\n:MESH_OUT - [0:0]\n-A OUTPUT -j MESH_OUT\nCOMMIT\n';

for (const [what, given, program] of [
  ['nft where nothing is programmed', { programs: both }, 'iptables-nft'],
  ['legacy where it holds rules', { programs: both, saved: { 'iptables-legacy': foreign } }, 'iptables-legacy'],
  ['nft although it holds foreign rules', { programs: both, saved: { 'iptables-nft': foreign } }, 'iptables-nft'],
  [
    'the one with our rules, although legacy has others by now',
    { programs: both, saved: { 'iptables-nft': ours, 'iptables-legacy': foreign } },
    'iptables-nft',
  ],
  ['legacy where nft does not work', { programs: both, broken: { 'iptables-nft': 'no nf_tables' } }, 'iptables-legacy'],
  [
    'legacy with empty tables is no reason',
    { programs: both, saved: { 'iptables-legacy': '*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n' } },
    'iptables-nft',
  ],
  [
    'the plain program, by its version',
    { programs: ['iptables'], plainVersion: 'iptables v1.8.9 (nf_tables)' },
    'iptables',
  ],
] as const) {
  test(what, async (t) => {
    t.is((await detectBackend(machine(given), 'v4')).program, program);
  });
}

test('a plain program without a word about nf_tables is legacy, and waits for the lock', async (t) => {
  const backend = await detectBackend(machine({ programs: ['iptables'], plainVersion: 'iptables v1.6.1' }), 'v4');
  t.is(backend.flavour, 'legacy');
});

test('families are chosen separately', async (t) => {
  const run = machine({ programs: [...both, 'ip6tables-nft'], saved: { 'iptables-legacy': foreign } });
  t.is((await detectBackend(run, 'v4')).program, 'iptables-legacy');
  t.is((await detectBackend(run, 'v6')).program, 'ip6tables-nft');
});

test('none that works: each is named with what it said', async (t) => {
  const broken = { 'iptables-nft': 'Operation not permitted', 'iptables-legacy': "can't initialize" };
  await t.throwsAsync(detectBackend(machine({ programs: both, broken }), 'v4'), {
    code: 'INTERCEPTION_NO_BACKEND',
    message: /iptables-nft: Operation not permitted; iptables-legacy: can't initialize/,
  });
  await t.throwsAsync(detectBackend(machine({ programs: [] }), 'v6'), { message: /no ip6tables is installed/ });
});
