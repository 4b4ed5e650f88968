/** `meshctl proxy-status`: which agents are connected to which control process, and whether they hold the newest. */
import { Args, Command } from '@oclif/core';
import { age } from '../dev-status-table.ts';
import { exitCode } from '../exit-code.ts';
import { namespaceFlag, outputFlag } from '../flags.ts';
import { podLabel } from '../mesh/mesh-client.ts';
import { type AgentsPage, type ProxyStatusRow, proxyStatusRows } from '../mesh/proxy-status-rows.ts';
import { selectPods } from '../mesh/select.ts';
import { openMesh, targetFlags } from '../mesh/target.ts';
import { render } from '../output/render.ts';
import { type Column, renderTable } from '../output/table.ts';

const columns = (nowMs: number): readonly Column<ProxyStatusRow>[] => [
  { title: 'NAMESPACE', value: (r) => r.namespace },
  { title: 'POD', value: (r) => r.pod },
  { title: 'CDS', value: (r) => r.cds },
  { title: 'EDS', value: (r) => r.eds },
  { title: 'LDS', value: (r) => r.lds },
  { title: 'RDS', value: (r) => r.rds },
  { title: 'CONTROL', value: (r) => r.control || 'not connected' },
  { title: 'CONNECTED', value: (r) => (r.connectedAt === '' ? '-' : age(r.connectedAt, nowMs)), right: true },
];

export default class ProxyStatus extends Command {
  static override description =
    'show whether each agent has the newest configuration; exit code 1 when one is not connected or refuses it';
  static override examples = ['meshctl proxy-status', 'meshctl proxy-status -n shop web -o json'];
  static override args = { workload: Args.string({ description: 'Deployment or pod' }) };
  static override flags = { ...targetFlags, namespace: namespaceFlag, output: outputFlag() };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(ProxyStatus);
    const mesh = await openMesh(flags);
    const [pods, instances] = await Promise.all([mesh.pods(), mesh.instances('control')]);
    const problems: string[] = [];
    const pages: { instance: string; page: AgentsPage }[] = [];
    for (const instance of instances) {
      try {
        pages.push({
          instance: instance.name,
          page: JSON.parse(await mesh.control(instance, '/debug/agents')) as AgentsPage,
        });
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (instances.length === 0) problems.push(`no control process runs in ${mesh.where}`);
    const rows = proxyStatusRows(selectPods(pods, args.workload, flags.namespace), pages);
    this.log(render({ proxies: rows, problems }, flags.output, () => renderTable(rows, columns(Date.now()))));
    const refused = rows.flatMap((r) => r.rejections.map((why) => `${podLabel({ ...r, name: r.pod })} refused ${why}`));
    for (const p of [...problems, ...refused]) process.stderr.write(`meshctl: ${p}\n`);
    const bad = problems.length > 0 || rows.some((r) => r.control === '' || r.rejections.length > 0);
    process.exitCode = bad ? exitCode.failed : exitCode.ok;
    mesh.close();
  }
}
