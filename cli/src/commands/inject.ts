/** `meshctl inject`: adds the agent to workloads in YAML, by the same function as the webhook. */
import fs from 'node:fs';
import { type AgentValues, defaultValues, injectText, parseValues } from '@chainmail/injector';
import { Command, Flags } from '@oclif/core';
import { exitCode } from '../exit-code.ts';
import { inFile, printManifest, readManifest } from '../manifest-command.ts';

const valuesFrom = (file: string): AgentValues => parseValues(fs.readFileSync(file, 'utf8'));

export default class Inject extends Command {
  static override description = 'add the agent to the workloads of a manifest; exit code 1 when one is refused';
  static override examples = ['meshctl inject -f deployment.yaml', 'kubectl get deploy -o yaml | meshctl inject -f -'];
  static override flags = {
    filename: Flags.string({ char: 'f', required: true, description: 'file of YAML or JSON, - for stdin' }),
    namespace: Flags.string({ char: 'n', description: 'for objects that name none' }),
    values: Flags.string({ description: 'file with values of the agent: image, addresses, resources' }),
    quiet: Flags.boolean({ char: 'q', description: 'no report on stderr' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Inject);
    const { filename, values: valuesFile } = flags;
    const values = valuesFile === undefined ? defaultValues : inFile(valuesFile, () => valuesFrom(valuesFile));
    const namespace = flags.namespace === undefined ? {} : { namespace: flags.namespace };
    const text = await readManifest(filename);
    const result = inFile(filename, () => injectText(text, { values, ...namespace }));
    process.exitCode = printManifest(result, flags.quiet) ? exitCode.ok : exitCode.failed;
  }
}
