/** `meshctl install`: renders the objects from values, applies them server-side in order, waits until all stands. */
import { isDeepStrictEqual } from 'node:util';
import type { ApiClient } from '@chainmail/kube/cluster';
import {
  defaultInstallValues,
  type InstallObject,
  installValues,
  meshVersion,
  objectName,
  renderInstall,
} from '@chainmail/manifests';
import { systemClock, UserError } from '@chainmail/runtime';
import { Command, Flags } from '@oclif/core';
import { stringify } from 'yaml';
import { connect } from '../cluster/kubeconfig.ts';
import { clusterFlags, durationFlag } from '../flags.ts';
import { readInstalled } from '../install/record.ts';
import {
  applyStage,
  deploymentsOf,
  stages,
  waitForReviews,
  waitForRollouts,
  waitForWebhooks,
} from '../install/steps.ts';
import { givenValues, valuesFlags } from '../install/values-flags.ts';

function printed(objects: readonly InstallObject[], format: string | undefined): string {
  if (format === 'yaml')
    return objects.map((o) => stringify(o, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');
  if (format === 'json') return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 2);
  return objects.map(objectName).join('\n');
}

/** A second `install` repairs; with other values it would be an upgrade without its care. */
async function refuseOther(api: ApiClient, wanted: unknown): Promise<void> {
  const there = await readInstalled(api);
  if (there === undefined) return;
  if (there.version === meshVersion && isDeepStrictEqual(there.values, wanted)) return;
  const what = there.version === meshVersion ? 'with other values' : `in version ${there.version}`;
  throw new UserError('INSTALLED_ALREADY', `the mesh is installed already, ${what}`, {
    hint: 'meshctl upgrade shows what would change and changes it',
  });
}

export default class Install extends Command {
  static override description = 'install the mesh on a cluster, or print what would be installed';
  static override examples = [
    'meshctl install',
    'meshctl install --set control.replicas=3 -f values.yaml',
    'meshctl install --dry-run -o yaml | kubectl apply --server-side -f -',
  ];
  static override flags = {
    ...clusterFlags,
    ...valuesFlags,
    'dry-run': Flags.boolean({ description: 'print the objects and touch no cluster' }),
    output: Flags.option({ char: 'o', options: ['name', 'yaml', 'json'] as const, dependsOn: ['dry-run'] })({
      description: 'how --dry-run prints: names (default), yaml or json',
    }),
    'show-values': Flags.boolean({ description: 'print every value with its default' }),
    force: Flags.boolean({ description: 'take over fields that somebody else has set' }),
    wait: Flags.boolean({ default: true, allowNo: true, description: 'wait until every program is ready' }),
    timeout: durationFlag({ default: 300_000, defaultHelp: async () => '5m', description: 'how long to wait' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Install);
    if (flags['show-values'])
      return this.log(stringify(defaultInstallValues, { aliasDuplicateObjects: false }).trimEnd());
    const values = installValues(givenValues(flags));
    const objects = renderInstall(values);
    if (flags['dry-run']) return this.log(printed(objects, flags.output).trimEnd());
    const api = await connect(flags);
    const say = (line: string): void => this.log(line);
    await refuseOther(api, values);
    say(`installing Chainmail ${meshVersion} on ${api.server}`);
    for (const stage of stages(objects)) await applyStage(api, stage, { force: flags.force }, say);
    if (!flags.wait) return say('applied; meshctl check --wait tells when it stands');
    say('waiting until it is ready:');
    const patience = { clock: systemClock, timeoutMs: flags.timeout };
    await waitForRollouts(api, deploymentsOf(objects), patience, say);
    await waitForWebhooks(api, patience, say);
    await waitForReviews(api, patience, say);
    say('\nChainmail is installed. Label a namespace, and its new pods get an agent:');
    say('  kubectl label namespace NAME chainmail.dev/inject=enabled');
    api.close();
  }
}
