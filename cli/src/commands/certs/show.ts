/** `meshctl certs show POD`: everything about one agent's certificate and the anchors it trusts. */

import { UserError } from '@chainmail/runtime';
import { Args, Command } from '@oclif/core';
import { namespaceFlag, outputFlag } from '../../flags.ts';
import { type CertificateRow, type CertsPage, certificateRows, spell } from '../../mesh/certificate-rows.ts';
import { selectPods } from '../../mesh/select.ts';
import { openMesh, targetFlags } from '../../mesh/target.ts';
import { render } from '../../output/render.ts';

function describe(row: CertificateRow): string {
  const facts: readonly (readonly [string, string])[] = [
    ['Pod', `${row.namespace}/${row.pod}`],
    ['SPIFFE ID', row.spiffeId],
    ['Serial', row.serial],
    ['Not before', row.notBefore],
    ['Not after', `${row.notAfter} (${spell(row.secondsLeft)} left)`],
    ['Status', row.status],
    ['Trust anchors', row.trustAnchors.join(', ') || 'none'],
  ];
  return facts.map(([name, value]) => `${`${name}:`.padEnd(15)} ${value}`).join('\n');
}

export default class CertsShow extends Command {
  static override description = "show one agent's certificate";
  static override examples = ['meshctl certs show shop/web', 'meshctl certs show web -o yaml'];
  static override args = { pod: Args.string({ required: true, description: 'pod, namespace/pod, or Deployment' }) };
  static override flags = { ...targetFlags, namespace: namespaceFlag, output: outputFlag() };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(CertsShow);
    const mesh = await openMesh(flags);
    const pods = selectPods(await mesh.pods(), args.pod, flags.namespace).filter((p) => p.meshed);
    if (pods.length === 0) {
      throw new UserError('POD_NOT_MESHED', `${args.pod} has no agent, so it has no certificate`, {
        hint: 'label its namespace with chainmail.dev/inject: enabled and start it again',
      });
    }
    const rows: CertificateRow[] = [];
    for (const pod of pods) {
      const page = JSON.parse(await mesh.admin(pod, '/certs')) as CertsPage;
      rows.push(...certificateRows(pod, page, Date.now()));
    }
    this.log(render(rows.length === 1 ? rows[0] : rows, flags.output, () => rows.map(describe).join('\n\n')));
  }
}
