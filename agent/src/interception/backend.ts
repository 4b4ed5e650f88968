/**
 * Which iptables to use here, for each family by itself: the one that holds our rules, else legacy where it holds
 * any, else nft where it works, else legacy where it works. A program on the PATH proves nothing, so a rule is really added and removed.
 */
import { UserError } from '@chainmail/runtime';
import type { CommandResult, RunCommand } from './command.ts';
import type { Family } from './rules.ts';

export type Flavour = 'legacy' | 'nft';

export interface Backend {
  readonly family: Family;
  readonly flavour: Flavour;
  /** e.g. `ip6tables-nft`; `-restore` and `-save` are appended to it. */
  readonly program: string;
}

const base: Readonly<Record<Family, string>> = { v4: 'iptables', v6: 'ip6tables' };

/** Seconds that a legacy program waits for the lock; nft needs none. */
const lockWait: Readonly<Record<Flavour, readonly string[]>> = { legacy: ['-w', '30'], nft: [] };

/** Not reachable from any built-in chain, so it is a no-op; it needs the matches and the target the real rules need. */
const trialChain = 'MESH_TRIAL';
const trial = `*nat
:${trialChain} - [0:0]
-A ${trialChain} -p tcp -m owner --uid-owner 0 -m multiport --dports 1,2 -j REDIRECT --to-ports 1
COMMIT
`;

/** @throws UserError INTERCEPTION_NO_BACKEND with what each program said */
export async function detectBackend(run: RunCommand, family: Family): Promise<Backend> {
  const candidates = await installed(run, family);
  const holding = await firstHolding(run, candidates);
  if (holding !== undefined) return holding;
  const failures: string[] = [];
  for (const backend of candidates) {
    const reason = await unusable(run, backend);
    if (reason === undefined) return backend;
    failures.push(`${backend.program}: ${reason}`);
  }
  const seen = failures.length === 0 ? `no ${base[family]} is installed` : failures.join('; ');
  throw new UserError('INTERCEPTION_NO_BACKEND', `IP${family}: ${seen}`, {
    hint: 'the init step needs iptables and the capabilities NET_ADMIN and NET_RAW',
  });
}

/** Every backend installed, nft first: cleanup looks into all of them. */
export async function installed(run: RunCommand, family: Family): Promise<readonly Backend[]> {
  const plain = await run(base[family], ['--version']);
  const plainFlavour: Flavour = plain.stdout.includes('nf_tables') ? 'nft' : 'legacy';
  const found: Backend[] = [];
  for (const flavour of ['nft', 'legacy'] as const) {
    const suffixed = `${base[family]}-${flavour}`;
    if ((await run(suffixed, ['--version'])).code === 0) found.push({ family, flavour, program: suffixed });
    else if (plain.code === 0 && plainFlavour === flavour) found.push({ family, flavour, program: base[family] });
  }
  return found;
}

/** One that has our chains already, so that a second run never programs both; else legacy if it has any rule. */
async function firstHolding(run: RunCommand, candidates: readonly Backend[]): Promise<Backend | undefined> {
  const saved = await Promise.all(candidates.map((b) => run(`${b.program}-save`, [])));
  const holds = (pattern: RegExp, flavour?: Flavour): Backend | undefined =>
    candidates.find((b, i) => (flavour ?? b.flavour) === b.flavour && pattern.test(saved[i]?.stdout ?? ''));
  return holds(/^:MESH_OUT /m) ?? holds(/^-A /m, 'legacy');
}

async function unusable(run: RunCommand, backend: Backend): Promise<string | undefined> {
  const added = await restore(run, backend, trial);
  if (added.code !== 0) return firstLine(added);
  const removed = await restore(run, backend, `*nat\n-F ${trialChain}\n-X ${trialChain}\nCOMMIT\n`);
  return removed.code === 0 ? undefined : firstLine(removed);
}

/** `-restore --noflush` with the text on stdin; `extra` may be `--test`. */
export function restore(
  run: RunCommand,
  b: Backend,
  text: string,
  extra: readonly string[] = [],
): Promise<CommandResult> {
  return run(`${b.program}-restore`, ['--noflush', ...lockWait[b.flavour], ...extra], text);
}

/** One iptables command. */
export function iptables(run: RunCommand, b: Backend, args: readonly string[]): Promise<CommandResult> {
  return run(b.program, [...lockWait[b.flavour], ...args]);
}

export function firstLine(result: CommandResult): string {
  return result.stderr.split('\n').find((l) => l.trim() !== '') ?? `exit code ${result.code}`;
}
