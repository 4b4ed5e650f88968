/**
 * `meshctl upgrade`: shows what would change, then changes it: definitions, CA, control plane, injector, each ready
 * before the next begins. The CA's keys are not among the objects and stay; agents are replaced when their pods are.
 */
import type { KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import {
  type InstallObject,
  imageOf,
  installValues,
  meshVersion,
  objectName,
  renderInstall,
} from '@chainmail/manifests';
import { systemClock, UserError } from '@chainmail/runtime';
import { Command, Flags } from '@oclif/core';
import { applyObject, removeObject } from '../cluster/apply.ts';
import { named, readInjectedPods } from '../cluster/injected-pods.ts';
import { connect } from '../cluster/kubeconfig.ts';
import { pathOf } from '../cluster/paths.ts';
import { exitCode } from '../exit-code.ts';
import { clusterFlags, durationFlag } from '../flags.ts';
import { leftovers } from '../install/leftovers.ts';
import { type Installed, readInstalled } from '../install/record.ts';
import { applyStage, changeLines, deploymentsOf, type Say, stages, waitForRollouts } from '../install/steps.ts';
import { givenValues, valuesFlags } from '../install/values-flags.ts';

async function installedHere(api: ApiClient): Promise<Installed> {
  const there = await readInstalled(api);
  if (there !== undefined) return there;
  throw new UserError('NOT_INSTALLED', 'the mesh is not installed on this cluster', { hint: 'meshctl install' });
}

/** Lines of everything that would change. */
async function plan(
  api: ApiClient,
  objects: readonly InstallObject[],
  gone: readonly KubeObject[],
  force: boolean,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const object of objects) {
    const change = await applyObject(api, object, { dryRun: true, force });
    if (change.outcome !== 'unchanged') lines.push(...changeLines(change));
  }
  return [...lines, ...gone.map((o) => `  - ${objectName(o)}`)];
}

export default class Upgrade extends Command {
  static override description = 'bring the installed mesh to this version and to the given values; keeps the CA';
  static override examples = ['meshctl upgrade --dry-run', 'meshctl upgrade --set control.replicas=3'];
  static override flags = {
    ...clusterFlags,
    ...valuesFlags,
    'reset-values': Flags.boolean({
      description: 'begin with the defaults, not with the values it was installed with',
    }),
    'dry-run': Flags.boolean({ description: 'show what would change and stop; exit code 1 when something would' }),
    force: Flags.boolean({ description: 'take over fields that somebody else has set' }),
    timeout: durationFlag({
      default: 300_000,
      defaultHelp: async () => '5m',
      description: 'how long each program may take to get ready',
    }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Upgrade);
    const api = await connect(flags);
    const there = await installedHere(api);
    const values = installValues(givenValues(flags, flags['reset-values'] ? {} : there.given));
    if (values.trustDomain !== there.values.trustDomain) {
      throw new UserError('TRUST_DOMAIN_FIXED', `the trust domain is ${there.values.trustDomain} and cannot change`, {
        hint: 'every certificate carries it: uninstall with --purge and install anew to have another',
      });
    }
    const objects = renderInstall(values);
    const gone = await leftovers(api, objects);
    const lines = await plan(api, objects, gone, flags.force);
    const say: Say = (line) => this.log(line);
    say(`from version ${there.version} to ${meshVersion} on ${api.server}`);
    if (lines.length === 0) say('nothing to change');
    for (const line of lines) say(line);
    if (flags['dry-run']) {
      process.exitCode = lines.length === 0 ? exitCode.ok : exitCode.failed;
      return api.close();
    }
    if (lines.length > 0) await this.#carryOut(api, objects, gone, flags, say);
    await this.#tellOldAgents(api, imageOf(values, 'agent'), say);
    api.close();
  }

  async #carryOut(
    api: ApiClient,
    objects: readonly InstallObject[],
    gone: readonly KubeObject[],
    flags: { readonly force: boolean; readonly timeout: number },
    say: Say,
  ): Promise<void> {
    say('');
    for (const stage of stages(objects)) {
      await applyStage(api, stage, { force: flags.force }, say);
      const deployments = deploymentsOf(stage.objects);
      if (deployments.length > 0)
        await waitForRollouts(api, deployments, { clock: systemClock, timeoutMs: flags.timeout }, say);
    }
    for (const object of gone) if (await removeObject(api, pathOf(object))) say(`  - ${objectName(object)}`);
    say('\nupgraded');
  }

  async #tellOldAgents(api: ApiClient, wanted: string, say: Say): Promise<void> {
    const old = (await readInjectedPods(api)).filter((p) => !p.leaving && p.agentImage !== wanted);
    if (old.length === 0) return;
    say(`\n${old.length} ${old.length === 1 ? 'pod runs' : 'pods run'} another agent than ${wanted}:`);
    for (const name of named(old)) say(`  ${name}`);
    say('they work; kubectl rollout restart their workloads to replace their agents');
  }
}
