/** `meshctl inject`: adds the agent to workloads in YAML, by the same function as the webhook. */
import fs from 'node:fs';
import { type AgentValues, defaultValues, injectText, parseValues } from '@chainmail/injector';
import { system, UserError } from '@chainmail/runtime';
import { Command, Flags } from '@oclif/core';
import { type ClusterFlags, connect } from '../cluster/kubeconfig.ts';
import { objectPath } from '../cluster/paths.ts';
import { exitCode } from '../exit-code.ts';
import { clusterFlags } from '../flags.ts';
import { inFile, printManifest, readManifest } from '../manifest-command.ts';

const valuesFrom = (file: string): AgentValues => parseValues(fs.readFileSync(file, 'utf8'));

/** What the webhook of an installed mesh gives its pods. @throws UserError NOT_INSTALLED */
async function installedValues(flags: ClusterFlags): Promise<AgentValues> {
  const api = await connect(flags);
  const found = await api.get(objectPath('ConfigMap', system.injectorServiceAccount, system.namespace));
  const { data } = (found ?? {}) as { readonly data?: Readonly<Record<string, string>> };
  if (data?.['values.yaml'] === undefined) {
    throw new UserError('NOT_INSTALLED', 'the mesh is not installed on this cluster', { hint: 'meshctl install' });
  }
  api.close();
  return parseValues(data['values.yaml']);
}

export default class Inject extends Command {
  static override description = 'add the agent to the workloads of a manifest; exit code 1 when one is refused';
  static override examples = [
    'meshctl inject -f deployment.yaml',
    'kubectl get deploy -o yaml | meshctl inject --from-cluster -f - | kubectl apply -f -',
  ];
  static override flags = {
    filename: Flags.string({ char: 'f', required: true, description: 'file of YAML or JSON, - for stdin' }),
    namespace: Flags.string({ char: 'n', description: 'for objects that name none' }),
    values: Flags.string({
      description: 'file with values of the agent: image, addresses, resources',
      exclusive: ['from-cluster'],
    }),
    'from-cluster': Flags.boolean({ description: 'with the values of the mesh that is installed there' }),
    ...clusterFlags,
    quiet: Flags.boolean({ char: 'q', description: 'no report on stderr' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Inject);
    const { filename, values: valuesFile } = flags;
    const values = flags['from-cluster']
      ? await installedValues(flags)
      : valuesFile === undefined
        ? defaultValues
        : inFile(valuesFile, () => valuesFrom(valuesFile));
    const namespace = flags.namespace === undefined ? {} : { namespace: flags.namespace };
    const text = await readManifest(filename);
    const result = inFile(filename, () => injectText(text, { values, ...namespace }));
    process.exitCode = printManifest(result, flags.quiet) ? exitCode.ok : exitCode.failed;
  }
}
