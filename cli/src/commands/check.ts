/** `meshctl check`: is the mesh well, and before it is installed (`--pre`), can it be? */
import { setTimeout as pause } from 'node:timers/promises';
import { Command, Flags } from '@oclif/core';
import { apiChecks } from '../check/api-checks.ts';
import { type CheckReport, runChecks } from '../check/check.ts';
import { Facts } from '../check/facts.ts';
import { installChecks } from '../check/install-checks.ts';
import { meshChecks } from '../check/mesh-checks.ts';
import { preChecks } from '../check/pre-checks.ts';
import { renderReport } from '../check/render.ts';
import { connect, requiredAccess } from '../cluster/kubeconfig.ts';
import { exitCode } from '../exit-code.ts';
import { clusterFlags, durationFlag } from '../flags.ts';
import { clusterMesh } from '../mesh/cluster-mesh.ts';

const againMs = 2000;

export default class Check extends Command {
  static override description = 'check that the mesh is well; exit code 1 when it is not';
  static override examples = [
    'meshctl check --pre',
    'meshctl check --wait',
    'meshctl check --fail-within 14d -o short',
  ];
  static override flags = {
    ...clusterFlags,
    pre: Flags.boolean({ description: 'check whether the mesh can be installed' }),
    output: Flags.option({ char: 'o', options: ['table', 'short', 'json'] as const, default: 'table' as const })({
      description: 'table, short (only what is not well), or json',
    }),
    wait: Flags.boolean({ description: 'ask again until all is well, or --timeout' }),
    timeout: durationFlag({ default: 300_000, defaultHelp: async () => '5m', description: 'how long --wait goes on' }),
    'fail-within': durationFlag({
      default: 0,
      defaultHelp: async () => '0s',
      description: 'fail when a certificate ends within this time',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Check);
    const api = await connect(flags);
    const mesh = await clusterMesh(requiredAccess(flags));
    const categories = [apiChecks, ...(flags.pre ? preChecks : [...installChecks, ...meshChecks])];
    const ask = (): Promise<CheckReport> =>
      runChecks(categories, new Facts({ api, mesh, nowMs: Date.now(), failWithinMs: flags['fail-within'] }));
    const end = Date.now() + flags.timeout;
    let report = await ask();
    while (!report.success && flags.wait && Date.now() < end) {
      await pause(againMs);
      report = await ask();
    }
    this.log(
      flags.output === 'json' ? JSON.stringify(report, null, 2) : renderReport(report, flags.output === 'short'),
    );
    process.exitCode = report.success ? exitCode.ok : exitCode.failed;
    mesh.close();
    api.close();
  }
}
