/**
 * `npm run bench -- --ci`: a few rows beside nginx, against the ratios in reference.json. A row that looks worse is driven
 * again, longer, before it is called so. Ends well whatever it finds: it informs.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type BenchPlace, findPeers } from './peers.ts';
import { changeLine, changes, isWorse, type Ratios, tolerance } from './regression.ts';
import { type Row, rows } from './rows.ts';
import { ratio, runRow } from './run-row.ts';

const referenceFile = path.join(import.meta.dirname, 'reference.json');
const seconds = 1;
/** As the reference was taken. */
const starts = 1;
const against = 'nginx';

async function measure(row: Row, place: BenchPlace, rounds: number): Promise<number | null> {
  const peers = findPeers(() => {}, place.nextPort).filter((p) => p.name === 'agent' || p.name === against);
  const results = await runRow(row, peers, place, { rounds, seconds, starts });
  const agent = results.find((r) => r.peer === 'agent');
  const peer = results.find((r) => r.peer === against);
  return agent === undefined || peer === undefined ? null : ratio(agent, peer, (s) => s.cpuUs);
}

export async function compareWithReference(
  place: BenchPlace,
  { rounds, record }: { readonly rounds: number; readonly record: boolean },
): Promise<void> {
  const reference = JSON.parse(fs.readFileSync(referenceFile, 'utf8')) as Ratios;
  const measured: Record<string, Record<string, number>> = {};
  for (const row of rows.filter((r) => r.ci)) {
    const known = { [row.name]: reference[row.name] ?? {} };
    const compare = (of: number) => changes(known, { [row.name]: { [against]: of } });
    let found = await measure(row, place, rounds);
    if (found !== null && !record && compare(found).some(isWorse)) {
      found = Math.min(found, (await measure(row, place, rounds * 2)) ?? found);
    }
    if (found === null) continue;
    measured[row.name] = { [against]: Number(found.toFixed(3)) };
    if (!record) for (const change of compare(found)) console.log(changeLine(change));
  }
  if (record) {
    fs.writeFileSync(referenceFile, `${JSON.stringify(measured, null, 2)}\n`);
    console.log(`bench: written to ${path.relative(process.cwd(), referenceFile)}`);
    return;
  }
  const worse = changes(reference, measured).filter(isWorse).length;
  const percent = tolerance * 100;
  console.log(
    worse === 0
      ? `bench: no row is more than ${percent} % worse than the reference`
      : `bench: ${worse} of ${Object.keys(measured).length} rows got more than ${percent} % worse; npm run bench -- --row NAME says more`,
  );
}
