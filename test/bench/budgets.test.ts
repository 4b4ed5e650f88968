import test from 'ava';
import { type Budget, budgetLine, budgets, budgetTable, holds, type Measured } from './budgets.ts';
import type { Sample } from './load.ts';
import { rows } from './rows.ts';
import type { Result } from './run-row.ts';

const usual: Sample = { cpuUs: 10, kernelUs: 4, rps: 1000, p50Ms: 1, p99Ms: 2, errors: 0 };
const sample = (of: Partial<Sample>): Sample => ({ ...usual, ...of });
const result = (peer: string, ...samples: readonly Partial<Sample>[]): Result => ({
  peer,
  samples: samples.map(sample),
  startMs: 1,
  rssMb: 1,
  anonymousMb: 1,
});
const cost = { rssKb: 60 * 1024, anonymousKb: 20 * 1024 };
const costs = { loaded: cost, idle: cost, startMs: 200, plainConnectionKb: 5, mutualConnectionKb: 30 };

const named = (name: string): Budget => budgets.find((b) => b.name === name) as Budget;

test('a ratio is taken round by round, so that a machine that slows down slows both', (t) => {
  const measured: Measured = {
    rows: {
      'plain hop, rich': [
        result('agent', { cpuUs: 9 }, { cpuUs: 18 }, { cpuUs: 27 }),
        result('nginx', { cpuUs: 10 }, { cpuUs: 20 }, { cpuUs: 30 }),
        result('envoy', { cpuUs: 30 }, { cpuUs: 60 }, { cpuUs: 90 }),
      ],
    },
    costs: {},
  };
  const line = budgetLine(named('CPU, plain hop, rich'), measured);
  t.regex(line, /18\.0 +0\.90 +- +0\.30 +- +- +<= 1 nginx, <= 0\.35 envoy +holds$/);
});

test('one limit that is missed misses the budget; a peer that is not there leaves it open', (t) => {
  const rich = (nginx: number, ...more: Result[]): string =>
    budgetLine(named('CPU, plain hop, rich'), {
      rows: { 'plain hop, rich': [result('agent', { cpuUs: 10 }), result('nginx', { cpuUs: nginx }), ...more] },
      costs: {},
    });
  t.regex(rich(9), /MISSED$/);
  t.regex(rich(11), /not measured$/);
  t.regex(rich(11, result('envoy', { cpuUs: 20 })), /MISSED$/);
});

test('a limit that the kernel alone exceeds is missed, and says so', (t) => {
  const line = (kernelUs: number): string =>
    budgetLine(named('CPU, plain hop, rich'), {
      rows: {
        'plain hop, rich': [
          result('agent', { cpuUs: 14, kernelUs }),
          result('nginx', { cpuUs: 15 }),
          result('envoy', { cpuUs: 30 }),
        ],
      },
      costs: {},
    });
  t.regex(line(11), /MISSED: the kernel alone is 0\.37 envoy$/);
  t.regex(line(10), /MISSED$/);
});

test('latency counts from what the upstream itself takes', (t) => {
  const measured: Measured = {
    rows: {
      'two hops mTLS, paced, rich': [
        result('direct', { p50Ms: 0.1 }, { p50Ms: 0.2 }),
        result('agent', { p50Ms: 0.6 }, { p50Ms: 0.7 }),
        result('envoy', { p50Ms: 1.1 }, { p50Ms: 1.2 }),
      ],
    },
    costs: {},
  };
  const { own, ratios } = named('p50 added, paced, rich').read(measured);
  t.is(own?.toFixed(3), '0.500');
  t.is(ratios['envoy']?.toFixed(3), '0.500');
});

test('the best of the peers is the one the agent is the slowest beside', (t) => {
  t.true(holds({ kind: 'best', max: 0.9 }, { own: 1, ratios: { nginx: 0.5, haproxy: 0.9 } }));
  t.false(holds({ kind: 'best', max: 0.9 }, { own: 1, ratios: { nginx: 0.5, haproxy: 0.91 } }));
  t.is(holds({ kind: 'best', max: 0.9 }, { own: 1, ratios: {} }), null);
});

test('memory, start and waiting beside bulk are judged by their own figures', (t) => {
  const measured: Measured = {
    rows: {
      'two hops mTLS, paced': [result('agent', { p99Ms: 1 })],
      'two hops mTLS, paced, beside 10 MiB': [result('agent', { p99Ms: 3.2 })],
    },
    costs: { agent: costs, envoy: { ...costs, loaded: { rssKb: 50 * 1024, anonymousKb: 1 } } },
  };
  const table = budgetTable(measured).join('\n');
  t.regex(table, /p99 beside 10 MiB bodies \/ alone +3\.20 .*MISSED/);
  t.regex(table, /RSS after 1,000\/s +60\.0 +- +- +1\.20 .*MISSED/);
  t.regex(table, /anonymous after 1,000\/s +20\.0 .*holds/);
  t.regex(table, /an idle mTLS connection +30\.0 .*holds/);
  t.regex(table, /start to ready +200\.0 .*holds/);
  t.notRegex(table, /CPU/);
});

test('every row that a budget names is one that runs', (t) => {
  const asked: string[] = [];
  const spy = new Proxy<Record<string, readonly Result[]>>(
    {},
    {
      get: (_, name) => {
        asked.push(String(name));
        return [];
      },
    },
  );
  for (const b of budgets) b.read({ rows: spy, costs: {} });
  const known = new Set(rows.map((r) => r.name));
  t.true(asked.length > 10);
  t.deepEqual(
    asked.filter((name) => !known.has(name)),
    [],
  );
});
