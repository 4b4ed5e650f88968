/** `meshctl dev logs`: the log of a container, or of `ca`, `control`, `injector`. */
import { componentNames, DevClient } from '@chainmail/local';
import { system } from '@chainmail/runtime';
import { Args, Command, Flags } from '@oclif/core';
import { containerFlag, nameFlag, namespaceFlag } from '../../flags.ts';
import { findPod } from '../../pod-reference.ts';

export default class DevLogs extends Command {
  static override description = 'print the log of a container, or of ca, control, injector';
  static override examples = ['meshctl dev logs -f web -c mesh-agent', 'meshctl dev logs control'];
  static override args = {
    pod: Args.string({ required: true, description: 'pod, namespace/pod, Deployment, or component' }),
  };
  static override flags = {
    name: nameFlag,
    namespace: namespaceFlag,
    container: containerFlag,
    follow: Flags.boolean({ char: 'f', description: 'go on with what is written from now on' }),
    tail: Flags.integer({ default: 200, min: 0, description: 'how many lines to begin with' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(DevLogs);
    const client = new DevClient(flags.name);
    const component = flags.namespace === undefined && componentNames.some((n) => n === args.pod);
    const pod = component
      ? { namespace: system.namespace, name: args.pod }
      : findPod((await client.status()).pods, args.pod, flags.namespace);
    const ref = {
      namespace: pod.namespace,
      pod: pod.name,
      tail: flags.tail,
      ...(flags.container === undefined ? {} : { container: flags.container }),
    };
    if (!flags.follow) {
      process.stdout.write(await client.logs(ref));
      return;
    }
    const end = new AbortController();
    process.once('SIGINT', () => end.abort());
    await client.followLogs(ref, (data) => process.stdout.write(data), end.signal);
  }
}
