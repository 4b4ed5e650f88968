/**
 * `npm run bench [-- --help]`: the agent beside nginx, haproxy and Envoy on one processor, the same requests, in rotation,
 * so that a machine whose speed drifts is fair to all. Ratios are the result; absolute figures are printed only to make
 * them checkable. `--ci` is the short form that only asks whether the agent got slower.
 */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { budgetTable } from './budgets.ts';
import { compareWithReference } from './ci.ts';
import { type Costs, printCosts } from './memory.ts';
import { findPeers, type Peer } from './peers.ts';
import { missingTools, openPlace, toolHint } from './place.ts';
import { rows } from './rows.ts';
import { printRow, type Result, runRow } from './run-row.ts';

const flags = {
  seconds: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '6' },
  starts: { type: 'string', default: '1' },
  json: { type: 'string' },
  row: { type: 'string' },
  peers: { type: 'string', default: 'agent,agent-h1,base,nginx,haproxy,nghttpx,envoy,envoy-h2' },
  base: { type: 'string' },
  memory: { type: 'boolean', default: false },
  ci: { type: 'boolean', default: false },
  record: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const usage = `npm run bench                          all rows and memory, and the budgets they are held against
npm run bench -- --row TEXT            only rows whose name has TEXT, without memory
npm run bench -- --memory              only memory and start
npm run bench -- --ci [--record]       short: has the agent got slower than test/bench/reference.json says? --record writes it
--seconds 2 --rounds 6 --starts 1      how long one drive takes, how many of each peer, and over how many starts of all of
                                       them, in reversed order each time (not for --ci, which starts them once)
--peers agent,nginx,haproxy,envoy      some of them
--base DIR                             another clone of this repository, whose agent runs beside ours as 'base'
--json FILE                            everything measured
Rows:`;

function misuse(message: string): never {
  console.error(`bench: ${message}\n  npm run bench -- --help lists the flags`);
  process.exit(2);
}

function readArgs() {
  try {
    return parseArgs({ options: flags }).values;
  } catch (error) {
    return misuse(error instanceof Error ? error.message : String(error));
  }
}

const args = readArgs();
for (const flag of ['seconds', 'rounds', 'starts'] as const) {
  if (!(Number(args[flag]) > 0)) misuse(`--${flag} ${args[flag]} is not a number above 0`);
}
if (!Number.isInteger(Number(args.starts))) misuse(`--starts ${args.starts} is not a whole number`);
if (args.record && !args.ci) misuse('--record goes with --ci');
if (args.help) {
  console.log([usage, ...rows.map((r) => `  ${r.name}`)].join('\n'));
  process.exit(0);
}

const missing = missingTools(args.ci);
if (missing.length > 0) {
  const what = `${missing.join(', ')} is missing; install it:  ${toolHint}`;
  if (args.ci) console.log(`bench: SKIPPED, nothing is compared: ${what}`);
  else console.error(`bench: ${what}`);
  process.exit(args.ci ? 0 : 1);
}
const place = await openPlace();
if (args.ci) {
  await compareWithReference(place, { rounds: Number(args.rounds), record: args.record });
  process.exit(0);
}

const wanted = args.peers.split(',');
const say = (line: string): void => console.log(line);
const peers = findPeers(say, place.nextPort, args.base ?? null).filter((p) => wanted.includes(p.name));
const [rounds, seconds, starts] = [Number(args.rounds), Number(args.seconds), Number(args.starts)];

async function runRows(of: readonly Peer[]): Promise<Record<string, readonly Result[]>> {
  const all: Record<string, readonly Result[]> = {};
  for (const row of rows.filter((r) => args.row === undefined || r.name.includes(args.row))) {
    const results = await runRow(row, of, place, { rounds, seconds, starts });
    all[row.name] = results;
    printRow(row, results);
  }
  return all;
}

const results = args.memory ? {} : await runRows(peers);
const costs: Readonly<Record<string, Costs>> =
  args.memory || args.row === undefined
    ? await printCosts(
        peers.filter((p) => !/-h[12]$/.test(p.name) && p.name !== 'nghttpx'),
        place,
        Math.min(2, rounds),
      )
    : {};
console.log(`\n${budgetTable({ rows: results, costs }).join('\n')}`);
if (args.json !== undefined) fs.writeFileSync(args.json, JSON.stringify({ rows: results, costs }, null, 2));
process.exit(0);
