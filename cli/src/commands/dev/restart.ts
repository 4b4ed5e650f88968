/** `meshctl dev restart`: stops a control-plane process in good order and starts it again. */
import { componentNames, DevClient } from '@chainmail/local';
import { Args, Command } from '@oclif/core';
import { nameFlag } from '../../flags.ts';

export default class DevRestart extends Command {
  static override description = 'restart ca, control or injector';
  static override args = {
    component: Args.string({ required: true, options: [...componentNames], description: 'which process' }),
  };
  static override flags = { name: nameFlag };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(DevRestart);
    const component = componentNames.find((n) => n === args.component) ?? 'ca';
    await new DevClient(flags.name).component(component, 'restart');
    this.log(`${component} restarted`);
  }
}
