/** `meshctl dev exec POD -- CMD`: a command inside a container, with its stdin, output and exit code. */
import { DevClient } from '@chainmail/local';
import { UserError } from '@chainmail/runtime';
import { Args, Command, Flags } from '@oclif/core';
import { containerFlag, nameFlag, namespaceFlag } from '../../flags.ts';
import { findPod } from '../../pod-reference.ts';

export default class DevExec extends Command {
  static override description = 'run a command in a container as its own user';
  static override examples = [
    'meshctl dev exec web -- curl -s http://catalog/',
    'meshctl dev exec web --network -- ss -tn',
  ];
  static override strict = false;
  static override args = { pod: Args.string({ required: true, description: 'pod, namespace/pod, or Deployment' }) };
  static override flags = {
    name: nameFlag,
    namespace: namespaceFlag,
    container: containerFlag,
    stdin: Flags.boolean({ char: 'i', description: 'pass stdin on' }),
    network: Flags.boolean({ description: "as root with this machine's files, in the pod's network only" }),
  };

  override async run(): Promise<void> {
    const { args, flags, argv } = await this.parse(DevExec);
    const command = argv.slice(1).map(String);
    if (command.length === 0) {
      throw new UserError('EXEC_NO_COMMAND', 'no command given', { hint: `meshctl dev exec ${args.pod} -- COMMAND` });
    }
    const client = new DevClient(flags.name);
    const pod = findPod((await client.status()).pods, args.pod, flags.namespace);
    process.exitCode = await client.execStreaming(
      {
        namespace: pod.namespace,
        pod: pod.name,
        command,
        ...(flags.container === undefined ? {} : { container: flags.container }),
        ...(flags.network ? { scope: 'network' } : {}),
      },
      {
        onStdout: (data) => process.stdout.write(data),
        onStderr: (data) => process.stderr.write(data),
        ...(flags.stdin ? { stdin: process.stdin } : {}),
      },
    );
  }
}
