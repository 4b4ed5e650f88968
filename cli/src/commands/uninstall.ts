/**
 * `meshctl uninstall`: takes the mesh out, the webhook first so that no pod waits for an injector that is gone. The
 * definitions (with every policy) and the CA's state stay unless --purge: an installation after this one goes on.
 */
import type { KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { customResourceDefinitions, objectName } from '@chainmail/manifests';
import { system, trustBundleConfigMap, UserError } from '@chainmail/runtime';
import { Command, Flags } from '@oclif/core';
import { listAll, removeObject } from '../cluster/apply.ts';
import { named, readInjectedPods } from '../cluster/injected-pods.ts';
import { connect } from '../cluster/kubeconfig.ts';
import { listPath, objectPath, pathOf, places } from '../cluster/paths.ts';
import { clusterFlags } from '../flags.ts';
import { installedObjects } from '../install/leftovers.ts';

async function refuseWhileInjected(api: ApiClient): Promise<void> {
  const pods = (await readInjectedPods(api)).filter((p) => !p.leaving);
  if (pods.length === 0) return;
  const word = pods.length === 1 ? '1 pod still has an agent' : `${pods.length} pods still have an agent`;
  throw new UserError('PODS_INJECTED', `${word}:\n    ${named(pods).join('\n    ')}`, {
    hint: 'remove the label chainmail.dev/inject and restart their workloads, or --force: their certificates then run out',
  });
}

/** What the programs made themselves, beside what was installed: bundles everywhere, and the lease. */
async function madeByPrograms(api: ApiClient): Promise<readonly KubeObject[]> {
  const bundles = await listAll(api, listPath('ConfigMap'), {
    fieldSelector: `metadata.name=${trustBundleConfigMap.name}`,
  });
  const lease = {
    apiVersion: places.Lease.apiVersion,
    kind: 'Lease',
    metadata: { namespace: system.namespace, name: 'chainmail-control' },
  };
  return [...bundles.map((b) => ({ ...b, apiVersion: 'v1', kind: 'ConfigMap' })), lease];
}

const purged: readonly KubeObject[] = [
  ...customResourceDefinitions(),
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: system.namespace } },
];

export default class Uninstall extends Command {
  static override description = 'take the mesh out of a cluster; policies and the CA stay unless --purge';
  static override examples = ['meshctl uninstall', 'meshctl uninstall --purge', 'meshctl uninstall --dry-run'];
  static override flags = {
    ...clusterFlags,
    force: Flags.boolean({ description: 'although there are pods with an agent' }),
    purge: Flags.boolean({ description: "also the definitions with every policy, the CA's keys and the namespace" }),
    'dry-run': Flags.boolean({ description: 'say what would go, and remove nothing' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Uninstall);
    const api = await connect(flags);
    const dryRun = flags['dry-run'];
    if (!flags.force) await refuseWhileInjected(api);
    const objects = [...(await installedObjects(api)), ...(await madeByPrograms(api)), ...(flags.purge ? purged : [])];
    let count = 0;
    for (const object of objects) {
      if (!(await removeObject(api, pathOf(object), dryRun))) continue;
      count++;
      this.log(`  - ${objectName(object)}`);
    }
    if (count === 0) this.log('there is nothing to remove');
    else this.log(`${count} ${count === 1 ? 'object' : 'objects'} ${dryRun ? 'would be removed' : 'removed'}`);
    if (!flags.purge) await this.#tellWhatStays(api);
    api.close();
  }

  async #tellWhatStays(api: ApiClient): Promise<void> {
    const state = objectPath('Secret', 'chainmail-ca-state', system.namespace);
    const definitions = await Promise.all(customResourceDefinitions().map((d) => api.get(pathOf(d))));
    const stays = [
      ...(definitions.some((d) => d !== undefined) ? ['the definitions with every policy'] : []),
      ...((await api.get(state)) === undefined
        ? []
        : [`the CA's keys (Secret ${system.namespace}/chainmail-ca-state)`]),
    ];
    if (stays.length > 0) this.log(`${stays.join(' and ')} stay; --purge removes them`);
  }
}
