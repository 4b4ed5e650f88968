/** Golden files: the rules as iptables-restore gets them. UPDATE_GOLDEN=1 writes them anew, for a reviewer to read. */
import fs from 'node:fs';
import path from 'node:path';
import { parseCidrList } from '@chainmail/runtime';
import test from 'ava';
import type { InterceptionOptions } from './options.ts';
import { buildTables, everyTable, type Family, renderTables } from './rules.ts';

const testdata = path.join(import.meta.dirname, 'testdata');
const none: InterceptionOptions = {
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
  resolvers: [],
};

const cases: Readonly<Record<string, InterceptionOptions>> = {
  plain: none,
  excluded: {
    ...none,
    excludeInboundPorts: Array.from({ length: 14 }, (_, i) => 9000 + i),
    excludeOutboundPorts: Array.from({ length: 31 }, (_, i) => 5000 + i),
    excludeOutboundCidrs: parseCidrList('10.0.0.0/8,fd00::/8,192.0.2.7', 'test'),
  },
  dns: { ...none, resolvers: ['10.96.0.10', 'fd00::a', '10.96.0.11'] },
};

for (const [name, options] of Object.entries(cases)) {
  for (const family of ['v4', 'v6'] as const satisfies readonly Family[]) {
    test(`${name}, ${family}`, (t) => {
      const file = path.join(testdata, `${name}.${family}.golden.rules`);
      const text = renderTables(buildTables(family, options), () => true);
      if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, text);
      t.is(text, fs.readFileSync(file, 'utf8'));
    });
  }
}

test('built-in chains hold jumps only, and only those asked for are rendered', (t) => {
  const tables = buildTables('v4', cases['dns'] ?? none);
  for (const rule of tables.flatMap((table) => table.rules)) t.regex(rule, /^-A MESH_/);
  t.notRegex(
    renderTables(tables, () => false),
    /^-A (?!MESH_)/m,
  );
  t.regex(
    renderTables(tables, (table, jump) => table === 'nat' && jump.builtin === 'OUTPUT'),
    /\n-A OUTPUT -j MESH_OUT\nCOMMIT\n$/,
  );
});

test('no rule names more than 15 ports, and none stands behind a catch-all', (t) => {
  for (const { rules } of buildTables('v4', cases['excluded'] ?? none)) {
    for (const rule of rules) t.true((/--dports (\S+)/.exec(rule)?.[1]?.split(',').length ?? 0) <= 15, rule);
    const last = new Map(rules.map((rule, i) => [rule.split(' ')[1], i]));
    for (const [i, rule] of rules.entries()) {
      const isCatchAll = /^-A \S+ -p tcp -j /.test(rule);
      t.true(!isCatchAll || last.get(rule.split(' ')[1]) === i, rule);
    }
  }
});

test('cleanup knows every chain that any options make', (t) => {
  for (const family of ['v4', 'v6'] as const) {
    const known = everyTable(family).flatMap((table) => table.chains);
    for (const options of Object.values(cases)) {
      for (const chain of buildTables(family, options).flatMap((table) => table.chains)) t.true(known.includes(chain));
    }
  }
});
