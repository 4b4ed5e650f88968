/** `meshctl config KIND POD`: what one agent was told and holds, as tables, or whole as JSON or YAML. */
import { UserError } from '@chainmail/runtime';
import { Args, Command } from '@oclif/core';
import { clusterColumns, endpointColumns, listenerColumns, routeColumns } from '../config/columns.ts';
import type { ConfigDump } from '../config/dump.ts';
import { type ClustersPage, clusterRows, endpointRows, listenerRows, routeRows } from '../config/rows.ts';
import { namespaceFlag, outputFlag } from '../flags.ts';
import type { MeshClient, MeshPod } from '../mesh/mesh-client.ts';
import { podLabel } from '../mesh/mesh-client.ts';
import { selectPods } from '../mesh/select.ts';
import { openMesh, targetFlags } from '../mesh/target.ts';
import { render } from '../output/render.ts';
import { renderTable } from '../output/table.ts';

interface View {
  /** What the agent says, parsed: the JSON and YAML output. */
  readonly page: unknown;
  readonly table: () => string;
}

const read = async <T>(mesh: MeshClient, pod: MeshPod, path: string): Promise<T> =>
  JSON.parse(await mesh.admin(pod, path)) as T;

/** A dump cut to the entries of one kind, so that `-o json` shows what was asked for. */
const cut = (dump: ConfigDump, kind: RegExp): unknown => ({
  configs: (dump.configs ?? []).filter((c) => kind.test(String((c as { '@type'?: string })['@type']))),
});

const views: Readonly<Record<string, (mesh: MeshClient, pod: MeshPod) => Promise<View>>> = {
  async listeners(mesh, pod) {
    const dump = await read<ConfigDump>(mesh, pod, '/config_dump');
    return { page: cut(dump, /ListenersConfigDump$/), table: () => renderTable(listenerRows(dump), listenerColumns) };
  },
  async clusters(mesh, pod) {
    const dump = await read<ConfigDump>(mesh, pod, '/config_dump');
    return { page: cut(dump, /ClustersConfigDump$/), table: () => renderTable(clusterRows(dump), clusterColumns) };
  },
  async routes(mesh, pod) {
    const dump = await read<ConfigDump>(mesh, pod, '/config_dump');
    return { page: cut(dump, /RoutesConfigDump$/), table: () => renderTable(routeRows(dump), routeColumns) };
  },
  async endpoints(mesh, pod) {
    const page = await read<ClustersPage>(mesh, pod, '/clusters?format=json');
    return { page, table: () => renderTable(endpointRows(page), endpointColumns) };
  },
  async all(mesh, pod) {
    const page = await read<ConfigDump>(mesh, pod, '/config_dump?include_eds');
    return { page, table: () => JSON.stringify(page, null, 2) };
  },
};

/** @throws UserError POD_NOT_FOUND, POD_NOT_MESHED */
export function onePod(pods: readonly MeshPod[], reference: string, namespace: string | undefined): MeshPod {
  const found = selectPods(pods, reference, namespace);
  const meshed = found.filter((p) => p.meshed).sort((a, b) => Number(b.ready) - Number(a.ready));
  const [pod] = meshed;
  if (pod === undefined) {
    throw new UserError('POD_NOT_MESHED', `${found.map(podLabel).join(', ')} has no agent`, {
      hint: 'label its namespace with chainmail.dev/inject: enabled and start it again',
    });
  }
  const namespaces = new Set(meshed.map((p) => p.namespace));
  if (namespaces.size > 1) {
    throw new UserError('POD_AMBIGUOUS', `${reference} is in the namespaces ${[...namespaces].join(', ')}`, {
      hint: 'add -n NAMESPACE',
    });
  }
  return pod;
}

export default class Config extends Command {
  static override description = 'show what an agent was told: its listeners, clusters, routes or endpoints';
  static override examples = ['meshctl config listeners shop/web', 'meshctl config endpoints web -o json'];
  static override args = {
    kind: Args.string({ required: true, options: Object.keys(views), description: 'what of it' }),
    pod: Args.string({ required: true, description: 'pod, namespace/pod, or Deployment for one of its pods' }),
  };
  static override flags = { ...targetFlags, namespace: namespaceFlag, output: outputFlag() };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Config);
    const mesh = await openMesh(flags);
    const pod = onePod(await mesh.pods(), args.pod, flags.namespace);
    const view = views[args.kind];
    if (view === undefined) throw new Error(`no view ${args.kind}`);
    const { page, table } = await view(mesh, pod);
    this.log(render(page, flags.output, table));
    mesh.close();
  }
}
