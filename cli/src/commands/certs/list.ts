/** `meshctl certs list`: the certificate of each agent, its age and what is left of it. */
import { Args, Command, Flags } from '@oclif/core';
import { exitCode } from '../../exit-code.ts';
import { durationFlag, namespaceFlag, outputFlag } from '../../flags.ts';
import { type CertificateRow, type CertsPage, certificateRows, spell } from '../../mesh/certificate-rows.ts';
import { fromEach } from '../../mesh/mesh-client.ts';
import { selectPods } from '../../mesh/select.ts';
import { openMesh, targetFlags } from '../../mesh/target.ts';
import { render } from '../../output/render.ts';
import { type Column, renderTable } from '../../output/table.ts';

const columns: readonly Column<CertificateRow>[] = [
  { title: 'NAMESPACE', value: (r) => r.namespace },
  { title: 'POD', value: (r) => r.pod },
  { title: 'SPIFFE ID', value: (r) => r.spiffeId },
  { title: 'SERIAL', value: (r) => `${r.serial.slice(0, 12)}...` },
  { title: 'LEFT', value: (r) => spell(r.secondsLeft), right: true },
  { title: 'STATUS', value: (r) => r.status },
];

export default class CertsList extends Command {
  static override description = "list the agents' certificates; exit code 1 when one is expired or expires too soon";
  static override examples = ['meshctl certs list', 'meshctl certs list -n shop --fail-within 1h'];
  static override args = { workload: Args.string({ description: 'Deployment or pod' }) };
  static override flags = {
    ...targetFlags,
    namespace: namespaceFlag,
    output: outputFlag(),
    'fail-within': durationFlag({ description: 'exit with 1 when a certificate ends within this time' }),
    'sort-by-expiry': Flags.boolean({ description: 'the one that ends first comes first' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(CertsList);
    const mesh = await openMesh(flags);
    const pods = selectPods(await mesh.pods(), args.workload, flags.namespace).filter((p) => p.meshed);
    const read = await fromEach(pods, async (p) => JSON.parse(await mesh.admin(p, '/certs')) as CertsPage);
    const rows = read.flatMap((r) => (r.value === undefined ? [] : certificateRows(r.pod, r.value, Date.now())));
    if (flags['sort-by-expiry']) rows.sort((a, b) => a.secondsLeft - b.secondsLeft);
    const problems = read.flatMap((r) => r.problem ?? []);
    this.log(render({ certificates: rows, problems }, flags.output, () => renderTable(rows, columns)));
    for (const p of problems) process.stderr.write(`meshctl: ${p}\n`);
    const limit = (flags['fail-within'] ?? 0) / 1000;
    const bad = problems.length > 0 || rows.some((r) => r.secondsLeft <= limit);
    process.exitCode = bad ? exitCode.failed : exitCode.ok;
  }
}
