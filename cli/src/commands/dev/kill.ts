/** `meshctl dev kill`: ends a control-plane process as a crash would, to see what the mesh makes of it. */
import { componentNames, DevClient } from '@chainmail/local';
import { Args, Command } from '@oclif/core';
import { durationFlag, nameFlag } from '../../flags.ts';

export default class DevKill extends Command {
  static override description = 'kill ca, control or injector with SIGKILL; it comes back by itself';
  static override examples = ['meshctl dev kill control --down 10s'];
  static override args = {
    component: Args.string({ required: true, options: [...componentNames], description: 'which process' }),
  };
  static override flags = { name: nameFlag, down: durationFlag({ description: 'how long it stays away' }) };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(DevKill);
    const component = componentNames.find((n) => n === args.component) ?? 'ca';
    await new DevClient(flags.name).component(component, 'kill', flags.down);
    this.log(`${component} killed`);
  }
}
