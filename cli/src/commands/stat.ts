/** `meshctl stat`: success rate, requests per second and latencies of each workload, read from the agents. */
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '@chainmail/runtime';
import { Args, Command, Flags } from '@oclif/core';
import { exitCode } from '../exit-code.ts';
import { durationFlag, namespaceFlag, outputFlag } from '../flags.ts';
import { selectPods } from '../mesh/select.ts';
import { openMesh, targetFlags } from '../mesh/target.ts';
import { render } from '../output/render.ts';
import { type Column, renderTable } from '../output/table.ts';
import { StatReader } from '../telemetry/stat-reader.ts';
import type { StatRow } from '../telemetry/stat-rows.ts';

/** Each look has every agent print all its statistics. */
const shortestWindowMs = 200;

const ms = (v: number | null): string => (v === null ? '-' : `${v.toFixed(v < 10 ? 1 : 0)}ms`);

const columns: readonly Column<StatRow>[] = [
  { title: 'NAMESPACE', value: (r) => r.namespace },
  { title: 'NAME', value: (r) => r.name },
  { title: 'MESHED', value: (r) => `${r.meshed}/${r.pods}`, right: true },
  {
    title: 'SUCCESS',
    value: (r) => (r.successRate === null ? '-' : `${(r.successRate * 100).toFixed(2)}%`),
    right: true,
  },
  { title: 'RPS', value: (r) => (r.rps === null ? '-' : `${r.rps.toFixed(1)}rps`), right: true },
  { title: 'LATENCY_P50', value: (r) => ms(r.p50Ms), right: true },
  { title: 'LATENCY_P95', value: (r) => ms(r.p95Ms), right: true },
  { title: 'LATENCY_P99', value: (r) => ms(r.p99Ms), right: true },
  { title: 'TCP_CONN', value: (r) => (r.tcpConnections === null ? '-' : String(r.tcpConnections)), right: true },
];

export default class Stat extends Command {
  static override description = 'show traffic: success rate, requests per second, latencies';
  static override examples = ['meshctl stat', 'meshctl stat -n shop --window 10s', 'meshctl stat --watch -o json'];
  static override args = { workload: Args.string({ description: 'Deployment or pod, such as web or shop/web' }) };
  static override flags = {
    ...targetFlags,
    namespace: namespaceFlag,
    output: outputFlag(),
    window: durationFlag({
      default: 2000,
      defaultHelp: async () => '2s',
      min: shortestWindowMs,
      description: 'how long to look; every agent is asked once at its end',
    }),
    watch: Flags.boolean({ char: 'w', description: 'go on; with -o json one line for each window' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Stat);
    const reader = new StatReader(await openMesh(flags), systemClock, (pods) =>
      selectPods(pods, args.workload, flags.namespace),
    );
    await reader.next();
    do {
      await wait(flags.window);
      const rows = await reader.next();
      const result = { windowSeconds: flags.window / 1000, rows };
      if (flags.watch && flags.output === 'json') this.log(JSON.stringify(result));
      else this.log(render(result, flags.output, () => renderTable(rows, columns)));
      const problems = rows.flatMap((r) => r.problems);
      for (const p of problems) process.stderr.write(`meshctl: ${p}\n`);
      process.exitCode = problems.length > 0 ? exitCode.failed : exitCode.ok;
    } while (flags.watch);
  }
}
