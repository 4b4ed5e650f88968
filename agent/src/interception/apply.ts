/**
 * Bringing the rules into this network namespace and out of it again.
 * Invariant: both families are tested before either is changed; each table changes in one transaction, and a jump is
 * added only where it is absent, so a second run leaves the same rules.
 */
import { UserError } from '@chainmail/runtime';
import { type Backend, detectBackend, firstLine, installed, iptables, restore } from './backend.ts';
import type { RunCommand } from './command.ts';
import type { InterceptionOptions } from './options.ts';
import { buildTables, everyTable, type Family, type Jump, renderTables, type Table, type TableName } from './rules.ts';

export interface Applied {
  readonly backends: readonly Backend[];
}

interface Plan {
  readonly backend: Backend;
  readonly text: string;
}

/** @throws UserError INTERCEPTION_NO_BACKEND, INTERCEPTION_REFUSED with the program's own message */
export async function applyRules(
  run: RunCommand,
  families: readonly Family[],
  options: InterceptionOptions,
): Promise<Applied> {
  const plans: Plan[] = [];
  for (const family of families) plans.push(await plan(run, await detectBackend(run, family), options));
  for (const { backend, text } of plans) await restoreOrThrow(run, backend, text, ['--test']);
  for (const { backend, text } of plans) await restoreOrThrow(run, backend, text, []);
  return { backends: plans.map((p) => p.backend) };
}

async function plan(run: RunCommand, backend: Backend, options: InterceptionOptions): Promise<Plan> {
  const tables = buildTables(backend.family, options);
  const absent = new Set<Jump>();
  for (const { name, jump } of jumpsOf(tables)) {
    if (!(await hasJump(run, backend, name, jump))) absent.add(jump);
  }
  return { backend, text: renderTables(tables, (_table, jump) => absent.has(jump)) };
}

async function restoreOrThrow(run: RunCommand, b: Backend, text: string, extra: readonly string[]): Promise<void> {
  const result = await restore(run, b, text, extra);
  if (result.code === 0) return;
  const line = Number(/line:? (\d+)/i.exec(result.stderr)?.[1]);
  const rule = Number.isNaN(line) ? undefined : text.split('\n')[line - 1];
  const where = rule === undefined ? '' : ` (${rule})`;
  throw new UserError('INTERCEPTION_REFUSED', `${b.program}-restore: ${firstLine(result)}${where}`, {
    hint: 'the init step needs the capabilities NET_ADMIN and NET_RAW, and the kernel modules of NAT and conntrack',
  });
}

function jumpsOf(tables: readonly Table[]): readonly { readonly name: TableName; readonly jump: Jump }[] {
  return tables.flatMap((t) => t.jumps.map((jump) => ({ name: t.name, jump })));
}

async function hasJump(run: RunCommand, backend: Backend, table: TableName, jump: Jump): Promise<boolean> {
  return (await iptables(run, backend, ['-t', table, '-C', jump.builtin, ...jump.rule.split(' ')])).code === 0;
}

/** Takes away every jump and chain of ours, from each backend that is installed. @throws UserError INTERCEPTION_LEFT */
export async function removeRules(run: RunCommand, families: readonly Family[]): Promise<void> {
  const left: string[] = [];
  for (const family of families) {
    for (const backend of await installed(run, family)) {
      for (const table of everyTable(family)) left.push(...(await removeTable(run, backend, table)));
    }
  }
  if (left.length > 0) throw new UserError('INTERCEPTION_LEFT', `could not remove ${left.join('; ')}`);
}

/** What could not be removed. Looks first, since even listing makes legacy iptables load a table. */
async function removeTable(run: RunCommand, backend: Backend, table: Table): Promise<readonly string[]> {
  const saved = (await run(`${backend.program}-save`, [])).stdout;
  const chains = chainsOf(saved, table.name).filter((c) => table.chains.includes(c));
  if (chains.length === 0) return [];
  for (const jump of table.jumps) {
    while (await hasJump(run, backend, table.name, jump)) {
      const gone = await iptables(run, backend, ['-t', table.name, '-D', jump.builtin, ...jump.rule.split(' ')]);
      if (gone.code !== 0) return [`${backend.program} -t ${table.name} ${jump.builtin}: ${firstLine(gone)}`];
    }
  }
  const text = [`*${table.name}`, ...chains.map((c) => `-F ${c}`), ...chains.map((c) => `-X ${c}`), 'COMMIT', ''];
  const result = await restore(run, backend, text.join('\n'));
  return result.code === 0 ? [] : [`${backend.program} -t ${table.name}: ${firstLine(result)}`];
}

/** Chains of one table in the output of iptables-save. */
function chainsOf(saved: string, table: TableName): readonly string[] {
  const section = saved.split(/^\*/m).find((s) => s.startsWith(`${table}\n`)) ?? '';
  return [...section.matchAll(/^:(\S+)/gm)].map((m) => m[1] ?? '');
}
