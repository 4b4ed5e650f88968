/** `meshctl edges`: who talks to whom, with which identities, over what. */
import { Args, Command, Flags } from '@oclif/core';
import { exitCode } from '../exit-code.ts';
import { namespaceFlag, outputFlag } from '../flags.ts';
import { type AgentEdge, type EdgeRow, edgeRows } from '../mesh/edge-rows.ts';
import { fromEach } from '../mesh/mesh-client.ts';
import { selectPods } from '../mesh/select.ts';
import { openMesh, targetFlags } from '../mesh/target.ts';
import { render } from '../output/render.ts';
import { type Column, renderTable } from '../output/table.ts';

const short: readonly Column<EdgeRow>[] = [
  { title: 'SRC', value: (r) => r.source },
  { title: 'DST', value: (r) => r.destination },
  { title: 'SRC_NS', value: (r) => r.sourceNamespace },
  { title: 'DST_NS', value: (r) => r.destinationNamespace },
  {
    title: 'SECURED',
    value: (r) =>
      r.secured === '' ? 'NO (plaintext)' : r.clientId === '' ? `${r.secured}, one side` : `√ ${r.secured}`,
  },
  { title: 'REQUESTS', value: (r) => String(r.requests), right: true },
  { title: 'CONNECTIONS', value: (r) => String(r.connections), right: true },
];
const wide: readonly Column<EdgeRow>[] = [
  ...short,
  { title: 'CLIENT_ID', value: (r) => r.clientId || '-' },
  { title: 'SERVER_ID', value: (r) => r.serverId || '-' },
];

export default class Edges extends Command {
  static override description = 'show who talks to whom, and with which identities';
  static override examples = ['meshctl edges', 'meshctl edges -n shop --wide', 'meshctl edges web -o json'];
  static override args = { workload: Args.string({ description: 'as seen by this Deployment or pod' }) };
  static override flags = {
    ...targetFlags,
    namespace: namespaceFlag,
    output: outputFlag(),
    wide: Flags.boolean({ description: 'with the SPIFFE IDs' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Edges);
    const mesh = await openMesh(flags);
    const pods = selectPods(await mesh.pods(), args.workload, flags.namespace).filter((p) => p.meshed);
    const read = await fromEach(pods, async (p) => JSON.parse(await mesh.admin(p, '/edges')) as { edges: AgentEdge[] });
    const rows = edgeRows(read.flatMap((r) => (r.value === undefined ? [] : [{ pod: r.pod, edges: r.value.edges }])));
    const problems = read.flatMap((r) => r.problem ?? []);
    this.log(render({ edges: rows, problems }, flags.output, () => renderTable(rows, flags.wide ? wide : short)));
    for (const p of problems) process.stderr.write(`meshctl: ${p}\n`);
    process.exitCode = problems.length > 0 ? exitCode.failed : exitCode.ok;
  }
}
